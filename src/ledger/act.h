/*
 * act.h
 *		What acts through functions have in common: keys, times and answers.
 *
 * An act locks its member, looks whether its key has been used (act_find),
 * brings the member up to date, and posts.
 */
#ifndef LOYALTY_ACT_H
#define LOYALTY_ACT_H

#include "postgres.h"
#include "fmgr.h"

#include "ledger/balance.h"
#include "ledger/config.h"
#include "ledger/storage.h"

/* The entry that an earlier call with the same key made, and the member as he stood after it. */
typedef struct EarlierAct
{
	EntryRow	entry;
	MemberState state;
} EarlierAct;

/* The source_key of an act: its kind, a colon and the key; NULL without a key.  22001 when too long. */
extern text *act_key(const char *kind, const text *key);

/*
 * Whether the key has been used for the member whom the ref means, who is locked;
 * merges may have led it to other ledgers since: earlier->entry.member_id says in
 * which it is.  False without a key.
 */
extern bool act_find(Config *config, const Program *program, Store *store, const text *ref,
					 const MemberRow *member, const text *source_key, EarlierAct *earlier);

/* The same in one ledger. */
extern bool act_find_in(Store *store, int64 member_id, const text *source_key, EarlierAct *earlier);

/* LY006 for the key of such a call that had other arguments; "detail" says what it did. */
extern void act_key_reused(const text *key, const char *detail);

/* The argument "at", now by default; 22023 unless finite and not in the future. */
extern TimestampTz act_time(FunctionCallInfo fcinfo, int argno);
extern void act_check_time(TimestampTz at);

/* The argument "points": 22004 without one; and 22023 unless greater than zero. */
extern Points act_points_given(FunctionCallInfo fcinfo, int argno);
extern Points act_points(FunctionCallInfo fcinfo, int argno);

/* LY003 for a member who is closed, or merged. */
extern void act_check_status(const Program *program, const MemberRow *member);

/* LY003 for one who is suspended, too. */
extern void act_check_active(const Program *program, const MemberRow *member);

/* Put a key, or a key with its value, into the JSON object under way: 42, "2026-12-31", "text". */
extern void act_push_key(JsonbParseState **state, const char *name);
extern void act_push_numeric(JsonbParseState **state, const char *name, Numeric number);
extern void act_push_points(JsonbParseState **state, const char *name, Points points);
extern void act_push_date(JsonbParseState **state, const char *name, DateADT day);
extern void act_push_text(JsonbParseState **state, const char *name, const char *value);

/* How a day reads, whatever DateStyle is. */
extern char *act_day_text(DateADT day);

/* The same context, which holds what was asked for and the entry does not show. */
extern bool act_same_context(const Jsonb *a, const Jsonb *b);

/* What is available to a member in this state at a time. */
extern Points act_available(const Program *program, const MemberState *state,
							TimestampTz enrolled_at, TimestampTz at);

/*
 * Put into "lots", as negative ones, the points of a member who has been
 * brought up to "at": soonest to expire first.  LY001 with the figures when
 * less is available.  In the past (at_given) nobody can give what he got later,
 * and what he had then goes first; what there is of "first" (NULL: nothing) goes
 * before all else.
 */
extern void act_take(Store *store, const Program *program, const MemberRow *member,
					 Points points, TimestampTz at, bool at_given, const Purse *first, Purse *lots);

/*
 * The last day of points that are given on "day": as asked for, or else (NULL)
 * as the program's.  22023 when they would lapse before they are given.
 */
extern DateADT act_last_day(const Program *program, const MemberRow *member, DateADT day, const DateADT *asked);

/*
 * Field of an entry's context, where a member spends from the balance of his
 * household: what was available to the others once that was done.  It belongs to
 * the balance that the act answers.
 */
#define FIELD_SHARED "shared"
extern Points act_shared(const EntryRow *entry);

/* The answer of an act; entry 0: none has been made. */
extern Datum act_answer(FunctionCallInfo fcinfo, int64 entry, Points points, Points balance, bool repeated);

/* The same of an earlier call, and of this one. */
extern Datum act_repeated(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member,
						  const EarlierAct *earlier);
extern Datum act_posted(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member,
						const EntryRow *entry);

/* The same while nothing has been posted: no entry, and the balance as it is. */
extern Datum act_proposed(FunctionCallInfo fcinfo, const Program *program, const MemberRow *member,
						  TimestampTz at, bool repeated);

#endif							/* LOYALTY_ACT_H */
