/*
 * fact.c
 *		What rules may read of a purchase and of its member.
 *
 * One table says what each fact is called and of which type it is; whatever is
 * added there can be written in a rule's expressions, and is kept with the
 * purchase if it is the member's.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "earning/fact.h"
#include "earning/json.h"

#define MEMBER_QUALIFIER "member"

static const struct
{
	const char *qualifier;		/* NULL: none */
	const char *name;
	const char *full_name;
	Oid			type;
}			facts[NFACTS] = {
	[FACT_AMOUNT] = {NULL, "amount", "amount", NUMERICOID},
	[FACT_QUANTITY] = {NULL, "quantity", "quantity", NUMERICOID},
	[FACT_ITEM] = {NULL, "item", "item", TEXTOID},
	[FACT_CATEGORY] = {NULL, "category", "category", TEXTOID},
	[FACT_CHANNEL] = {NULL, "channel", "channel", TEXTOID},
	[FACT_STORE] = {NULL, "store", "store", TEXTOID},
	[FACT_CURRENCY] = {NULL, "currency", "currency", TEXTOID},
	[FACT_AT] = {NULL, "at", "at", TIMESTAMPOID},
	[FACT_DATA] = {NULL, "data", "data", JSONBOID},
	[FACT_ORDER_AMOUNT] = {NULL, "order_amount", "order_amount", NUMERICOID},
	[FACT_ORDER_QUANTITY] = {NULL, "order_quantity", "order_quantity", NUMERICOID},
	[FACT_PURCHASE_NO] = {NULL, "purchase_no", "purchase_no", INT8OID},
	[FACT_ENROLLED_AT] = {MEMBER_QUALIFIER, "enrolled_at", "member.enrolled_at", TIMESTAMPOID},
	[FACT_BIRTHDAY] = {MEMBER_QUALIFIER, "birthday", "member.birthday", DATEOID},
	[FACT_SEGMENTS] = {MEMBER_QUALIFIER, "segments", "member.segments", TEXTARRAYOID},
	[FACT_MEMBER_DATA] = {MEMBER_QUALIFIER, "data", "member.data", JSONBOID},
	[FACT_TIER] = {MEMBER_QUALIFIER, "tier", "member.tier", TEXTOID},
	[FACT_QUALIFYING] = {MEMBER_QUALIFIER, "qualifying", "member.qualifying", NUMERICOID},
};

const char *
fact_name(Fact fact)
{
	return facts[fact].full_name;
}

Oid
fact_type(Fact fact)
{
	return facts[fact].type;
}

Fact
fact_by_name(const char *qualifier, const char *name)
{
	int			fact;

	for (fact = 0; fact < NFACTS; fact++)
		if (strcmp(facts[fact].name, name) == 0 &&
			(qualifier == NULL) == (facts[fact].qualifier == NULL) &&
			(qualifier == NULL || strcmp(facts[fact].qualifier, qualifier) == 0))
			break;
	return (Fact) fact;
}

TupleDesc
fact_row_type(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(NFACTS);
	int			fact;

	for (fact = 0; fact < NFACTS; fact++)
	{
		TupleDescInitEntry(desc, fact + 1, facts[fact].full_name, facts[fact].type, -1, 0);
		TupleDescInitEntryCollation(desc, fact + 1, get_typcollation(facts[fact].type));
	}
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
	return desc;
}

ArrayType *
fact_texts(ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			all;
	int			count = 0;
	int			i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &all);
	for (i = 0; i < all; i++)
		if (!nulls[i])
			elements[count++] = elements[i];
	return construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * As JSON, in which the facts of a member are kept with his purchases: numbers
 * as numbers, dates and times as ISO strings, the rest as what it is.
 */

static void
push_texts(JsonbParseState **state, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < count; i++)
		if (!nulls[i])
			json_push_string(state, WJB_ELEM, VARDATA_ANY(DatumGetTextPP(elements[i])),
							 VARSIZE_ANY_EXHDR(DatumGetTextPP(elements[i])));
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

void
facts_to_json(JsonbParseState **state, const FactValues *values, FactSet set)
{
	char		buffer[MAXDATELEN + 1];
	int			fact;

	for (fact = 0; fact < NFACTS; fact++)
	{
		Datum		datum = values->values[fact];

		if (!(set & FACT_BIT(fact)) || values->nulls[fact])
			continue;
		json_push_key(state, facts[fact].name);
		switch (facts[fact].type)
		{
			case NUMERICOID:
				json_push_numeric(state, WJB_VALUE, DatumGetNumeric(datum));
				break;
			case INT8OID:
				json_push_numeric(state, WJB_VALUE, DatumGetNumeric(DirectFunctionCall1(int8_numeric, datum)));
				break;
			case DATEOID:
			case TIMESTAMPOID:
				JsonEncodeDateTime(buffer, datum, facts[fact].type, NULL);
				json_push_string(state, WJB_VALUE, pstrdup(buffer), strlen(buffer));
				break;
			case TEXTOID:
				json_push_string(state, WJB_VALUE, VARDATA_ANY(DatumGetTextPP(datum)),
								 VARSIZE_ANY_EXHDR(DatumGetTextPP(datum)));
				break;
			case TEXTARRAYOID:
				push_texts(state, DatumGetArrayTypeP(datum));
				break;
			default:
				json_push_jsonb(state, WJB_VALUE, DatumGetJsonbP(datum));
		}
	}
}

/* 22023 for a kept fact that is not what it should be. */
static void
raise_malformed(Fact fact)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" kept with a purchase is malformed", fact_name(fact))));
}

static Datum
texts_from_json(Fact fact, const JsonbValue *value)
{
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;
	int			count;
	Datum	   *elements;
	int			i;

	if (array == NULL || !JsonContainerIsArray(array))
		raise_malformed(fact);
	count = JsonContainerSize(array);
	elements = palloc(sizeof(Datum) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvString)
			raise_malformed(fact);
		elements[i] = PointerGetDatum(cstring_to_text_with_len(element->val.string.val,
															   element->val.string.len));
	}
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
fact_from_json(Fact fact, JsonbValue *value)
{
	Oid			type = facts[fact].type;
	char	   *string;

	if (type == JSONBOID)
		return JsonbPGetDatum(JsonbValueToJsonb(value));
	if (type == TEXTARRAYOID)
		return texts_from_json(fact, value);
	if (type == NUMERICOID || type == INT8OID)
	{
		if (value->type != jbvNumeric)
			raise_malformed(fact);
		return type == NUMERICOID ? NumericGetDatum(value->val.numeric)
			: DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric));
	}
	if (value->type != jbvString)
		raise_malformed(fact);
	string = pnstrdup(value->val.string.val, value->val.string.len);
	if (type == DATEOID)
		return DirectFunctionCall1(date_in, CStringGetDatum(string));
	if (type == TIMESTAMPOID)
		return DirectFunctionCall3(timestamp_in, CStringGetDatum(string),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return CStringGetTextDatum(string);
}

void
facts_from_json(const JsonbContainer *object, FactValues *values)
{
	int			fact;

	for (fact = 0; fact < NFACTS; fact++)
	{
		JsonbValue	key;
		JsonbValue *value;

		values->nulls[fact] = true;
		if (!(KEPT_FACTS & FACT_BIT(fact)))
			continue;
		key.type = jbvString;
		key.val.string.val = unconstify(char *, facts[fact].name);
		key.val.string.len = strlen(facts[fact].name);
		value = findJsonbValueFromContainer(unconstify(JsonbContainer *, object), JB_FOBJECT, &key);
		if (value == NULL || value->type == jbvNull)
			continue;
		values->values[fact] = fact_from_json((Fact) fact, value);
		values->nulls[fact] = false;
	}
}
