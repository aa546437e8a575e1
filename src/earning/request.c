/*
 * request.c
 *		An event that a function is asked about: which no table holds.
 *
 * What was asked for is kept with the entries as one JSON object; whatever is
 * to be known of the event later, its lines too, is read from there by the same
 * code as at first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "earning/json.h"
#include "earning/json_field.h"
#include "earning/request.h"
#include "ledger/context_field.h"
#include "loyalty.h"

#define LINE_HINT "A line is an object of amount, quantity, item, category, channel, store, currency, at and data."

/*
 * What is asked
 */

void
request_check(const EventRequest *request)
{
	if (request->event == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event must not be null")));
	if (request->event[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event must not be empty")));
	if (request->amount != NULL && (numeric_is_nan(request->amount) || numeric_is_inf(request->amount)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must be a finite number")));
}

void
request_from_arguments(FunctionCallInfo fcinfo, int first, int at, EventRequest *request)
{
	memset(request, 0, sizeof(*request));
	if (!PG_ARGISNULL(first))
		request->event = text_to_cstring(PG_GETARG_TEXT_PP(first));
	if (!PG_ARGISNULL(first + 1))
		request->amount = PG_GETARG_NUMERIC(first + 1);
	if (!PG_ARGISNULL(first + 2))
		request->data = PG_GETARG_JSONB_P(first + 2);
	if (!PG_ARGISNULL(first + 3))
		request->lines = PG_GETARG_JSONB_P(first + 3);
	request->at_given = !PG_ARGISNULL(at);
	request->at = request->at_given ? PG_GETARG_TIMESTAMPTZ(at) : GetCurrentTransactionStartTimestamp();
	request_check(request);
}

Jsonb *
request_to_json(const EventRequest *request)
{
	JsonbParseState *state = NULL;
	char		buffer[MAXDATELEN + 1];
	int			utc = 0;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	json_push_key(&state, "event");
	json_push_string(&state, WJB_VALUE, request->event, strlen(request->event));
	if (request->amount != NULL)
	{
		json_push_key(&state, "amount");
		json_push_numeric(&state, WJB_VALUE, request->amount);
	}
	if (request->data != NULL)
	{
		json_push_key(&state, "data");
		json_push_jsonb(&state, WJB_VALUE, request->data);
	}
	if (request->lines != NULL)
	{
		json_push_key(&state, "lines");
		json_push_jsonb(&state, WJB_VALUE, request->lines);
	}
	if (request->at_given)
	{
		/* The same text in every session. */
		JsonEncodeDateTime(buffer, TimestampTzGetDatum(request->at), TIMESTAMPTZOID, &utc);
		json_push_key(&state, "at");
		json_push_string(&state, WJB_VALUE, buffer, strlen(buffer));
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

void
request_from_json(const Jsonb *json, EventRequest *request)
{
	JsonbValue *event = context_field(json, "event");
	JsonbValue *amount = context_field(json, "amount");
	JsonbValue *data = context_field(json, "data");
	JsonbValue *lines = context_field(json, "lines");

	memset(request, 0, sizeof(*request));
	if (event == NULL || event->type != jbvString || (amount != NULL && amount->type != jbvNumeric))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"request\" in the context of an entry is malformed")));
	request->event = pnstrdup(event->val.string.val, event->val.string.len);
	if (amount != NULL)
		request->amount = amount->val.numeric;
	if (data != NULL)
		request->data = JsonbValueToJsonb(data);
	if (lines != NULL)
		request->lines = JsonbValueToJsonb(lines);
	request->at = DT_NOBEGIN;	/* the ledger has it */
}

/*
 * Lines
 */

static void
read_field(const FieldReader *reader, PurchaseLine *line, const JsonbValue *name, JsonbValue *value)
{
	const struct
	{
		const char *name;
		Numeric    *number;
		text	  **text;
	}			fields[] = {
		{"amount", &line->amount, NULL}, {"quantity", &line->quantity, NULL},
		{"item", NULL, &line->item}, {"category", NULL, &line->category},
		{"channel", NULL, &line->channel}, {"store", NULL, &line->store},
		{"currency", NULL, &line->currency}, {"at", NULL, NULL}, {"data", NULL, NULL}
	};
	int			i;

	for (i = 0; i < lengthof(fields); i++)
		if (field_is(name, fields[i].name))
			break;
	if (i == lengthof(fields))
		FIELD_ERROR(reader, "line %d has an unknown field \"%s\"", reader->line,
					pnstrdup(name->val.string.val, name->val.string.len));
	/* As if it were left out. */
	if (value->type == jbvNull)
		return;
	if (fields[i].number != NULL)
		*fields[i].number = field_number(reader, fields[i].name, value);
	else if (fields[i].text != NULL)
		*fields[i].text = field_text(reader, fields[i].name, value);
	else if (field_is(name, "at"))
		line->at = field_time(reader, "at", value);
	else
		line->data = JsonbValueToJsonb(value);
}

static void
read_line(const FieldReader *reader, PurchaseLine *line, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	field;

	line->at = DT_NOBEGIN;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		FIELD_ERROR(reader, "line %d must be an object", reader->line);
	iterator = JsonbIteratorInit(value->val.binary.data);
	token = JsonbIteratorNext(&iterator, &name, true);
	while ((token = JsonbIteratorNext(&iterator, &name, true)) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &field, true);
		read_field(reader, line, &name, &field);
	}
	if (line->amount == NULL)
		FIELD_ERROR(reader, "\"amount\" of line %d is missing", reader->line);
}

static void
read_lines(const Program *program, const Jsonb *lines, Purchase *purchase)
{
	JsonbContainer *array = unconstify(JsonbContainer *, &lines->root);
	FieldReader reader = {.program = program, .hint = LINE_HINT};
	int			count;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array) || JsonContainerSize(array) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines must be a JSON array of objects"),
				 errhint("For instance '[{\"amount\": 12.50, \"item\": \"espresso\"}, {\"amount\": 3}]'.")));
	count = JsonContainerSize(array);
	purchase->lines = palloc0(sizeof(PurchaseLine) * count);
	for (purchase->nlines = 0; purchase->nlines < count; purchase->nlines++)
	{
		reader.line = purchase->nlines + 1;
		read_line(&reader, &purchase->lines[purchase->nlines], getIthJsonbValueFromContainer(array, purchase->nlines));
	}
}

/* The program's own currency by its name is the same as none. */
static bool
same_currency(const Program *program, const text *a, const text *b)
{
	const text *own = program->currency == NULL ? NULL : cstring_to_text(program->currency);

	return same_text(a == NULL ? own : a, b == NULL ? own : b);
}

/* An amount beside lines is what they come to, or somebody has made a mistake. */
static void
check_sum(const Program *program, Numeric amount, const Purchase *purchase)
{
	Datum		sum = NumericGetDatum(purchase->lines[0].amount);
	int			i;

	for (i = 1; i < purchase->nlines; i++)
	{
		if (!same_currency(program, purchase->lines[i].currency, purchase->lines[0].currency))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("amount cannot be compared with lines in several currencies"),
					 errhint("Leave out \"amount\".")));
		sum = DirectFunctionCall2(numeric_add, sum, NumericGetDatum(purchase->lines[i].amount));
	}
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, sum, NumericGetDatum(amount))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount is not the sum of the lines"),
				 errdetail("The lines come to %s, the amount is %s.",
						   numeric_normalize(DatumGetNumeric(sum)), numeric_normalize(amount)),
				 errhint("Leave out \"amount\", or let it be their sum.")));
}

void
request_purchase(const Program *program, const EventRequest *request, Purchase *purchase)
{
	int			i;

	memset(purchase, 0, sizeof(*purchase));
	purchase->counts = true;
	purchase->at = request->at;
	if (request->lines != NULL)
	{
		read_lines(program, request->lines, purchase);
		if (request->amount != NULL)
			check_sum(program, request->amount, purchase);
	}
	else
	{
		purchase->nlines = 1;
		purchase->lines = palloc0(sizeof(PurchaseLine));
		purchase->lines[0].at = DT_NOBEGIN;
		purchase->lines[0].amount = request->amount != NULL ? request->amount
			: DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(0)));
	}
	for (i = 0; i < purchase->nlines; i++)
		if (purchase->lines[i].data == NULL)
			purchase->lines[i].data = request->data;
}
