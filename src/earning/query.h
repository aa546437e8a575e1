/*
 * query.h
 *		Attached queries: their rows read as lines of purchases.
 */
#ifndef LOYALTY_QUERY_H
#define LOYALTY_QUERY_H

#include "postgres.h"
#include "nodes/parsenodes.h"

#include "earning/source.h"
#include "loyalty.h"

/*
 * Checking
 */

/* The columns of a query, by what they mean. */
typedef struct QueryShape
{
	Oid			types[NFIELDS]; /* without domains; InvalidOid: there is no such column */
	int32		key_typmod;		/* -1: any */
	List	   *own;			/* functions that it calls, also by operators, and that are not PostgreSQL's */
} QueryShape;

/*
 * Analyze the query under the search_path of the moment and check that it is
 * one to read purchases from; errors name the position in its text.
 */
extern Query *query_parse(const char *source_name, const char *text, QueryShape *shape);

/* Its text with everything named in full. */
extern char *query_deparse(const Query *query);

/* Name of the key's type, as it is kept. */
extern char *query_key_type_name(const QueryShape *shape);

/*
 * Reading
 */

/* What a query says of one key. */
typedef struct QueryPurchase
{
	text	   *key;
	bool		found;			/* any line has the key */
	text	   *ref;			/* NULL: nobody's */
	TimestampTz at;				/* if nlines > 0 */
	int			nlines;			/* that count */
	PurchaseLine *lines;
	ErrorData  *error;			/* why it cannot be read; NULL: it can */
} QueryPurchase;

/* Make it ready to read; raises what is wrong with the query by now. */
extern void query_ready(Source *source);

/* Between these SQL runs with the owner's rights and pinned settings. */
extern void query_enter(const Source *source, EngineScope *scope);
extern void query_leave(EngineScope *scope);

/* The key type, which holds also while the query cannot be read. */
extern void query_key_type(Source *source, Oid *type, int32 *typmod);

/* A value of the key type as a key; within query_enter. */
extern text *query_key_text(Source *source, Datum value);

/*
 * Read the purchases of these keys, which ascend.  "live": as they are now, in
 * a snapshot of its own; 40001 where the transaction's snapshot misses lines.
 * Else as the active snapshot has them.  What cannot be read has its error; or
 * it is raised where the source says so.
 */
extern void query_read(Source *source, QueryPurchase *purchases, int npurchases, bool live, TimestampTz now);

/* Whether functions that a query calls are running now: what they write, it would read for ever. */
extern bool query_is_being_read(void);

/* All purchases in order of their keys, as the active snapshot has them; to be used between SPI_connect and SPI_finish. */
typedef struct QueryScan QueryScan;
extern QueryScan *query_scan_begin(Source *source, TimestampTz now);
extern bool query_scan_next(QueryScan *scan, QueryPurchase *purchase);	/* in CurrentMemoryContext */
extern void query_scan_end(QueryScan *scan);

/* The purchase for its member; it points into what was read. */
extern void query_purchase(const QueryPurchase *read, int64 member_id, Purchase *purchase);

#endif							/* LOYALTY_QUERY_H */
