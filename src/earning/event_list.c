/*
 * event_list.c
 *		Events that are handed over many at once: as JSON, or as rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "earning/event_list.h"
#include "earning/json_field.h"
#include "loyalty.h"

#define EVENT_HINT "An event is an object of member, event, amount, data, lines, reason, key and at."

/* Columns of event_request. */
enum
{
	Anum_member = 1,
	Anum_event,
	Anum_amount,
	Anum_data,
	Anum_lines,
	Anum_reason,
	Anum_key,
	Anum_at,
	Natts_event_request = Anum_at
};

static void
check_member(const text *ref)
{
	if (ref == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("member must not be null")));
	if (VARSIZE_ANY_EXHDR(ref) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member must not be empty")));
}

/*
 * JSON
 */

void
event_list_from_jsonb(EventList *list, const Jsonb *events)
{
	JsonbContainer *array = unconstify(JsonbContainer *, &events->root);
	JsonbIterator *iterator;
	JsonbValue	value;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events must be a JSON array of objects"),
				 errhint("For instance '[{\"member\": \"42\", \"event\": \"review\"}, {\"member\": \"7\", \"event\": \"purchase\", \"amount\": 12.50}]'.")));
	memset(list, 0, sizeof(*list));
	list->objects = palloc_extended(sizeof(JsonbContainer *) * Max(JsonContainerSize(array), 1), MCXT_ALLOC_HUGE);
	iterator = JsonbIteratorInit(array);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while (JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM)
		list->objects[list->count++] = value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data)
			? value.val.binary.data : NULL;
}

static JsonbContainer *
object_at(const EventList *list, int index)
{
	if (list->objects[index] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an event must be an object"),
				 errhint(EVENT_HINT)));
	return list->objects[index];
}

/* A field that is there, and not null. */
static JsonbValue *
find_field(JsonbContainer *object, const char *name)
{
	JsonbValue	key = {.type = jbvString};
	JsonbValue *value;

	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	value = findJsonbValueFromContainer(object, JB_FOBJECT, &key);
	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* A customer id: a text, or a whole number. */
static text *
json_member(const FieldReader *reader, const JsonbValue *value)
{
	char	   *digits;

	if (value->type != jbvNumeric)
	{
		if (value->type != jbvString)
			FIELD_ERROR(reader, "\"member\" must be a string or a whole number");
		return field_text(reader, "member", value);
	}
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (digits[strspn(digits, "-0123456789")] != '\0')
		FIELD_ERROR(reader, "\"member\" must be a string or a whole number");
	return cstring_to_text(digits);
}

static char *
json_event(const FieldReader *reader, const JsonbValue *value)
{
	return text_to_cstring(field_text(reader, "event", value));
}

static void
read_json_field(const FieldReader *reader, const JsonbValue *name, JsonbValue *value, RecordCall *call)
{
	EventRequest *request = &call->request;

	if (field_is(name, "member"))
	{
		if (value->type != jbvNull)
			call->ref = json_member(reader, value);
		return;
	}
	if (field_is(name, "event"))
	{
		if (value->type != jbvNull)
			request->event = json_event(reader, value);
	}
	else if (field_is(name, "amount"))
	{
		if (value->type != jbvNull)
			request->amount = field_number(reader, "amount", value);
	}
	else if (field_is(name, "data"))
	{
		if (value->type != jbvNull)
			request->data = JsonbValueToJsonb(value);
	}
	else if (field_is(name, "lines"))
	{
		if (value->type != jbvNull)
			request->lines = JsonbValueToJsonb(value);
	}
	else if (field_is(name, "reason"))
	{
		if (value->type != jbvNull)
			call->note = field_text(reader, "reason", value);
	}
	else if (field_is(name, "key"))
	{
		if (value->type != jbvNull)
			call->key = field_text(reader, "key", value);
	}
	else if (field_is(name, "at"))
	{
		if (value->type != jbvNull)
		{
			request->at = field_time(reader, "at", value);
			request->at_given = true;
		}
	}
	else
		FIELD_ERROR(reader, "an event has no field \"%s\"", pnstrdup(name->val.string.val, name->val.string.len));
}

static void
read_json(JsonbContainer *object, const Program *program, RecordCall *call)
{
	FieldReader reader = {.program = program, .hint = EVENT_HINT};
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue	name;
	JsonbValue	value;

	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		read_json_field(&reader, &name, &value, call);
	}
}

/*
 * Rows
 */

void
event_list_from_rows(EventList *list, ArrayType *events)
{
	Oid			type = ARR_ELEMTYPE(events);

	memset(list, 0, sizeof(*list));
	list->desc = lookup_rowtype_tupdesc_copy(type, -1);
	if (list->desc->natts != Natts_event_request)
		elog(ERROR, "event_request has %d columns", list->desc->natts);
	deconstruct_array(events, type, -1, false, TYPALIGN_DOUBLE, &list->rows, &list->nulls, &list->count);
}

static void
deform_row(const EventList *list, int index, Datum *values, bool *nulls)
{
	HeapTupleHeader header;
	HeapTupleData row;

	if (list->nulls[index])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("an event must not be null")));
	header = DatumGetHeapTupleHeader(list->rows[index]);
	row.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&row.t_self);
	row.t_tableOid = InvalidOid;
	row.t_data = header;
	heap_deform_tuple(&row, list->desc, values, nulls);
}

static text *
row_text(const Datum *values, const bool *nulls, int column)
{
	return nulls[column - 1] ? NULL : DatumGetTextPP(values[column - 1]);
}

static Jsonb *
row_jsonb(const Datum *values, const bool *nulls, int column)
{
	return nulls[column - 1] ? NULL : DatumGetJsonbP(values[column - 1]);
}

static void
read_row(const EventList *list, int index, RecordCall *call)
{
	Datum		values[Natts_event_request];
	bool		nulls[Natts_event_request];
	EventRequest *request = &call->request;
	text	   *event;

	deform_row(list, index, values, nulls);
	call->ref = row_text(values, nulls, Anum_member);
	event = row_text(values, nulls, Anum_event);
	request->event = event == NULL ? NULL : text_to_cstring(event);
	request->amount = nulls[Anum_amount - 1] ? NULL : DatumGetNumeric(values[Anum_amount - 1]);
	request->data = row_jsonb(values, nulls, Anum_data);
	request->lines = row_jsonb(values, nulls, Anum_lines);
	call->note = row_text(values, nulls, Anum_reason);
	call->key = row_text(values, nulls, Anum_key);
	request->at_given = !nulls[Anum_at - 1];
	if (request->at_given)
		request->at = DatumGetTimestampTz(values[Anum_at - 1]);
}

/*
 * Either
 */

text *
event_list_member(const EventList *list, int index, char **event)
{
	text	   *ref = NULL;

	*event = NULL;
	if (list->desc != NULL)
	{
		Datum		values[Natts_event_request];
		bool		nulls[Natts_event_request];

		deform_row(list, index, values, nulls);
		ref = row_text(values, nulls, Anum_member);
		if (!nulls[Anum_event - 1])
			*event = text_to_cstring(row_text(values, nulls, Anum_event));
	}
	else
	{
		FieldReader reader = {.hint = EVENT_HINT};
		JsonbContainer *object = object_at(list, index);
		JsonbValue *member = find_field(object, "member");
		JsonbValue *name = find_field(object, "event");

		if (member == NULL)
			FIELD_ERROR(&reader, "\"member\" is missing");
		if (name == NULL)
			FIELD_ERROR(&reader, "\"event\" is missing");
		ref = json_member(&reader, member);
		*event = json_event(&reader, name);
	}
	check_member(ref);
	return ref;
}

void
event_list_read(const EventList *list, int index, const Program *program, RecordCall *call)
{
	EventRequest *request = &call->request;

	memset(call, 0, sizeof(*call));
	request->at = GetCurrentTransactionStartTimestamp();
	if (list->desc != NULL)
		read_row(list, index, call);
	else
		read_json(object_at(list, index), program, call);
	check_member(call->ref);
	request_check(request);
	act_check_time(request->at);
}
