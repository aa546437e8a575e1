/*
 * quote.c
 *		What an event or a purchase would give, writing nothing.
 *
 * The very same judging and posting as record does, but in memory alone, under
 * the snapshot of the query: no lock, no enrollment, no transaction id.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/request.h"
#include "earning/single.h"
#include "ledger/access.h"
#include "ledger/awaiting.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_quote);

/* Arguments of quote, in order. */
enum
{
	ARG_MEMBER, ARG_EVENT, ARG_AMOUNT, ARG_DATA, ARG_LINES, ARG_AT, ARG_PROGRAM
};

/* The member as the snapshot has him, or as he would be. */
static void
find_member(Config *config, const Program *program, Store *store, Snapshot snapshot, text *ref,
			TimestampTz at, MemberRow *row)
{
	bool		known = false;

	if (ref != NULL)
	{
		store_begin_read(store, snapshot);
		row->status = MEMBER_ACTIVE;
		known = store_find_member(store, member_resolve(config, program, ref), row) &&
			member_is(config, program, row, ref);
		store_end_read(store);
		if (!known && row->status == MEMBER_FORGOTTEN)
			member_forgotten(program, ref);
		if (!known && !program->auto_enroll)
			member_unknown(program, ref);
	}
	if (!known)
		single_newcomer(program, ref, at, row);
}

/* quote(member, event, amount, data, lines, at, program) → setof (rule, points, awaiting) */
Datum
loyalty_quote(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);
	Config	   *config = config_get();
	text	   *ref = PG_ARGISNULL(ARG_MEMBER) ? NULL : member_argument(fcinfo, ARG_MEMBER);
	Program    *program = ref == NULL ? access_program(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_READ)
		: access_program_for(config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_READ, ref);
	Snapshot	snapshot = GetActiveSnapshot();
	EventRequest request;
	Purchase	purchase;
	MemberRow	member;
	Store	   *store;
	Single		single;
	int			i;

	request_from_arguments(fcinfo, ARG_EVENT, ARG_AT, &request);
	if (TIMESTAMP_NOT_FINITE(request.at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"at\" must be a finite time")));
	request_purchase(program, &request, &purchase);

	store = store_open(config, false);
	find_member(config, program, store, snapshot, ref, request.at, &member);
	single_begin(&single, config, program, store, SOURCE_API,
				 rule_event(rule_set(config, program), request.event), &purchase, &member);
	single_judge(&single, snapshot, false);
	store_close(store);

	for (i = 0; i < single.posting.nentries; i++)
	{
		const EntryRow *entry = &single.posting.entries[i];
		Awaiting	awaiting;
		Datum		values[3];
		bool		nulls[3] = {false};

		awaiting_read(entry->context, &awaiting);
		if (!single_is_own(&single, entry) || (entry->points == 0 && awaiting.points == 0))
			continue;
		values[0] = CStringGetTextDatum(rule_by_id(single.settlement.rules, entry->rule_id)->name);
		values[1] = PointsGetDatum(entry->points);
		values[2] = PointsGetDatum(awaiting.points);
		tuplestore_putvalues(result, desc, values, nulls);
	}
	PG_RETURN_NULL();
}
