/*
 * verify.h
 *		What the parts of verify() share.
 */
#ifndef LOYALTY_VERIFY_H
#define LOYALTY_VERIFY_H

#include "postgres.h"
#include "executor/spi.h"
#include "utils/tuplestore.h"

#include "ledger/config.h"
#include "ledger/storage.h"

typedef struct Verification
{
	Config	   *config;
	Program    *only;			/* NULL: all programs */
	Tuplestorestate *result;
	TupleDesc	desc;
} Verification;

/* One violation. */
typedef struct Violation
{
	const char *invariant;
	const char *program;
	const char *member;			/* his ref */
	const char *purchase;		/* NULL: none */
	const char *problem;
	const char *expected;
	const char *actual;
} Violation;

extern void verify_report(Verification *verification, const Violation *violation);

/*
 * Report what a query finds.  It gives the columns of a violation but for the
 * purchase; $1 is the name of the program, NULL for all of them.
 */
extern void verify_rows(Verification *verification, const char *sql);

/*
 * Some of the members, those whose member_id is from the first to the last, and
 * their entries: reports what is wrong with them, or without a verification
 * stops at the first violation.  Returns whether they are sound.  To be used
 * between SPI_connect and SPI_finish; without a verification it runs in a
 * parallel worker, too.
 */
typedef struct MemberRange
{
	int32		program_id;		/* 0: of all programs */
	int64		first;
	int64		last;
} MemberRange;
extern bool verify_range(Verification *verification, const MemberRange *range);

/* The members and their entries: I1, I2, I3, I5 and the rows themselves. */
extern void verify_members(Verification *verification);

/* The purchases: I4. */
extern void verify_purchases(Verification *verification);

/* What is counted for limits, and budgets: I4. */
extern void verify_limits(Verification *verification);

/* What awaits confirmation, and what was decided: I4. */
extern void verify_confirm(Verification *verification);

/* The two sides of transfers: I6. */
extern void verify_transfers(Verification *verification);

/* Holds, and what is held of whom: I6. */
extern void verify_holds(Verification *verification);
/* What was undone, and of what: I6. */
extern void verify_cancel(Verification *verification);
/* Vouchers, their uses and returns: I6. */
extern void verify_vouchers(Verification *verification);
/* Members who were merged: I6. */
extern void verify_people(Verification *verification);

/* Adjustments that took a second person: I6. */
extern void verify_proposals(Verification *verification);

/* Seals and their leaves: I3. */
extern void verify_seals(Verification *verification);

/* Rollups: I1. */
extern void verify_rollups(Verification *verification);

/* Of whom nothing personal is to be left. */
extern void verify_forgotten(Verification *verification);

/* What was redeemed, and stock: I6. */
extern void verify_redemptions(Verification *verification);

/* Where members stand, and whether maintenance finds them: I7. */
extern void verify_tiers(Verification *verification);

/* Who gets at what: I8. */
extern void verify_access(Verification *verification);

/*
 * Rows of a query, one after the other, as the active snapshot sees them.
 * Values are good until the next row is asked for; nothing piles up.  To be
 * used between SPI_connect and SPI_finish.
 */
typedef struct Cursor
{
	Oid			user_id;		/* whose rights it has */
	bool		foreign;		/* not the caller's: it reads somebody's table */
	Portal		portal;
	SPITupleTable *table;
	uint64		count;
	uint64		next;
	HeapTuple	tuple;			/* NULL: at the end */
	Datum	   *values;
	bool	   *nulls;
} Cursor;

/* With the rights of user_id, who owns what is read; InvalidOid: the caller's. */
extern void cursor_open(Cursor *cursor, Oid user_id, const char *sql, int nargs,
						Oid *types, Datum *values, const char *nulls);
extern bool cursor_next(Cursor *cursor);
extern void cursor_close(Cursor *cursor);

/* Columns of entry for a cursor, and the row that they are. */
#define ENTRY_COLUMNS \
	"member_id, seq, points, occurred_at, posted_at, program_id, rule_id, source_id, revision," \
	" rule_horizon, kind, source_key, lots, amount, context, note, hash"
extern void cursor_entry(const Cursor *cursor, EntryRow *entry);

#endif							/* LOYALTY_VERIFY_H */
