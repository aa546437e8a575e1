/*
 * actor.h
 *		Who adjusts, and when it takes a second person.
 *
 * What is given or taken by hand says by whom, in the context of its entry:
 *
 * by	{"role": "ann"}, and "session" where somebody else logged in; of what a
 *		second person approved also "proposal", "approved_by" and "approved_session"
 *
 * The role is that of SET ROLE, whatever SECURITY DEFINER functions the call went
 * through.  Two are the same person as soon as either name of one is a name of the
 * other: who logs in as one role and takes on another stays who he is.
 */
#ifndef LOYALTY_ACTOR_H
#define LOYALTY_ACTOR_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "ledger/config.h"
#include "ledger/storage.h"

#define FIELD_BY "by"
#define FIELD_ROLE "role"
#define FIELD_SESSION "session"
#define FIELD_PROPOSAL "proposal"
#define FIELD_APPROVED_BY "approved_by"
#define FIELD_APPROVED_SESSION "approved_session"
#define FIELD_OWN "own"			/* of a cancellation: it undid what he himself had just done */

typedef struct Actor
{
	const char *role;
	const char *session;
} Actor;

extern Actor actor_now(void);
extern bool actor_same_person(const Actor *a, const Actor *b);

/* What approved an entry. */
typedef struct Approval
{
	const char *proposal;
	Actor		proposer;
	Actor		approver;
} Approval;

/* A context (NULL: nothing to say) with the field: the session's actor, or who proposed and approved it (NULL: nobody did). */
extern Jsonb *actor_sign(Jsonb *context, const Approval *approval, bool own);

/* A context without the field, which nobody asks for; NULL when nothing else is there. */
extern Jsonb *actor_asked(const Jsonb *context);

/* How many points an adjustment moved: of lots that got a later last day, these. */
extern Points actor_moved_points(const EntryRow *entry);

/*
 * Whether an entry is an adjustment that the actor made by himself, not before a
 * time; and how many points it moved.
 */
extern bool actor_adjusted(const EntryRow *entry, const Actor *actor, TimestampTz since, Points *points);

/* Since when adjustments count together now. */
extern TimestampTz actor_day_before(void);

/*
 * How many points the session's actor has adjusted of the member, who is locked,
 * by himself within a day, by when it was written down: "at" is anybody's to
 * choose.  Ledgers that merges tied to his count, too.
 */
extern Points actor_adjusted_points(Config *config, const Program *program, Store *store, const MemberRow *member);

/* LY030 when an act that cannot be proposed would pass adjust_limit. */
extern void actor_check_limit(Config *config, const Program *program, Store *store, const MemberRow *member,
							  Points points, const char *what);

#endif							/* LOYALTY_ACTOR_H */
