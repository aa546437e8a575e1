/*
 * query_lines.c
 *		Rows of a query put together to purchases.
 *
 * Rows that do not count, or have no amount, are left out.  The others are
 * lines of one purchase, exact duplicates too; it is whose the lines say that
 * name a member, and took place when the earliest of them did.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "earning/query_private.h"

/* A text column, copied into the caller's memory; NULL for null. */
static text *
line_text(HeapTuple row, TupleDesc desc, SourceField field)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, field + 1, &isnull);

	return isnull ? NULL : DatumGetTextPCopy(value);
}

static Numeric
line_number(HeapTuple row, TupleDesc desc, SourceField field)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, field + 1, &isnull);

	return isnull ? NULL : source_number(value, field);
}

/* The member of a line; an empty text is none. */
static text *
line_member(HeapTuple row, TupleDesc desc)
{
	text	   *ref = line_text(row, desc, FIELD_MEMBER);

	return ref == NULL || VARSIZE_ANY_EXHDR(ref) == 0 ? NULL : ref;
}

/*
 * When the line took place; DT_NOBEGIN where it does not say.  The type is that
 * of this very reading: tables that are not watched may have changed since the
 * query was checked.
 */
static TimestampTz
line_at(const Source *source, HeapTuple row, TupleDesc desc)
{
	Oid			type = getBaseType(TupleDescAttr(desc, FIELD_AT)->atttypid);
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, FIELD_AT + 1, &isnull);

	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"at\" must be a date or a time, not %s", format_type_be(type))));
	return isnull ? DT_NOBEGIN : source_instant(source, value, type);
}

/* Room for one more line, zeroed. */
static PurchaseLine *
new_line(QueryPurchase *purchase)
{
	PurchaseLine *line;

	if (purchase->nlines == 0)
		purchase->lines = palloc(sizeof(PurchaseLine) * 4);
	else if (purchase->nlines >= 4 && (purchase->nlines & (purchase->nlines - 1)) == 0)
		purchase->lines = repalloc_huge(purchase->lines, sizeof(PurchaseLine) * purchase->nlines * 2);
	line = &purchase->lines[purchase->nlines++];
	memset(line, 0, sizeof(*line));
	return line;
}

/* Whose it is: LY010 when two lines disagree. */
static void
take_member(const Source *source, QueryPurchase *purchase, text *ref)
{
	if (ref == NULL)
		return;
	if (purchase->ref == NULL)
		purchase->ref = ref;
	else if (!same_text(purchase->ref, ref))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_SOURCE_CONFLICT),
				 errmsg("lines of purchase \"%s\" of source \"%s\" name different members",
						text_to_cstring(purchase->key), source->name),
				 errdetail("One is \"%s\", another one is \"%s\".", text_to_cstring(purchase->ref),
						   text_to_cstring(ref)),
				 errhint("A purchase is one member's: let the key tell them apart.")));
}

/* Add what one row says, in CurrentMemoryContext. */
static void
take_line(const Source *source, QueryPurchase *purchase, HeapTuple row, TupleDesc desc, TimestampTz now)
{
	bool		isnull;
	bool		counts = DatumGetBool(SPI_getbinval(row, desc, FIELD_COUNTS + 1, &isnull)) && !isnull;
	Numeric		amount = counts ? line_number(row, desc, FIELD_AMOUNT) : NULL;
	PurchaseLine *line;
	TimestampTz at;
	Datum		value;

	purchase->found = true;
	if (amount == NULL)
		return;
	take_member(source, purchase, line_member(row, desc));
	line = new_line(purchase);
	line->amount = amount;
	line->at = line_at(source, row, desc);
	at = TIMESTAMP_IS_NOBEGIN(line->at) ? now : line->at;
	line->quantity = line_number(row, desc, FIELD_QUANTITY);
	line->item = line_text(row, desc, FIELD_ITEM);
	line->category = line_text(row, desc, FIELD_CATEGORY);
	line->channel = line_text(row, desc, FIELD_CHANNEL);
	line->store = line_text(row, desc, FIELD_STORE);
	line->currency = line_text(row, desc, FIELD_CURRENCY);
	value = SPI_getbinval(row, desc, FIELD_DATA + 1, &isnull);
	if (!isnull)
		line->data = (Jsonb *) PG_DETOAST_DATUM_COPY(value);
	if (purchase->nlines == 1 || at < purchase->at)
		purchase->at = at;
}

/* A purchase none of whose lines counts is its first line's member's. */
static void
take_left_out(QueryPurchase *purchase, HeapTuple *rows, int nrows, TupleDesc desc)
{
	int			i;

	for (i = 0; i < nrows && purchase->ref == NULL; i++)
		purchase->ref = line_member(rows[i], desc);
}

void
query_take_rows(const Source *source, QueryPurchase *purchase, HeapTuple *rows, int nrows,
				TupleDesc desc, TimestampTz now)
{
	text	   *key = purchase->key;
	int			i;

	memset(purchase, 0, sizeof(*purchase));
	purchase->key = key;
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		take_line(source, purchase, rows[i], desc, now);
	}
	if (purchase->nlines == 0)
		take_left_out(purchase, rows, nrows, desc);
}

text *
query_row_key(HeapTuple row, TupleDesc desc)
{
	bool		isnull;

	return DatumGetTextPP(SPI_getbinval(row, desc, FIELD_KEY + 1, &isnull));
}

void
query_purchase(const QueryPurchase *read, int64 member_id, Purchase *purchase)
{
	memset(purchase, 0, sizeof(*purchase));
	purchase->member_id = member_id;
	purchase->ref = read->ref;
	purchase->key = read->key;
	purchase->counts = read->nlines > 0;
	purchase->at = read->at;
	purchase->nlines = read->nlines;
	purchase->lines = read->lines;
}
