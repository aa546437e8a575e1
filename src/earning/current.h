/*
 * current.h
 *		Purchases as their rows now are, read again by key.
 */
#ifndef LOYALTY_CURRENT_H
#define LOYALTY_CURRENT_H

#include "earning/source.h"

/*
 * The row that has the key.  With "lock" the row as it is now, locked FOR SHARE
 * and seeing this transaction's own changes; else as the active snapshot sees
 * it.  False when there is none; LY010 when there are several.  The table is
 * read with its owner's rights.
 */
extern bool current_row(Source *source, const text *key, bool lock, TimestampTz now, SourceRow *row);

/* A tuple of the table read as a purchase; "row" is allocated in the context. */
extern void current_read_tuple(Source *source, HeapTuple tuple, TupleDesc desc, TimestampTz now,
							   MemoryContext context, SourceRow *row);

/*
 * Parts of SQL over the attached table: its name, its columns in their places,
 * and the condition that each key part equals "right" (a format that takes the
 * number of the part, for instance "$%d"); "types" receives the parts' types.
 * To be used within owner_enter(source->owner).
 */
extern char *current_relation_name(Source *source);
extern char *current_select_list(Source *source);
extern char *current_key_condition(Source *source, const char *right, Oid *types);

/* A key part's value of its type. */
extern Datum current_key_value(Oid type, char *part);

#endif							/* LOYALTY_CURRENT_H */
