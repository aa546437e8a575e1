/*
 * verify_purchases.h
 *		One source being proven, row against entries.
 */
#ifndef LOYALTY_VERIFY_PURCHASES_H
#define LOYALTY_VERIFY_PURCHASES_H

#include "postgres.h"
#include "executor/spi.h"

#include "earning/rule.h"
#include "earning/source.h"
#include "operation/verify.h"

/* A source to prove, as its row says before it is compiled. */
typedef struct Subject
{
	int32		source_id;
	const char *name;
	const char *program;
	bool		backfilled;
} Subject;

/* One source being proven. */
typedef struct Proof
{
	Verification *verification;
	const Subject *subject;
	Source	   *source;
	RuleSet    *rules;
	SPIPlanPtr	by_key;			/* whether a row has a key; made when first needed */
	Oid			key_types[MAX_KEY_PARTS];
	PurchasePile *pile;
	MemoryContext contexts[2];	/* by turns, of the purchase at hand and the one before */
	int			turn;
	Purchase	purchase;
	bool		more_purchases;
	Cursor	   *entries;		/* of all sources */
	bool		more_entries;
	MemoryContext case_context; /* of the purchase being judged */
} Proof;

/* Report a violation; "member" NULL: nobody's, "key" NULL: of the source as a whole. */
extern void proof_report(const Proof *proof, const char *invariant, const char *member, const text *key,
						 const char *problem, const char *expected, const char *actual);

/* Whose purchase it is: who has its entries, if anybody whom merges tie to the ref has any. */
extern int64 proof_holder(Proof *proof, const text *key, const text *ref);

/* Whether it is a forgotten member's: then nothing is asked of it. */
extern bool proof_is_forgotten(Proof *proof, const text *key, int64 holder);

/* Judge the purchase whose entries the cursor stands at, and pass them; "purchase" NULL: it has no row. */
extern void proof_check_entries(Proof *proof, const Purchase *purchase);

/* A row without entries: is it as it should be? */
extern void proof_check_unjudged(Proof *proof, const Purchase *purchase);

/* The same two steps for a query: its purchases into the pile; and whether it gives one, to whom. */
extern void proof_gather_query(Proof *proof);
extern bool proof_find_query(Proof *proof, text *key, text **ref);

#endif							/* LOYALTY_VERIFY_PURCHASES_H */
