/*
 * confirm.c
 *		What awaits confirmation, and what is decided of it.
 *
 * An award of a rule that confirms is like one of a limit that lets nothing
 * through: it is on record, and moves no points.  A decision is one more
 * posting of the purchase for that rule; from then on the rule's entries carry
 * the decision along, and judging goes by it.
 *
 * Time decides, not a job: whoever locks a member, to post to him in whatever
 * way, first writes down what silence has decided meanwhile.  So nothing
 * depends on when maintenance last ran.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/budget.h"
#include "earning/confirm.h"
#include "earning/qualify.h"
#include "earning/span.h"
#include "ledger/unwritten.h"
#include "loyalty.h"

/*
 * The table
 */

/* A plan that is kept: it has nothing that another one would be better for. */
static SPIPlanPtr
kept_plan(SPIPlanPtr *kept, const char *sql, int nargs, Oid *types)
{
	if (*kept != NULL && !SPI_plan_is_valid(*kept))
	{
		SPIPlanPtr	former = *kept;

		*kept = NULL;
		SPI_freeplan(former);
	}
	if (*kept == NULL)
	{
		SPIPlanPtr	fresh = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare to write what awaits confirmation");
		*kept = fresh;
	}
	return *kept;
}

/* Points travel as the ten-thousandths that they are kept in. */
#define POINTS_PARAMETER(n) "($" #n " * 0.0001)::loyalty.points"

/* A row for an award that begins to await. */
static void
insert_row(const Settlement *settlement, const Case *case_, const Step *step)
{
	static SPIPlanPtr plan = NULL;
	const Program *program = settlement->program;
	Oid			types[12] = {INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID,
		DATEOID, DATEOID, DATEOID, TEXTOID, TEXTOID};
	DateADT		day = calendar_day(case_->ledger.at, program->zone);
	DateADT		due = rule_silence_day(step->rule, day);
	DateADT		starts = DATEVAL_NOBEGIN;
	DateADT		ends = DATEVAL_NOEND;
	bool		gives = !DATE_IS_NOEND(due) && step->rule->silence_accepts;
	char		nulls[12];
	Datum		values[12];

	if (gives)
		span_accepted(span_of(settlement->tiers, step->rule, case_->ledger.kept.facts), day, due, &starts, &ends);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(step->member_id);
	values[1] = Int64GetDatum(step->seq);
	values[2] = Int64GetDatum(step->context.awaiting.points);
	values[3] = TimestampTzGetDatum(settlement->now);
	values[4] = Int32GetDatum(program->program_id);
	values[5] = Int32GetDatum(step->rule_id);
	values[6] = Int32GetDatum(settlement->source_id);
	values[7] = DateADTGetDatum(due);
	nulls[7] = DATE_IS_NOEND(due) ? 'n' : ' ';
	values[8] = DateADTGetDatum(starts);
	nulls[8] = DATE_IS_NOBEGIN(starts) ? 'n' : ' ';
	values[9] = DateADTGetDatum(ends);
	nulls[9] = gives ? ' ' : 'n';
	values[10] = CStringGetTextDatum(step->rule->silence_accepts ? "accept" : "reject");
	values[11] = PointerGetDatum(case_->purchase.key);
	if (SPI_execute_plan(kept_plan(&plan, "INSERT INTO loyalty.confirmation (member_id, seq, points, since, program_id,"
								   " rule_id, source_id, due, starts, ends, on_silence, source_key)"
								   " VALUES ($1, $2, " POINTS_PARAMETER(3) ", $4, $5, $6, $7, $8, $9, $10, $11, $12)",
								   lengthof(types), types),
						 values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write what awaits confirmation");
}

/* XX001 unless one row was changed. */
static void
check_updated(int64 member_id, int64 seq)
{
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("no row of confirmation is about entry " INT64_FORMAT " of member " INT64_FORMAT,
						seq, member_id)));
}

/* Another number of points awaits. */
static void
update_points(const Step *step)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {INT8OID, INT8OID, INT8OID};
	Datum		values[3] = {Int64GetDatum(step->member_id), Int64GetDatum(step->ledger->awaits_seq),
		Int64GetDatum(step->context.awaiting.points)};

	if (SPI_execute_plan(kept_plan(&plan, "UPDATE loyalty.confirmation SET points = " POINTS_PARAMETER(3)
								   " WHERE member_id = $1 AND seq = $2 AND decision IS NULL",
								   lengthof(types), types),
						 values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write what awaits confirmation");
	check_updated(step->member_id, step->ledger->awaits_seq);
}

static void
write_decision(const Decided *decided)
{
	static SPIPlanPtr plan = NULL;
	const Confirmation *row = decided->row;
	Oid			types[8] = {INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID, BOOLOID, TEXTOID, TEXTOID};
	Datum		values[8] = {Int64GetDatum(row->member_id), Int64GetDatum(row->seq),
		CStringGetTextDatum(decision_name(decided->decision)), TimestampTzGetDatum(decided->at),
		Int64GetDatum(decided->seq), BoolGetDatum(decided->by_silence),
		PointerGetDatum(decided->key), PointerGetDatum(decided->note)};
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ',
		decided->key == NULL ? 'n' : ' ', decided->note == NULL ? 'n' : ' '};

	if (SPI_execute_plan(kept_plan(&plan, "UPDATE loyalty.confirmation SET points = (0)::loyalty.points, decision = $3,"
								   " decided_at = $4, decided_seq = $5, by_silence = $6, key = $7, note = $8"
								   " WHERE member_id = $1 AND seq = $2 AND decision IS NULL",
								   lengthof(types), types),
						 values, nulls, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write what was decided");
	check_updated(row->member_id, row->seq);
}

void
confirm_write(const Settlement *settlement, const Case *cases, int ncases)
{
	EngineScope scope;
	int			i;
	int			j;

	if (!settlement->rules->has_confirm)
		return;
	engine_enter(&scope, settlement->config->owner);
	SPI_connect();
	for (i = 0; i < ncases; i++)
		for (j = 0; cases[i].posted && !cases[i].dropped && j < cases[i].nsteps; j++)
		{
			const Step *step = &cases[i].steps[j];

			if (!step->context.awaiting.any || step->seq == 0)
				continue;
			if (step->ledger == NULL || step->ledger->awaits_seq == 0)
				insert_row(settlement, &cases[i], step);
			else
				update_points(step);
		}
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Deciding
 */

void
confirm_begin(Deciding *deciding, Config *config, Store *store, Snapshot snapshot, MemberRow *member)
{
	Program    *program = config_program_by_id(config, member->program_id);

	memset(deciding, 0, sizeof(*deciding));
	deciding->config = config;
	deciding->snapshot = snapshot;
	deciding->program = program;
	deciding->store = store;
	deciding->rules = rule_set(config, program);
	limits_begin(&deciding->usage, config, snapshot, member->member_id);
	posting_begin(&deciding->posting, program, member);
	deciding->tiers = tier_set(config, program);
	if (qualify_is_asked(deciding->rules, deciding->tiers))
		deciding->standing = qualify_begin(program, deciding->rules, deciding->tiers, store, member);
}

/* What the rule has given for the purchase; XX001 when nothing of it awaits. */
static RuleLedger *
awaiting_ledger(PurchaseLedger *ledger, const Confirmation *row)
{
	int			i;

	for (i = 0; i < ledger->nrules; i++)
		if (ledger->rules[i].rule_id == row->rule_id && ledger->rules[i].awaits_seq == row->seq &&
			ledger->rules[i].context.awaiting.any)
			return &ledger->rules[i];
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("entry " INT64_FORMAT " of member " INT64_FORMAT " does not await confirmation, as confirmation says",
					row->seq, row->member_id)));
}

/* What is rejected goes back to the rule's limits, but for those of a number of awards. */
static void
give_back(Deciding *deciding, Decided *decided, const PurchaseLedger *ledger, const RuleLedger *rule_ledger)
{
	const Rule *rule = decided->rule;
	LimitRequest request;
	Points		drawn;

	memset(&request, 0, sizeof(request));
	request.at = ledger->at;
	request.asked_before = rule_ledger->context.limited;
	request.wanted_before = rule_ledger->context.wanted;
	request.granted_before = rule_ledger->context.awaiting.points;
	request.rewarded_before = rule_ledger->rewarded;
	(void) limit_grant(deciding->program, rule, &deciding->usage, &request, &drawn);
	decided->given_back = Max(-drawn, 0);
	decided->period = calendar_start_of_period(calendar_day(ledger->at, deciding->program->zone),
											   rule->limits.budget_period);
}

/* What was accepted counts toward tiers, if the rule's points do. */
static void
count_accepted(Deciding *deciding, const Decided *decided, const PurchaseLedger *ledger, Points points)
{
	Standing   *standing = deciding->standing;
	TallyTotals change = {.points = points};
	int			before;
	int			i;

	if (!decided->rule->qualifies)
		return;
	if (standing == NULL)
	{
		standing_forget(deciding->posting.member);
		return;
	}
	before = standing->nchanges;
	standing_count(standing, calendar_day(ledger->at, deciding->program->zone), decided->at, &change);
	standing_store(standing);
	for (i = before; i < standing->nchanges; i++)
		posting_add_tier_change(&deciding->posting, &standing->changes[i], decided->seq);
}

void
confirm_decide(Deciding *deciding, const Confirmation *row, Decision decision, TimestampTz at,
			   bool by_silence, text *key, text *note)
{
	const Program *program = deciding->program;
	Posting    *posting = &deciding->posting;
	Decided    *decided = palloc0(sizeof(Decided));
	PurchaseLedger ledger;
	RuleLedger *rule_ledger;
	RuleContext context = {0};
	EntryRow	entry;
	Points		points;
	Purse		lots;

	decided->row = row;
	decided->decision = decision;
	decided->at = at;
	decided->by_silence = by_silence;
	decided->key = key;
	decided->note = note;
	decided->rule = rule_by_id(deciding->rules, row->rule_id);
	judge_read(deciding->store, row->member_id, row->source_id, row->source_key, &ledger);
	rule_ledger = awaiting_ledger(&ledger, row);
	points = rule_ledger->context.awaiting.points;

	purse_init(&lots);
	if (decision == DECISION_ACCEPTED)
	{
		DateADT		starts = row->starts;
		DateADT		ends = row->ends;

		if (!by_silence)
			span_accepted(span_of(deciding->tiers, decided->rule, ledger.kept.facts),
						  calendar_day(ledger.at, program->zone), calendar_day(at, program->zone), &starts, &ends);
		purse_add_lot(&lots, starts, ends, points);
		context = rule_ledger->context;
	}
	else if (decided->rule->limits.any)
		give_back(deciding, decided, &ledger, rule_ledger);
	memset(&context.awaiting, 0, sizeof(context.awaiting));
	context.awaiting.decision = decision;

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_EARN;
	entry.rule_id = row->rule_id;
	entry.source_id = row->source_id;
	entry.source_key = row->source_key;
	entry.revision = ledger.revision + 1;
	entry.rule_horizon = ledger.rule_horizon;
	entry.occurred_at = at;
	entry.context = context_write(NULL, &context);
	entry.note = note;
	posting_bring_current(posting, at);
	decided->seq = posting_add(posting, &entry, &lots)->seq;
	posting->member->awaiting = points_sub(posting->member->awaiting, points);
	if (decision == DECISION_ACCEPTED)
		count_accepted(deciding, decided, &ledger, points);
	deciding->decided = lappend(deciding->decided, decided);
}

void
confirm_silence(Deciding *deciding, DateADT day)
{
	List	   *rows = awaiting_list_open(deciding->config, deciding->posting.member->member_id,
										   deciding->snapshot, day);
	ListCell   *cell;

	foreach(cell, rows)
	{
		const Confirmation *row = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		confirm_decide(deciding, row, row->silence_accepts ? DECISION_ACCEPTED : DECISION_REJECTED,
					   calendar_start_of_day(row->due, deciding->program->zone), true, NULL, NULL);
	}
}

/* Budgets in the order in which all who wait for them take them. */
static int
compare_budgets(const ListCell *a, const ListCell *b)
{
	const Decided *x = lfirst(a);
	const Decided *y = lfirst(b);

	if (x->rule->lineage != y->rule->lineage)
		return x->rule->lineage < y->rule->lineage ? -1 : 1;
	if (x->period != y->period)
		return x->period < y->period ? -1 : 1;
	return x->rule->rule_id < y->rule->rule_id ? -1 : x->rule->rule_id > y->rule->rule_id;
}

int
confirm_post(Deciding *deciding, int nmembers)
{
	List	   *budgets = NIL;
	EngineScope scope;
	ListCell   *cell;
	int			ndecided = 0;
	int			i;

	for (i = 0; i < nmembers; i++)
		foreach(cell, deciding[i].decided)
			if (((Decided *) lfirst(cell))->given_back > 0)
				budgets = lappend(budgets, lfirst(cell));
	list_sort(budgets, compare_budgets);
	foreach(cell, budgets)
	{
		const Decided *decided = lfirst(cell);

		budget_give_back(deciding->config, decided->rule->lineage, decided->period,
						 decided->rule->limits.budget, decided->given_back);
	}

	for (i = 0; i < nmembers; i++)
	{
		limits_write(deciding[i].config, &deciding[i].usage, 1);
		posting_write(&deciding[i].posting, deciding[i].store);
		engine_enter(&scope, deciding[i].config->owner);
		SPI_connect();
		foreach(cell, deciding[i].decided)
		{
			write_decision(lfirst(cell));
			ndecided++;
		}
		SPI_finish();
		engine_leave(&scope);
	}
	return ndecided;
}

/*
 * Members who are locked
 */

typedef struct Current
{
	Deciding	deciding;
	Config	   *config;
	Store	   *store;
	Snapshot	snapshot;
	MemberRow  *row;
	DateADT		day;
} Current;

static void
decide_current(void *arg)
{
	Current    *current = arg;

	store_begin_read(current->store, current->snapshot);
	confirm_begin(&current->deciding, current->config, current->store, current->snapshot, current->row);
	confirm_silence(&current->deciding, current->day);
	store_end_read(current->store);
}

/*
 * Write down what silence has decided of the member by a day.  What goes wrong
 * in that must not stop the till: it is left to the next time.
 */
static void
silence_decides(Config *config, Store *store, MemberRow *row, DateADT day)
{
	const Program *program = config_program_by_id(config, row->program_id);
	MemberRow	before = *row;
	Current		current = {.config = config, .store = store, .row = row, .day = day};
	ErrorData  *error;

	current.snapshot = store_snapshot();
	if (awaiting_list_open(config, row->member_id, current.snapshot, current.day) == NIL)
	{
		UnregisterSnapshot(current.snapshot);
		return;
	}
	error = attempt_damaged(decide_current, &current);
	UnregisterSnapshot(current.snapshot);
	if (error != NULL)
	{
		store_abandon_read(store);
		*row = before;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("what silence decided for member \"%s\" of program \"%s\" is not written down yet: %s",
						text_to_cstring(row->ref), program->name, error->message)));
		return;
	}
	confirm_post(&current.deciding, 1);
	store_flush(store);
	CommandCounterIncrement();
}

void
confirm_init(void)
{
	member_silence = silence_decides;
}
