/*
 * act.h
 *		What acts share: their keys and their answers.
 */
#ifndef LOYALTY_ACT_H
#define LOYALTY_ACT_H

#include "postgres.h"
#include "fmgr.h"

#include "ledger/balance.h"
#include "ledger/config.h"
#include "ledger/storage.h"

/* Kind, colon and key; NULL without a key.  22001 for one that is too long. */
extern text *act_key(const char *kind, const text *key);

/* The time that an act is said to have happened at; 22023 unless it is finite and not in the future. */
extern void act_check_time(TimestampTz at);

/* LY006: the key stands for another act, which "did" tells in a sentence. */
extern void act_key_reused(const text *key, const char *did) pg_attribute_noreturn();

/* The same context, which holds what was asked for and entries do not show. */
extern bool act_same_context(const Jsonb *a, const Jsonb *b);

/* What is available to a member in this state at a time. */
extern Points act_available(const Program *program, const MemberState *state, TimestampTz enrolled_at,
							TimestampTz at);

/* The same of a member whose row has been brought up to what an act left. */
extern Points act_available_now(const Program *program, const MemberRow *member, TimestampTz at);

/* An answer of type loyalty.posting. */
extern Datum act_result(FunctionCallInfo fcinfo, int64 entry, Points points, Points balance, bool repeated);

#endif							/* LOYALTY_ACT_H */
