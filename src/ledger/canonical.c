/*
 * canonical.c
 *		Text and JSON as bytes that are the same in every database.
 *
 * What is hashed must read the same after a dump into another encoding.  A
 * database that is in UTF-8 has it as it should be.  Elsewhere text is
 * converted, and the keys of JSON objects stand in another order, since jsonb
 * sorts them by their bytes, shorter ones first.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "ledger/canonical.h"

const char *
canonical_text(const char *value, int *length)
{
	char	   *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, value), *length,
														  GetDatabaseEncoding(), PG_UTF8);

	if (utf8 != value)
		*length = strlen(utf8);
	return utf8;
}

typedef struct Pair
{
	const char *key;			/* in UTF-8 */
	int			length;
	JsonbValue	value;
} Pair;

static void append_container(StringInfo bytes, JsonbContainer *container);

static void
append_string(StringInfo bytes, const char *utf8, int length)
{
	char	   *terminated = pnstrdup(utf8, length);

	/* Only escapes ASCII, which in UTF-8 no other letter has a byte of. */
	escape_json(bytes, terminated);
	pfree(terminated);
}

static void
append_value(StringInfo bytes, JsonbValue *value)
{
	int			length;
	const char *utf8;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(bytes, "null");
			break;
		case jbvBool:
			appendStringInfoString(bytes, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			appendStringInfoString(bytes, DatumGetCString(DirectFunctionCall1(numeric_out,
																			 NumericGetDatum(value->val.numeric))));
			break;
		case jbvString:
			length = value->val.string.len;
			utf8 = canonical_text(value->val.string.val, &length);
			append_string(bytes, utf8, length);
			break;
		case jbvBinary:
			append_container(bytes, value->val.binary.data);
			break;
		default:
			elog(ERROR, "unrecognized jsonb value type: %d", (int) value->type);
	}
}

/* As jsonb orders keys. */
static int
compare_pairs(const void *a, const void *b)
{
	const Pair *left = a;
	const Pair *right = b;

	if (left->length != right->length)
		return left->length < right->length ? -1 : 1;
	return memcmp(left->key, right->key, left->length);
}

static void
append_object(StringInfo bytes, JsonbIterator **iterator, int npairs)
{
	Pair	   *pairs = palloc(sizeof(Pair) * Max(npairs, 1));
	JsonbValue	key;
	int			i;

	for (i = 0; i < npairs; i++)
	{
		(void) JsonbIteratorNext(iterator, &key, true);
		pairs[i].length = key.val.string.len;
		pairs[i].key = canonical_text(key.val.string.val, &pairs[i].length);
		(void) JsonbIteratorNext(iterator, &pairs[i].value, true);
	}
	qsort(pairs, npairs, sizeof(Pair), compare_pairs);

	appendStringInfoChar(bytes, '{');
	for (i = 0; i < npairs; i++)
	{
		if (i > 0)
			appendStringInfoString(bytes, ", ");
		append_string(bytes, pairs[i].key, pairs[i].length);
		appendStringInfoString(bytes, ": ");
		append_value(bytes, &pairs[i].value);
	}
	appendStringInfoChar(bytes, '}');
}

static void
append_array(StringInfo bytes, JsonbIterator **iterator, const JsonbValue *array)
{
	JsonbValue	value;
	int			i;

	if (!array->val.array.rawScalar)
		appendStringInfoChar(bytes, '[');
	for (i = 0; i < array->val.array.nElems; i++)
	{
		(void) JsonbIteratorNext(iterator, &value, true);
		if (i > 0)
			appendStringInfoString(bytes, ", ");
		append_value(bytes, &value);
	}
	if (!array->val.array.rawScalar)
		appendStringInfoChar(bytes, ']');
}

static void
append_container(StringInfo bytes, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	value;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (JsonbIteratorNext(&iterator, &value, true) == WJB_BEGIN_OBJECT)
		append_object(bytes, &iterator, value.val.object.nPairs);
	else
		append_array(bytes, &iterator, &value);
}

const char *
canonical_json(Jsonb *json, int *length)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	if (GetDatabaseEncoding() == PG_UTF8)
		(void) JsonbToCString(&bytes, &json->root, VARSIZE(json));
	else
		append_container(&bytes, &json->root);
	*length = bytes.len;
	return bytes.data;
}
