/*
 * query_private.h
 *		What the files that read queries share.
 */
#ifndef LOYALTY_QUERY_PRIVATE_H
#define LOYALTY_QUERY_PRIVATE_H

#include "postgres.h"
#include "access/htup.h"
#include "executor/spi.h"

#include "earning/query.h"

/* A query made ready to be read, as long as the configuration that it belongs to. */
typedef struct QueryReader
{
	Oid			key_type;
	int32		key_typmod;
	FmgrInfo	key_input;
	FmgrInfo	key_output;
	Oid			key_ioparam;
	Oid			array_type;
	int16		length;
	bool		by_value;
	char		align;
	char	   *lines;			/* SELECT ... FROM (query); NULL: not ready */
	SPIPlanPtr	by_keys;		/* the same for an array of keys */
	MemoryContextCallback release;
} QueryReader;

/* The end of such a statement: by key, and then by everything, so that lines always come in one order. */
extern char *query_order(void);

/* The key of a row that the statement gives, in the row's own memory. */
extern text *query_row_key(HeapTuple row, TupleDesc desc);

/* Put a purchase, whose key stands there, together from all rows of that key; in CurrentMemoryContext. */
extern void query_take_rows(const Source *source, QueryPurchase *purchase, HeapTuple *rows, int nrows,
							TupleDesc desc, TimestampTz now);

#endif							/* LOYALTY_QUERY_PRIVATE_H */
