/*
 * fields.h
 *		What entries say of acts, where more than one floor reads it.
 */
#ifndef LOYALTY_FIELDS_H
#define LOYALTY_FIELDS_H

/*
 * One of the two entries of a transfer has the key of the act, or # and its
 * number.  The other one's source_key says on which side it is, then the
 * member_id and, after "#", the number of the first.  Keys that somebody passes
 * have their kind and a colon before them, so none can be the same; and unlike
 * the context it stays when a person is forgotten.
 */
#define TRANSFER_RECEIVED "transfer from "
#define TRANSFER_GIVEN "transfer to "

/* Fields of their contexts: each names the other. */
#define TRANSFER_TO_MEMBER "to_member_id"
#define TRANSFER_TO_ENTRY "to_entry"
#define TRANSFER_FROM_MEMBER "from_member_id"
#define TRANSFER_FROM_ENTRY "from_entry"

/* Of an entry that cancels: which one. */
#define FIELD_ENTRY "entry"

/* Of one that belongs to a hold: its number. */
#define FIELD_HOLD "hold"

#endif							/* LOYALTY_FIELDS_H */
