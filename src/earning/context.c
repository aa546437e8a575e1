/*
 * context.c
 *		entry.context of purchases: what they are judged by beside their rows.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "earning/context.h"
#include "earning/json.h"
#include "ledger/context_field.h"
#include "loyalty.h"

/*
 * Writing
 */

static void
write_purchase(JsonbParseState **state, const PurchaseContext *purchase)
{
	int			i;

	if (purchase->status != NULL)
	{
		json_push_key(state, "status");
		json_push_string(state, WJB_VALUE, purchase->status, strlen(purchase->status));
	}
	if (purchase->facts != NULL)
	{
		json_push_key(state, "facts");
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		facts_to_json(state, purchase->facts, purchase->read);
		pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	if (purchase->nbarred > 0)
	{
		json_push_key(state, "barred");
		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (i = 0; i < purchase->nbarred; i++)
			json_push_numeric(state, WJB_ELEM,
							  DatumGetNumeric(DirectFunctionCall1(int4_numeric, Int32GetDatum(purchase->barred[i]))));
		pushJsonbValue(state, WJB_END_ARRAY, NULL);
	}
	if (purchase->nrates > 0)
	{
		json_push_key(state, "rates");
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		for (i = 0; i < purchase->nrates; i++)
		{
			json_push_string(state, WJB_KEY, VARDATA_ANY(purchase->rates[i].currency),
							 VARSIZE_ANY_EXHDR(purchase->rates[i].currency));
			json_push_numeric(state, WJB_VALUE, purchase->rates[i].rate);
		}
		pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	if (purchase->request != NULL)
	{
		json_push_key(state, "request");
		json_push_jsonb(state, WJB_VALUE, purchase->request);
	}
	if (purchase->cancelled)
	{
		const char *key = purchase->cancel_key == NULL ? "" : purchase->cancel_key;

		json_push_key(state, FIELD_CANCELLED);
		json_push_string(state, WJB_VALUE, key, strlen(key));
	}
}

Jsonb *
context_write(const PurchaseContext *purchase, const RuleContext *rule)
{
	JsonbParseState *state = NULL;

	if (rule->shortfall == 0 && !rule->limited && !rule->awaiting.any && rule->awaiting.decision == DECISION_NONE &&
		(purchase == NULL ||
		 (purchase->status == NULL && purchase->facts == NULL && purchase->nbarred == 0 &&
		  purchase->nrates == 0 && purchase->request == NULL && !purchase->cancelled)))
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (purchase != NULL)
		write_purchase(&state, purchase);
	if (rule->shortfall != 0)
	{
		json_push_key(&state, "shortfall");
		json_push_numeric(&state, WJB_VALUE, points_to_numeric(rule->shortfall));
	}
	if (rule->limited)
	{
		json_push_key(&state, "wanted");
		json_push_numeric(&state, WJB_VALUE, points_to_numeric(rule->wanted));
	}
	if (rule->awaiting.any)
	{
		json_push_key(&state, "awaiting");
		json_push_numeric(&state, WJB_VALUE, points_to_numeric(rule->awaiting.points));
	}
	if (rule->awaiting.decision != DECISION_NONE)
	{
		const char *decision = decision_name(rule->awaiting.decision);

		json_push_key(&state, "decision");
		json_push_string(&state, WJB_VALUE, decision, strlen(decision));
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * Reading
 */

/* A field that is an array or an object; NULL when it is not there. */
static JsonbContainer *
container_field(const Jsonb *context, const char *name, bool array)
{
	JsonbValue *value = context_field(context, name);

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary ||
		JsonContainerIsArray(value->val.binary.data) != array)
		context_malformed(name);
	return value->val.binary.data;
}

void
context_read_rule(const Jsonb *context, RuleContext *rule)
{
	JsonbValue *shortfall;
	JsonbValue *wanted;

	memset(rule, 0, sizeof(*rule));
	if (context == NULL)
		return;
	shortfall = context_field(context, "shortfall");
	wanted = context_field(context, "wanted");
	if (shortfall != NULL && shortfall->type != jbvNumeric)
		context_malformed("shortfall");
	if (wanted != NULL && wanted->type != jbvNumeric)
		context_malformed("wanted");
	rule->shortfall = shortfall == NULL ? 0 : points_from_numeric(shortfall->val.numeric);
	rule->limited = wanted != NULL;
	rule->wanted = wanted == NULL ? 0 : points_from_numeric(wanted->val.numeric);
	awaiting_read(context, &rule->awaiting);
}

void
context_read_purchase(const Jsonb *original, PurchaseContext *purchase)
{
	Jsonb	   *context;
	JsonbValue *status;
	JsonbValue *request;
	JsonbContainer *facts;
	JsonbContainer *barred;
	int			i;

	if (original == NULL)
		return;
	/* Facts will point into it. */
	context = memcpy(palloc(VARSIZE_ANY(original)), original, VARSIZE_ANY(original));
	status = context_field(context, "status");
	if (status != NULL)
	{
		if (status->type != jbvString)
			context_malformed("status");
		purchase->status = pnstrdup(status->val.string.val, status->val.string.len);
	}
	facts = container_field(context, "facts", false);
	if (facts != NULL)
	{
		purchase->facts = palloc(sizeof(FactValues));
		facts_from_json(facts, purchase->facts);
	}
	barred = container_field(context, "barred", true);
	if (barred != NULL)
	{
		purchase->barred = palloc(sizeof(int32) * Max(JsonContainerSize(barred), 1));
		for (i = 0; i < JsonContainerSize(barred); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(barred, i);

			if (element->type != jbvNumeric)
				context_malformed("barred");
			purchase->barred[purchase->nbarred++] =
				DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(element->val.numeric)));
		}
	}
	request = context_field(context, "request");
	if (request != NULL)
		purchase->request = JsonbValueToJsonb(request);
	context_read_rates(context, purchase);
}

Numeric
context_rate(const PurchaseContext *purchase, const text *currency)
{
	int			i;

	for (i = 0; i < purchase->nrates; i++)
		if (same_text(purchase->rates[i].currency, currency))
			return purchase->rates[i].rate;
	return NULL;
}

void
context_add_rate(PurchaseContext *purchase, text *currency, Numeric rate)
{
	purchase->rates = purchase->rates == NULL ? palloc(sizeof(KeptRate))
		: repalloc(purchase->rates, sizeof(KeptRate) * (purchase->nrates + 1));
	purchase->rates[purchase->nrates].currency = currency;
	purchase->rates[purchase->nrates].rate = rate;
	purchase->nrates++;
}

void
context_read_rates(const Jsonb *context, PurchaseContext *purchase)
{
	JsonbContainer *rates = container_field(context, "rates", false);
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	text	   *currency = NULL;

	if (rates == NULL)
		return;
	iterator = JsonbIteratorInit(rates);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			currency = cstring_to_text_with_len(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvNumeric)
				context_malformed("rates");
			context_add_rate(purchase, currency,
							 DatumGetNumericCopy(NumericGetDatum(value.val.numeric)));
		}
	}
}
