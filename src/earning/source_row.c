/*
 * source_row.c
 *		Rows of attached tables, and their keys, read as purchases.
 *
 * The expressions run with the rights of the table's owner, never with those
 * of whoever inserts an order, and never with the engine's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "earning/source.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "types/calendar.h"

void
source_pin_settings(void)
{
	static const char *const pins[][2] = {
		{"TimeZone", "UTC"}, {"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"search_path", "pg_catalog, pg_temp"}
	};
	int			i;

	for (i = 0; i < lengthof(pins); i++)
		(void) set_config_option(pins[i][0], pins[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

void
source_enter(Source *source, SourceScope *scope)
{
	GetUserIdAndSecContext(&scope->user_id, &scope->sec_context);
	SetUserIdAndSecContext(source->owner,
						   scope->sec_context | SECURITY_RESTRICTED_OPERATION);
	if (source->pin_settings)
		scope->guc_level = settings_pin();
}

void
source_leave(Source *source, SourceScope *scope)
{
	if (source->pin_settings)
		settings_unpin(scope->guc_level);
	SetUserIdAndSecContext(scope->user_id, scope->sec_context);
}

/* Evaluate on the row in econtext; the result lives until the context is reset. */
static Datum
eval(Source *source, SourceExpr *compiled, bool *isnull)
{
	return ExecEvalExprSwitchContext(compiled->state, source->econtext, isnull);
}

/* A value as text, in CurrentMemoryContext. */
static text *
value_text(SourceExpr *compiled, Datum value)
{
	char		digits[MAXINT8LEN + 1];

	switch (compiled->type)
	{
		case INT2OID:
			pg_ltoa(DatumGetInt16(value), digits);
			return cstring_to_text(digits);
		case INT4OID:
			pg_ltoa(DatumGetInt32(value), digits);
			return cstring_to_text(digits);
		case INT8OID:
			pg_lltoa(DatumGetInt64(value), digits);
			return cstring_to_text(digits);
		case BPCHAROID:
			{
				/* Blanks that pad it are not part of it. */
				char	   *padded = TextDatumGetCString(value);
				int			length = strlen(padded);

				while (length > 0 && padded[length - 1] == ' ')
					length--;
				return cstring_to_text_with_len(padded, length);
			}
		default:
			if (compiled->as_is)
				return DatumGetTextPCopy(value);
			return cstring_to_text(OutputFunctionCall(&compiled->output, value));
	}
}

/* Parts of a composite key are joined by commas; commas and backslashes in them are escaped. */
static void
append_escaped(StringInfo key, const char *part)
{
	for (; *part != '\0'; part++)
	{
		if (*part == ',' || *part == '\\')
			appendStringInfoChar(key, '\\');
		appendStringInfoChar(key, *part);
	}
}

/* The key of the row in econtext, of any length; NULL when a part of it is null. */
static text *
join_key(Source *source)
{
	StringInfoData key;
	text	   *result;
	Datum		value;
	bool		isnull;
	int			i;

	if (source->nkeys == 1)
	{
		value = eval(source, &source->keys[0], &isnull);
		return isnull ? NULL : value_text(&source->keys[0], value);
	}
	initStringInfo(&key);
	for (i = 0; i < source->nkeys; i++)
	{
		value = eval(source, &source->keys[i], &isnull);
		if (isnull)
			return NULL;
		if (i > 0)
			appendStringInfoChar(&key, ',');
		append_escaped(&key, text_to_cstring(value_text(&source->keys[i], value)));
	}
	result = cstring_to_text_with_len(key.data, key.len);
	pfree(key.data);
	return result;
}

/* The key that the ledger's own index can hold, else NULL. */
static text *
read_key(Source *source)
{
	text	   *key = join_key(source);

	return key == NULL || VARSIZE_ANY_EXHDR(key) > MAX_KEY_BYTES ? NULL : key;
}

text *
source_read_key(Source *source, TupleTableSlot *slot)
{
	text	   *key;

	source->econtext->ecxt_scantuple = slot;
	key = read_key(source);
	ResetExprContext(source->econtext);
	return key;
}

void
source_split_key(const Source *source, const text *key, char **parts)
{
	char	   *rest = text_to_cstring(key);
	int			i;

	if (source->nkeys == 1)
	{
		parts[0] = rest;
		return;
	}
	for (i = 0; i < source->nkeys; i++)
	{
		char	   *to = rest;

		parts[i] = rest;
		while (*rest != '\0' && *rest != ',')
		{
			if (*rest == '\\' && rest[1] != '\0')
				rest++;
			*to++ = *rest++;
		}
		if ((*rest == ',') != (i + 1 < source->nkeys))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("\"%s\" is not a key of source \"%s\"", text_to_cstring(key), source->name)));
		if (*rest == ',')
			rest++;
		*to = '\0';
	}
}

TimestampTz
source_instant(const Source *source, Datum value, Oid type)
{
	TimestampTz at;

	if (type == TIMESTAMPTZOID)
		at = DatumGetTimestampTz(value);
	else if (type == TIMESTAMPOID)
		at = calendar_instant(DatumGetTimestamp(value), source->program->zone);
	else
		at = calendar_start_of_day(DatumGetDateADT(value), source->program->zone);
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a purchase must be finite")));
	if (!calendar_has(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a purchase must be in the years 1 to 9999"),
				 errdetail("It is %s.", timestamptz_to_str(at))));
	return at;
}

Numeric
source_number(Datum value, SourceField field)
{
	Numeric		number = DatumGetNumericCopy(value);

	if (numeric_is_nan(number) || numeric_is_inf(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" of a purchase must be a finite number", source_field_names[field])));
	return number;
}

/*
 * The instant of a purchase, DT_NOBEGIN when the row has none: dates and local
 * times are read in the program's zone.
 */
static TimestampTz
read_at(Source *source)
{
	SourceExpr *compiled = &source->fields[FIELD_AT];
	Datum		value;
	bool		isnull;

	if (compiled->expr == NULL)
		return DT_NOBEGIN;
	value = eval(source, compiled, &isnull);
	return isnull ? DT_NOBEGIN : source_instant(source, value, compiled->type);
}

/* A numeric field, in CurrentMemoryContext; NULL for null or not mapped. */
static Numeric
read_numeric(Source *source, SourceField field)
{
	bool		isnull;
	Datum		value;

	if (source->fields[field].expr == NULL)
		return NULL;
	value = eval(source, &source->fields[field], &isnull);
	return isnull ? NULL : source_number(value, field);
}

/* A text field, in CurrentMemoryContext; NULL for null, not mapped, or read by no rule. */
static text *
read_text(Source *source, SourceField field)
{
	bool		isnull;
	Datum		value;

	if (source->fields[field].expr == NULL || !source->wanted[field])
		return NULL;
	value = eval(source, &source->fields[field], &isnull);
	return isnull ? NULL : DatumGetTextPCopy(value);
}

static Jsonb *
read_data(Source *source)
{
	bool		isnull;
	Datum		value;

	if (source->fields[FIELD_DATA].expr == NULL || !source->wanted[FIELD_DATA])
		return NULL;
	value = eval(source, &source->fields[FIELD_DATA], &isnull);
	return isnull ? NULL : (Jsonb *) PG_DETOAST_DATUM_COPY(value);
}

/* The rest of a row that counts. */
static void
read_line(Source *source, TimestampTz now, SourceRow *row)
{
	PurchaseLine *line = &row->line;

	line->at = read_at(source);
	row->at = TIMESTAMP_IS_NOBEGIN(line->at) ? now : line->at;
	line->quantity = read_numeric(source, FIELD_QUANTITY);
	line->item = read_text(source, FIELD_ITEM);
	line->category = read_text(source, FIELD_CATEGORY);
	line->channel = read_text(source, FIELD_CHANNEL);
	line->store = read_text(source, FIELD_STORE);
	line->currency = read_text(source, FIELD_CURRENCY);
	line->data = read_data(source);
}

void
source_read_row(Source *source, TupleTableSlot *slot, TimestampTz now, SourceRow *row)
{
	Datum		value;
	bool		isnull;

	if (source->broken != NULL)
		ReThrowError(source->broken);

	memset(row, 0, sizeof(*row));
	source->econtext->ecxt_scantuple = slot;
	row->key = read_key(source);
	value = eval(source, &source->fields[FIELD_MEMBER], &isnull);
	if (!isnull && row->key != NULL)
	{
		row->ref = value_text(&source->fields[FIELD_MEMBER], value);
		if (VARSIZE_ANY_EXHDR(row->ref) == 0)
			row->ref = NULL;
	}
	if (row->ref != NULL)
	{
		row->counts = true;
		if (source->fields[FIELD_COUNTS].expr != NULL)
		{
			value = eval(source, &source->fields[FIELD_COUNTS], &isnull);
			row->counts = !isnull && DatumGetBool(value);
		}
	}
	if (row->counts)
	{
		row->line.amount = read_numeric(source, FIELD_AMOUNT);
		row->counts = row->line.amount != NULL;
	}
	if (row->counts)
		read_line(source, now, row);
	ResetExprContext(source->econtext);
}

/* Like read_text, whether or not a rule reads it. */
static text *
read_any_text(Source *source, SourceField field)
{
	bool		isnull;
	Datum		value;

	if (source->fields[field].expr == NULL)
		return NULL;
	value = eval(source, &source->fields[field], &isnull);
	return isnull ? NULL : DatumGetTextPCopy(value);
}

bool
source_read_sale(Source *source, TupleTableSlot *slot, SourceRow *row)
{
	PurchaseLine *line = &row->line;
	Datum		value;
	bool		isnull = false;

	if (source->broken != NULL)
		ReThrowError(source->broken);

	memset(row, 0, sizeof(*row));
	source->econtext->ecxt_scantuple = slot;
	row->key = read_key(source);
	row->counts = row->key != NULL;
	if (row->counts && source->fields[FIELD_COUNTS].expr != NULL)
	{
		value = eval(source, &source->fields[FIELD_COUNTS], &isnull);
		row->counts = !isnull && DatumGetBool(value);
	}
	if (row->counts)
	{
		line->amount = read_numeric(source, FIELD_AMOUNT);
		row->counts = line->amount != NULL;
	}
	if (row->counts)
	{
		value = eval(source, &source->fields[FIELD_MEMBER], &isnull);
		row->ref = isnull ? NULL : value_text(&source->fields[FIELD_MEMBER], value);
		if (row->ref != NULL && VARSIZE_ANY_EXHDR(row->ref) == 0)
			row->ref = NULL;
		line->at = row->at = read_at(source);
		line->channel = read_any_text(source, FIELD_CHANNEL);
		line->store = read_any_text(source, FIELD_STORE);
		line->currency = read_any_text(source, FIELD_CURRENCY);
	}
	ResetExprContext(source->econtext);
	return row->counts;
}

void
source_row_purchase(SourceRow *row, int64 member_id, Purchase *purchase)
{
	memset(purchase, 0, sizeof(*purchase));
	purchase->member_id = member_id;
	purchase->ref = row->ref;
	purchase->key = row->key;
	purchase->counts = row->counts;
	purchase->at = row->at;
	purchase->nlines = row->counts ? 1 : 0;
	purchase->lines = row->counts ? &row->line : NULL;
}
