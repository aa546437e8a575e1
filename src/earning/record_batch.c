/*
 * record_batch.c
 *		Many events at once, of a feed that no table holds.
 *
 * What is posted is what the same calls of record would post, one after the
 * other in one transaction.  The events are put in order of where their members
 * live, and recorded in groups; only what members share makes the order of the
 * batch matter beyond each of them: a budget, which is first come first served,
 * and a reward that is redeemed by itself as soon as there are points for it,
 * from a household's balance too.  Where an event may touch one of these, all of
 * them are recorded one by one, as they came.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "earning/attempt.h"
#include "earning/record_group.h"
#include "ledger/access.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/reward.h"

PG_FUNCTION_INFO_V1(loyalty_record_batch);
PG_FUNCTION_INFO_V1(loyalty_record_rows);

/* Arguments of both, in order. */
enum
{
	ARG_EVENTS, ARG_ON_ERROR, ARG_PROGRAM
};

/* Columns of the answer. */
enum
{
	COLUMN_POSITION, COLUMN_ENTRY, COLUMN_POINTS, COLUMN_BALANCE, COLUMN_REPEATED,
	COLUMN_ERROR_CODE, COLUMN_MESSAGE, COLUMN_DETAIL, NCOLUMNS
};

/* Events that are recorded together. */
#define GROUP_SIZE 100

/* Where an event belongs. */
typedef struct Place
{
	int64		member_id;
	int			index;
} Place;

typedef struct Work
{
	RecordBatch batch;
	text	   *program_name;	/* NULL: the default */
	int			nplaces;		/* of events whose member can be told */
	Place	   *places;
	bool		in_order;		/* one by one, as they came */
	List	   *unknown_events; /* of which a notice has been given */
	MemoryContext scratch;		/* of one event */
	/* what is worked on: */
	int			next;
	int			end;
	int			nitems;
	RecordItem *items;
} Work;

/* Do a part of the work; with "skip" an error comes back, and leaves nothing. */
static ErrorData *
try(Work *work, void (*part) (void *arg))
{
	ErrorData  *error = NULL;

	if (work->batch.skip)
		error = attempt(part, work);
	else
		part(work);
	if (error == NULL)
		work->batch.current = -1;
	return error;
}

/* Keep why the event at hand is left out. */
static void
leave_out(Work *work, int index, const ErrorData *error)
{
	RecordOutcome *outcome = &work->batch.outcomes[index];

	outcome->error_code = error->sqlerrcode;
	outcome->message = MemoryContextStrdup(work->batch.context, error->message);
	outcome->detail = error->detail == NULL ? NULL : MemoryContextStrdup(work->batch.context, error->detail);
	work->batch.current = -1;
}

/*
 * Whose they are
 */

/* Whether some rule about the event draws on a budget. */
static bool
draws_on_budget(const RuleSet *rules, const char *event)
{
	int			number = event == NULL ? EVENT_UNKNOWN : rule_event(rules, event);
	int			i;

	for (i = 0; number != EVENT_UNKNOWN && i < rules->nrules; i++)
		if (rules->rules[i].event == number && rules->rules[i].limits.budget > 0)
			return true;
	return false;
}

/* Whether the session sees one member only. */
static bool
is_narrowed(void)
{
	return loyalty_member_ref != NULL && loyalty_member_ref[0] != '\0';
}

/* Who may record for one member may do so of a batch that is all about him. */
static void
check_access(Work *work, const text *ref)
{
	RecordBatch *batch = &work->batch;

	if (batch->program != NULL && !is_narrowed())
		return;
	batch->program = access_program_for(batch->config, work->program_name, ACCESS_OPERATE, ref);
	work->in_order |= reward_set(batch->config, batch->program)->has_choices;
}

/* Read whose the events from "next" on are. */
static void
find_places(void *arg)
{
	Work	   *work = arg;
	RecordBatch *batch = &work->batch;
	MemoryContext caller = MemoryContextSwitchTo(work->scratch);

	for (; work->next < work->end; work->next++)
	{
		char	   *event;
		text	   *ref;

		CHECK_FOR_INTERRUPTS();
		batch->current = work->next;
		ref = event_list_member(&batch->events, work->next, &event);
		check_access(work, ref);
		work->in_order = work->in_order || draws_on_budget(rule_set(batch->config, batch->program), event);
		work->places[work->nplaces].member_id = member_resolve(batch->config, batch->program, ref);
		work->places[work->nplaces++].index = work->next;
		MemoryContextReset(work->scratch);
	}
	MemoryContextSwitchTo(caller);
}

static int
compare_places(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	if (x->member_id != y->member_id)
		return x->member_id < y->member_id ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static void
put_in_order(Work *work)
{
	RecordBatch *batch = &work->batch;
	ErrorData  *error;

	work->places = palloc_extended(sizeof(Place) * Max(batch->events.count, 1), MCXT_ALLOC_HUGE);
	work->scratch = AllocSetContextCreate(CurrentMemoryContext, "loyalty event", ALLOCSET_SMALL_SIZES);
	work->next = 0;
	work->end = batch->events.count;
	while ((error = try(work, find_places)) != NULL)
		leave_out(work, work->next++, error);
	/* Nobody gets round it by naming no member. */
	if (batch->program == NULL)
		batch->program = access_program(batch->config, work->program_name, ACCESS_OPERATE);
	qsort(work->places, work->nplaces, sizeof(Place), compare_places);
}

/*
 * Reading
 */

static void
notice_event(Work *work, const char *event)
{
	RecordBatch *batch = &work->batch;
	MemoryContext caller;
	ListCell   *cell;

	if (rule_event(rule_set(batch->config, batch->program), event) != EVENT_UNKNOWN)
		return;
	foreach(cell, work->unknown_events)
		if (strcmp(lfirst(cell), event) == 0)
			return;
	caller = MemoryContextSwitchTo(batch->context);
	work->unknown_events = lappend(work->unknown_events, pstrdup(event));
	MemoryContextSwitchTo(caller);
	record_notice_event(batch->config, batch->program, event);
}

static void
read_item(Work *work, const Place *place, RecordItem *item)
{
	RecordBatch *batch = &work->batch;

	memset(item, 0, sizeof(*item));
	item->member_id = place->member_id;
	item->index = place->index;
	batch->current = place->index;
	event_list_read(&batch->events, place->index, batch->program, &item->call);
	record_prepare(batch->program, &item->call, &item->record);
	notice_event(work, item->call.request.event);
}

/* Read the events of the places from "next" on, each into the next item. */
static void
read_items(void *arg)
{
	Work	   *work = arg;

	for (; work->next < work->end; work->next++)
	{
		CHECK_FOR_INTERRUPTS();
		read_item(work, &work->places[work->next], &work->items[work->nitems]);
		work->nitems++;
	}
}

/*
 * In groups
 */

typedef struct Part
{
	Work	   *work;
	RecordItem *items;
	int			nitems;
} Part;

static void
record_part(void *arg)
{
	Part	   *part = arg;

	record_group(&part->work->batch, part->items, part->nitems);
}

/* Record what can be recorded: what fails is halved until the event is found. */
static void
record_items(Work *work, RecordItem *items, int nitems)
{
	MemoryContext context;
	MemoryContext caller;
	Part		part = {work, items, nitems};
	ErrorData  *error;

	if (nitems == 0)
		return;
	if (!work->batch.skip)
	{
		record_part(&part);
		return;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "loyalty part", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	error = attempt(record_part, &part);
	if (error != NULL && nitems == 1)
		leave_out(work, items[0].index, error);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	if (error != NULL && nitems > 1)
	{
		record_items(work, items, nitems / 2);
		record_items(work, items + nitems / 2, nitems - nitems / 2);
	}
}

static void
work_groups(Work *work)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty group", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ErrorData  *error;

	work->next = 0;
	while (work->next < work->nplaces)
	{
		work->end = Min(work->next + GROUP_SIZE, work->nplaces);
		work->items = palloc(sizeof(RecordItem) * (work->end - work->next));
		work->nitems = 0;
		while ((error = try(work, read_items)) != NULL)
			leave_out(work, work->places[work->next++].index, error);
		record_items(work, work->items, work->nitems);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * One by one
 */

/* Lock all who are members already, so that two batches of the same members wait for each other in one order. */
static void
lock_known(Work *work)
{
	RecordBatch *batch = &work->batch;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty locks", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	int			from;
	int			to;

	for (from = 0; from < work->nplaces; from = to)
	{
		MemberRequest *requests;
		Store	   *store;
		int			nrequests = 0;
		char	   *event;

		to = Min(from + GROUP_SIZE, work->nplaces);
		requests = palloc0(sizeof(MemberRequest) * (to - from));
		for (int i = from; i < to; i++)
		{
			const Place *place = &work->places[i];

			CHECK_FOR_INTERRUPTS();
			if (nrequests > 0 && requests[nrequests - 1].member_id == place->member_id)
				continue;
			requests[nrequests].member_id = place->member_id;
			requests[nrequests].forgotten_too = true;
			requests[nrequests++].ref = event_list_member(&batch->events, place->index, &event);
		}
		store = store_open(batch->config, true);
		members_lock(batch->config, store, batch->program, requests, nrequests);
		store_close(store);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static int
compare_indexes(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* Record the event of the place "next". */
static void
record_next(void *arg)
{
	Work	   *work = arg;
	RecordBatch *batch = &work->batch;
	RecordItem	item;

	read_item(work, &work->places[work->next], &item);
	record_one(batch->config, batch->program, &item.record, &batch->outcomes[item.index].answer);
}

static void
work_one_by_one(Work *work)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "loyalty event", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ErrorData  *error;

	lock_known(work);
	qsort(work->places, work->nplaces, sizeof(Place), compare_indexes);
	for (work->next = 0; work->next < work->nplaces; work->next++)
	{
		CHECK_FOR_INTERRUPTS();
		error = try(work, record_next);
		if (error != NULL)
			leave_out(work, work->places[work->next].index, error);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * The functions
 */

/* What went wrong is said of the event that it went wrong with. */
static void
raise_of_event(const RecordBatch *batch, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (batch->current >= 0 && error_is_deferrable(error->sqlerrcode))
	{
		char	   *which = psprintf("This is about event %d of the batch.", batch->current + 1);

		error->detail = error->detail == NULL ? which : psprintf("%s %s", error->detail, which);
	}
	ReThrowError(error);
}

static void
record_all(Work *work)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		put_in_order(work);
		if (work->in_order)
			work_one_by_one(work);
		else
			work_groups(work);
	}
	PG_CATCH();
	{
		raise_of_event(&work->batch, context);
	}
	PG_END_TRY();
}

static void
put_answers(const RecordBatch *batch, Tuplestorestate *result, TupleDesc desc)
{
	int			i;

	for (i = 0; i < batch->events.count; i++)
	{
		const RecordOutcome *outcome = &batch->outcomes[i];
		bool		failed = outcome->error_code != 0;
		Datum		values[NCOLUMNS] = {0};
		bool		nulls[NCOLUMNS] = {false, failed, failed, failed, failed, !failed, !failed, outcome->detail == NULL};

		CHECK_FOR_INTERRUPTS();
		values[COLUMN_POSITION] = Int32GetDatum(i + 1);
		values[COLUMN_ENTRY] = Int64GetDatum(outcome->answer.entry);
		values[COLUMN_POINTS] = PointsGetDatum(outcome->answer.points);
		values[COLUMN_BALANCE] = PointsGetDatum(outcome->answer.balance);
		values[COLUMN_REPEATED] = BoolGetDatum(outcome->answer.repeated);
		if (failed)
		{
			values[COLUMN_ERROR_CODE] = CStringGetTextDatum(unpack_sql_state(outcome->error_code));
			values[COLUMN_MESSAGE] = CStringGetTextDatum(outcome->message);
			if (outcome->detail != NULL)
				values[COLUMN_DETAIL] = CStringGetTextDatum(outcome->detail);
		}
		tuplestore_putvalues(result, desc, values, nulls);
	}
}

static bool
skip_argument(FunctionCallInfo fcinfo)
{
	text	   *on_error = text_argument(fcinfo, ARG_ON_ERROR);
	char	   *value = on_error == NULL ? "fail" : text_to_cstring(on_error);

	if (strcmp(value, "fail") != 0 && strcmp(value, "skip") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_error must be fail or skip, not \"%s\"", value)));
	return strcmp(value, "skip") == 0;
}

static void
begin(FunctionCallInfo fcinfo, Work *work)
{
	memset(work, 0, sizeof(*work));
	work->program_name = text_argument(fcinfo, ARG_PROGRAM);
	work->batch.current = -1;
	work->batch.context = CurrentMemoryContext;
	/* It would be an error of every event. */
	PreventCommandIfReadOnly("loyalty posting");
	work->batch.config = config_get();
	/* Of a program that is not his to see nobody is told more. */
	if (!is_narrowed())
		(void) access_program(work->batch.config, work->program_name, ACCESS_OPERATE);
	work->batch.skip = skip_argument(fcinfo);
	if (PG_ARGISNULL(ARG_EVENTS))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("events must not be null")));
}

static void
finish(FunctionCallInfo fcinfo, Work *work)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);

	work->batch.outcomes = palloc_extended(sizeof(RecordOutcome) * Max(work->batch.events.count, 1),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	record_all(work);
	put_answers(&work->batch, result, desc);
}

/* record_batch(events jsonb, on_error, program) → setof event_answer */
Datum
loyalty_record_batch(PG_FUNCTION_ARGS)
{
	Work		work;

	begin(fcinfo, &work);
	event_list_from_jsonb(&work.batch.events, PG_GETARG_JSONB_P(ARG_EVENTS));
	finish(fcinfo, &work);
	return (Datum) 0;
}

/* record_rows(events event_request[], on_error, program) → setof event_answer */
Datum
loyalty_record_rows(PG_FUNCTION_ARGS)
{
	Work		work;

	begin(fcinfo, &work);
	event_list_from_rows(&work.batch.events, PG_GETARG_ARRAYTYPE_P(ARG_EVENTS));
	finish(fcinfo, &work);
	return (Datum) 0;
}
