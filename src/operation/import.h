/*
 * import.h
 *		What the parts of importing members share.
 */
#ifndef LOYALTY_IMPORT_H
#define LOYALTY_IMPORT_H

#include "postgres.h"
#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "ledger/config.h"
#include "ledger/imported.h"
#include "operation/batch.h"

/* The columns of the list: the place of the member, then those of the source. */
enum
{
	IMPORT_MEMBER_ID,
	IMPORT_MEMBER,
	IMPORT_POINTS,
	IMPORT_STARTS,
	IMPORT_ENDS,
	IMPORT_LIFETIME,
	IMPORT_ENROLLED_AT,
	IMPORT_LAST_ACTIVITY,
	IMPORT_TIER,
	IMPORT_TIER_SINCE,
	IMPORT_TIER_UNTIL,
	IMPORT_TALLY,
	IMPORT_BIRTHDAY,
	IMPORT_SEGMENTS,
	IMPORT_DATA,
	IMPORT_NCOLUMNS
};

/* The rows of the source, by member and on disk if they are many; outlives the commits. */
typedef struct ImportList
{
	TupleDesc	desc;
	Tuplestorestate *rows;
	TupleTableSlot *slot;
	HeapTuple	ahead;			/* read already: the first row of the next member; NULL: none */
	MemoryContext context;
	int64		members;
} ImportList;

/* One member as the source has him. */
typedef struct ImportMember
{
	int64		member_id;
	text	   *ref;
	int			nrows;
	HeapTuple  *rows;
} ImportMember;

/*
 * Read the source, a table or a query, with the caller's rights; times without
 * a zone are read in the program's.  Rows without a member are an error.
 */
extern void import_list_begin(ImportList *list, Config *config, const Program *program, const char *source);
extern void import_list_end(ImportList *list);

/* The next members, in the order of their places; returns how many. */
extern int	import_list_next(ImportList *list, ImportMember *members, int limit);

/* What is written of a batch. */
typedef struct ImportBatch
{
	Config	   *config;
	Program    *program;
	text	   *key;			/* as given */
	TimestampTz at;
	bool		at_given;
	TupleDesc	desc;
	ImportMember *members;
	int			count;
	/* out */
	int			imported;
	int			repeated;
	int			forgotten;		/* left out, and not put on record either */
} ImportBatch;

/* Lock the members of an ImportBatch, and write what they bring; a callback for attempt(). */
extern void import_write(void *batch);

#endif							/* LOYALTY_IMPORT_H */
