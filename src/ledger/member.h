/*
 * member.h
 *		Who a ref is, how he is locked, and how he becomes a member.
 */
#ifndef LOYALTY_MEMBER_H
#define LOYALTY_MEMBER_H

#include "ledger/config.h"
#include "ledger/storage.h"

/* One member that an operation needs. */
typedef struct MemberRequest
{
	int64		member_id;
	text	   *ref;
	bool		enroll;			/* make him a member if he is none */
	bool		forgotten_too;	/* who was forgotten is given as he is; else LY003 */
	bool		unwritten_too;	/* a new member may be given before he is written: see members_lock */
	TimestampTz enrolled_at;	/* used then */
	MemberRow  *row;			/* out: locked; NULL when nobody knows him */
} MemberRequest;

/* Where a ref lives: loyalty.member_id(ref, program), or what member_alias says. */
extern int64 member_resolve(Config *config, const Program *program, const text *ref);

/*
 * Lock the members of the requests, which ascend by member_id, in that order;
 * those who are to be enrolled are on the way.  Two refs may compute one
 * member_id: then the newcomer's request gets another one.  Whoever was merged
 * while we waited is not there any more for his ref, which leads to another
 * member by now: his is the row, and his member_id is put into the request.  A
 * request without a ref means the member himself, merged or not.  Requests for
 * one member share his row.  What time has done to them is written down.
 *
 * A ref that computes the place of a forgotten member, or whose digest leads to
 * one, was his: it makes nobody a member.
 *
 * Whoever asks for it gets rows of new members unwritten, if nobody who is
 * locked comes after them: their tid is invalid.  He writes them in the state
 * that they have come to, by store_enroll_members, before anything else; and
 * should that fail, he begins anew and does not ask for it.
 */
extern void members_lock(Config *config, Store *store, const Program *program,
						 MemberRequest *requests, int nrequests);

/* The same for one ref; request->row is NULL when nobody knows him and he is not to be enrolled. */
extern void member_lock(Config *config, Store *store, const Program *program, text *ref,
						bool enroll, TimestampTz enrolled_at, MemberRequest *request);

/* The row that a member begins with, not written yet. */
extern void member_newcomer(const Program *program, int64 member_id, text *ref, TimestampTz at, MemberRow *row);

/*
 * What stands in member_alias in place of a forgotten member's ref: "sha256:" and
 * the digest that begins with its member_id.
 */
#define FORGOTTEN_REF "sha256:"
extern text *member_ref_digest(const Program *program, const text *ref);

/* LY003 for who was forgotten; "ref" is what he was asked for by, NULL: his number. */
extern void member_forgotten(const Program *program, const text *ref);

/* Merge birthday, segments, referred_by and data into a member's profile; of a null flag 'n' leaves the field as it is. */
extern void member_write_profile(Config *config, const MemberRow *row, Datum *values, const char *nulls);

/* Whether the row found at a ref's place is his. */
extern bool member_is(Config *config, const Program *program, const MemberRow *row, const text *ref);

/* A function's argument "member": text, or a bigint in decimal; 22004 when NULL, 22023 when empty. */
extern text *member_argument(FunctionCallInfo fcinfo, int argno);

/* LY002 for a ref that nobody knows. */
extern void member_unknown(const Program *program, const text *ref);

#endif							/* LOYALTY_MEMBER_H */
