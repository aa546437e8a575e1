/*
 * awaiting.c
 *		Points that await confirmation, in no purse yet.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"

#include "ledger/awaiting.h"
#include "ledger/context_field.h"
#include "ledger/probe.h"
#include "loyalty.h"
#include "types/calendar.h"

static const char *const decision_names[] = {NULL, "accepted", "rejected"};

const char *
decision_name(Decision decision)
{
	return decision_names[decision];
}

/* A decision by its name of so many bytes; DECISION_NONE for anything else. */
static Decision
decision_from_name(const char *name, int length)
{
	int			i;

	for (i = DECISION_ACCEPTED; i <= DECISION_REJECTED; i++)
		if (length == strlen(decision_names[i]) && memcmp(name, decision_names[i], length) == 0)
			return (Decision) i;
	return DECISION_NONE;
}

void
awaiting_read(const Jsonb *context, Awaiting *awaiting)
{
	JsonbValue *points;
	JsonbValue *decision;

	memset(awaiting, 0, sizeof(*awaiting));
	if (context == NULL || !JB_ROOT_IS_OBJECT(context))
		return;
	points = context_field(context, "awaiting");
	decision = context_field(context, "decision");
	if (points != NULL)
	{
		if (points->type != jbvNumeric || decision != NULL)
			context_malformed("awaiting");
		awaiting->any = true;
		awaiting->points = points_from_numeric(points->val.numeric);
	}
	if (decision != NULL)
	{
		if (decision->type == jbvString)
			awaiting->decision = decision_from_name(decision->val.string.val, decision->val.string.len);
		if (awaiting->decision == DECISION_NONE)
			context_malformed("decision");
	}
}

/*
 * The table
 */

/* Columns, in order; the first two are its key. */
enum
{
	Anum_confirmation_member_id = 1,
	Anum_confirmation_seq,
	Anum_confirmation_points,
	Anum_confirmation_since,
	Anum_confirmation_decided_at,
	Anum_confirmation_decided_seq,
	Anum_confirmation_program_id,
	Anum_confirmation_rule_id,
	Anum_confirmation_source_id,
	Anum_confirmation_due,
	Anum_confirmation_starts,
	Anum_confirmation_ends,
	Anum_confirmation_by_silence,
	Anum_confirmation_on_silence,
	Anum_confirmation_decision,
	Anum_confirmation_source_key,
	Anum_confirmation_key,
	Anum_confirmation_note,
	Natts_confirmation = Anum_confirmation_note
};

static bool
is_text(const text *value, const char *string)
{
	return VARSIZE_ANY_EXHDR(value) == strlen(string) &&
		memcmp(VARDATA_ANY(value), string, strlen(string)) == 0;
}

/* Unpack a row into the current context. */
static Confirmation *
read_row(HeapTuple tuple, TupleDesc desc)
{
	Confirmation *row = palloc0(sizeof(Confirmation));
	Datum		all_values[Natts_confirmation];
	bool		all_nulls[Natts_confirmation];
	Datum	   *values = all_values - 1;	/* so that columns count from 1 */
	bool	   *nulls = all_nulls - 1;

	heap_deform_tuple(tuple, desc, all_values, all_nulls);
	row->member_id = DatumGetInt64(values[Anum_confirmation_member_id]);
	row->seq = DatumGetInt64(values[Anum_confirmation_seq]);
	row->points = DatumGetPoints(values[Anum_confirmation_points]);
	row->decided_at = nulls[Anum_confirmation_decided_at] ? DT_NOBEGIN
		: DatumGetTimestampTz(values[Anum_confirmation_decided_at]);
	row->decided_seq = nulls[Anum_confirmation_decided_seq] ? 0
		: DatumGetInt64(values[Anum_confirmation_decided_seq]);
	row->program_id = DatumGetInt32(values[Anum_confirmation_program_id]);
	row->rule_id = DatumGetInt32(values[Anum_confirmation_rule_id]);
	row->source_id = DatumGetInt32(values[Anum_confirmation_source_id]);
	row->due = nulls[Anum_confirmation_due] ? DATEVAL_NOEND : DatumGetDateADT(values[Anum_confirmation_due]);
	row->starts = nulls[Anum_confirmation_starts] ? DATEVAL_NOBEGIN
		: DatumGetDateADT(values[Anum_confirmation_starts]);
	row->ends = nulls[Anum_confirmation_ends] ? DATEVAL_NOEND : DatumGetDateADT(values[Anum_confirmation_ends]);
	row->by_silence = DatumGetBool(values[Anum_confirmation_by_silence]);
	row->silence_accepts = is_text(DatumGetTextPP(values[Anum_confirmation_on_silence]), "accept");
	if (!nulls[Anum_confirmation_decision])
	{
		text	   *decision = DatumGetTextPP(values[Anum_confirmation_decision]);

		row->decision = decision_from_name(VARDATA_ANY(decision), VARSIZE_ANY_EXHDR(decision));
	}
	row->source_key = DatumGetTextPCopy(values[Anum_confirmation_source_key]);
	if (!nulls[Anum_confirmation_key])
		row->key = DatumGetTextPCopy(values[Anum_confirmation_key]);
	if (!nulls[Anum_confirmation_note])
		row->note = DatumGetTextPCopy(values[Anum_confirmation_note]);
	return row;
}

/* In which order silence decides. */
static int
compare_rows(const ListCell *a, const ListCell *b)
{
	const Confirmation *x = lfirst(a);
	const Confirmation *y = lfirst(b);

	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Whether the row, not unpacked yet, is undecided and due by a day (DATEVAL_NOEND: whenever). */
static bool
is_open(HeapTuple tuple, TupleDesc desc, DateADT due_by)
{
	bool		isnull;
	Datum		due;

	if (!heap_attisnull(tuple, Anum_confirmation_decision, desc))
		return false;
	due = heap_getattr(tuple, Anum_confirmation_due, desc, &isnull);
	return DATE_IS_NOEND(due_by) || (!isnull && DatumGetDateADT(due) <= due_by);
}

List *
awaiting_list_open(Config *config, int64 member_id, Snapshot snapshot, DateADT due_by)
{
	List	   *rows = NIL;
	ScanKeyData key;
	HeapTuple	tuple;
	Probe		probe;

	ScanKeyInit(&key, Anum_confirmation_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (tuple = probe_begin(&probe, config->confirmation_rel, snapshot, &key, 1);
		 tuple != NULL; tuple = probe_next(&probe))
		if (is_open(tuple, RelationGetDescr(probe.rel), due_by))
			rows = lappend(rows, read_row(tuple, RelationGetDescr(probe.rel)));
	probe_end(&probe);
	list_sort(rows, compare_rows);
	return rows;
}

List *
awaiting_list(Config *config, int64 member_id, Snapshot snapshot)
{
	List	   *rows = NIL;
	ScanKeyData key;
	HeapTuple	tuple;
	Probe		probe;

	ScanKeyInit(&key, Anum_confirmation_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (tuple = probe_begin(&probe, config->confirmation_rel, snapshot, &key, 1);
		 tuple != NULL; tuple = probe_next(&probe))
		rows = lappend(rows, read_row(tuple, RelationGetDescr(probe.rel)));
	probe_end(&probe);
	list_sort(rows, compare_rows);
	return rows;
}

Confirmation *
awaiting_find(Config *config, int64 member_id, int64 seq, Snapshot snapshot)
{
	Confirmation *row = NULL;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	Probe		probe;

	ScanKeyInit(&keys[0], Anum_confirmation_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	ScanKeyInit(&keys[1], Anum_confirmation_seq, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
	tuple = probe_begin(&probe, config->confirmation_rel, snapshot, keys, lengthof(keys));
	if (tuple != NULL)
		row = read_row(tuple, RelationGetDescr(probe.rel));
	probe_end(&probe);
	return row;
}

/*
 * Reading a member
 */

typedef struct Search
{
	int32		rule_id;
	TimestampTz at;
	Awaiting	awaiting;
} Search;

static void
look_at_entry(const EntryRow *entry, void *arg)
{
	Search	   *search = arg;

	/* Entries of a rule come in order of their revision: the last one stands. */
	if (entry->rule_id == search->rule_id && entry->occurred_at <= search->at)
		awaiting_read(entry->context, &search->awaiting);
}

/* What awaited at a time under the row. */
static Points
points_then(Store *store, const Confirmation *row, TimestampTz at)
{
	Search		search = {.rule_id = row->rule_id, .at = at};

	store_visit_entries(store, row->member_id, row->source_id, row->source_key, look_at_entry, &search);
	return search.awaiting.points;
}

List *
awaiting_silent(Config *config, Store *store, Snapshot snapshot, const Program *program,
				const MemberRow *member, TimestampTz at, bool past, Points *pending)
{
	DateADT		day = calendar_day(at, program->zone);
	List	   *silent = NIL;
	List	   *rows = past ? awaiting_list(config, member->member_id, snapshot)
		: awaiting_list_open(config, member->member_id, snapshot, DATEVAL_NOEND);
	ListCell   *cell;

	foreach(cell, rows)
	{
		Confirmation *row = lfirst(cell);
		bool		is_silent = row->decision == DECISION_NONE && row->due <= day;
		Points		points = past && !is_silent ? points_then(store, row, at) : row->points;

		if (points == 0)
			continue;
		if (is_silent)
			silent = lappend(silent, row);
		else
			*pending = points_add(*pending, points);
	}
	return silent;
}
