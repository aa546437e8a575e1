/*
 * guard.h
 *		What the triggers on configuration ask and say.
 */
#ifndef LOYALTY_GUARD_H
#define LOYALTY_GUARD_H

#include "postgres.h"

/* Whether anybody is or was a member of the program. */
extern bool guard_has_members(Oid owner, int32 program_id);

/* What maintenance knows of the members of the program (its name) was worked out with other terms. */
extern void guard_forget_members(Datum program);

#endif							/* LOYALTY_GUARD_H */
