/*
 * guard.h
 *		What the triggers on configuration ask and say.
 */
#ifndef LOYALTY_GUARD_H
#define LOYALTY_GUARD_H

#include "postgres.h"

/* Whether anybody is or was a member of the program. */
extern bool guard_has_members(Oid owner, int32 program_id);

/*
 * A new row's number comes from its table's sequence, but for whoever has the
 * rights of the extension's owner, who may be restoring: the next row would
 * find a number taken that was chosen by hand, and a number below "above" would
 * come before what has happened since.
 */
extern void guard_number(const char *sequence, int32 number, int32 above);

/* What maintenance knows of the members of the program (its name) was worked out with other terms. */
extern void guard_forget_members(Datum program);

#endif							/* LOYALTY_GUARD_H */
