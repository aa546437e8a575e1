/*
 * verify_case.c
 *		Proving that one purchase stands as its row says (I4).
 *
 * The purchase is judged as a reconcile would judge it; whatever that would
 * still have to do is what is wrong.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/judge.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "operation/verify_purchases.h"

/* One purchase of one member, as the ledger and as its row has it. */
typedef struct Case
{
	Proof	   *proof;
	int64		member_id;
	text	   *key;
	EntryRow	entry;			/* the one being added */
	PurchaseLedger ledger;
	const Purchase *purchase;	/* as the row now says; NULL: there is none */
	Numeric		amount;			/* that it counts for; NULL: it stands at zero */
	int			nsteps;
	Step	   *steps;
	bool		amount_differs;
	bool		row_exists;
	SourceRow	row;
} Case;

/*
 * Reporting
 */

/* The member's ref and when he joined; false when he is not there. */
static bool
find_member(int64 member_id, text **ref, TimestampTz *enrolled_at)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(member_id)};
	bool		found;

	SPI_execute_with_args("SELECT ref, enrolled_at FROM loyalty.member WHERE member_id = $1",
						  1, types, values, NULL, true, 1);
	MemoryContextSwitchTo(caller);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		*ref = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 1, &isnull));
		*enrolled_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static char *
member_name(int64 member_id)
{
	text	   *ref;
	TimestampTz enrolled_at;

	if (find_member(member_id, &ref, &enrolled_at))
		return text_to_cstring(ref);
	return psprintf("member_id " INT64_FORMAT, member_id);
}

void
proof_report(const Proof *proof, const char *invariant, const char *member, const text *key,
			 const char *problem, const char *expected, const char *actual)
{
	const Subject *subject = proof->subject;
	Violation	violation = {invariant, subject->program, member, subject->name, problem, expected, actual};

	if (key != NULL)
		violation.purchase = psprintf("%s %s", subject->name, text_to_cstring(key));
	verify_report(proof->verification, &violation);
}

static void
report_case(const Case *case_, const char *invariant, const char *problem,
			const char *expected, const char *actual)
{
	proof_report(case_->proof, invariant, member_name(case_->member_id), case_->key,
				 problem, expected, actual);
}

static char *
amount_text(Numeric amount)
{
	return amount == NULL ? pstrdup("0") : numeric_normalize(amount);
}

static char *
rule_text(const Proof *proof, int32 rule_id)
{
	int			i;

	for (i = 0; i < proof->rules->nrules; i++)
		if (proof->rules->rules[i].rule_id == rule_id)
			return psprintf("rule \"%s\"", proof->rules->rules[i].name);
	return psprintf("rule %d", rule_id);
}

/*
 * Judging
 */

static void
add_entry(void *arg)
{
	Case	   *case_ = arg;

	judge_add(&case_->ledger, &case_->entry);
}

/* Work out what is left to do for the case. */
static void
judge(void *arg)
{
	Case	   *case_ = arg;
	Proof	   *proof = case_->proof;
	Numeric		zero = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(0)));
	Numeric		on_record = case_->ledger.amount == NULL ? zero : case_->ledger.amount;
	Numeric		now;
	Worth		worth;

	judge_worth(NULL, proof->source->program, &case_->ledger, case_->purchase, NULL, &worth);
	case_->steps = palloc(sizeof(Step) * (proof->rules->nrules + case_->ledger.nrules + 1));
	case_->nsteps = judge_steps(proof->source->program, proof->rules, EVENT_PURCHASE, &case_->ledger,
								&worth, NULL, case_->steps);
	case_->amount = worth.amount;
	now = case_->amount == NULL ? zero : case_->amount;
	case_->amount_differs = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(on_record),
															  NumericGetDatum(now))) != 0;
}

/* What a reconcile would do is what is wrong. */
static void
report_steps(const Case *case_)
{
	int			i;

	for (i = 0; i < case_->nsteps; i++)
	{
		const Step *step = &case_->steps[i];
		Points		net = step->ledger == NULL ? 0 : step->ledger->net;
		char	   *rule = rule_text(case_->proof, step->rule_id);

		if (step->record && step->context.limited &&
			(step->ledger == NULL || step->context.wanted != step->ledger->context.wanted))
			report_case(case_, "I4", psprintf("limits of %s were asked for other points than the row wants", rule),
						points_to_cstring(step->context.wanted),
						step->ledger == NULL ? NULL : points_to_cstring(step->ledger->context.wanted));
		else if (step->record && step->context.awaiting.any &&
				 (step->ledger == NULL || step->context.awaiting.points != step->ledger->context.awaiting.points))
			report_case(case_, "I4", psprintf("points of %s that await confirmation are not what the row wants", rule),
						points_to_cstring(step->context.awaiting.points),
						points_to_cstring(step->ledger == NULL ? 0 : step->ledger->context.awaiting.points));
		else if (step->record)
			report_case(case_, "I4", psprintf("shortfall of %s is not what a clawback left", rule),
						points_to_cstring(step->context.shortfall),
						points_to_cstring(step->ledger == NULL ? 0 : step->ledger->context.shortfall));
		else
			report_case(case_, "I4", psprintf("points of %s are not what the row earns", rule),
						points_to_cstring(points_sub(points_add(net, step->earn), step->take)),
						points_to_cstring(net));
	}
	if (case_->amount_differs)
		report_case(case_, "I4", "amount on record is not the row's",
					amount_text(case_->amount), amount_text(case_->ledger.amount));
}

/* Look for the row by its key: whether it is there, and then what it says. */
static void
look_for_row(void *arg)
{
	Case	   *case_ = arg;
	Proof	   *proof = case_->proof;
	Source	   *source = proof->source;
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[MAX_KEY_PARTS];
	char	   *parts[MAX_KEY_PARTS];
	EngineScope scope;
	int			i;

	if (source->query != NULL)
	{
		case_->row_exists = proof_find_query(proof, case_->key, &case_->row.ref);
		return;
	}
	owner_enter(&scope, source->owner);
	if (proof->by_key == NULL)
	{
		char	   *condition = current_key_condition(source, "$%d", proof->key_types);

		proof->by_key = SPI_prepare(psprintf("SELECT FROM %s WHERE %s",
											 current_relation_name(source), condition),
									source->nkeys, proof->key_types);
		if (proof->by_key == NULL)
			elog(ERROR, "could not prepare to read source \"%s\"", source->name);
		MemoryContextSwitchTo(caller);
	}
	source_split_key(source, case_->key, parts);
	for (i = 0; i < source->nkeys; i++)
		values[i] = current_key_value(proof->key_types[i], parts[i]);
	SPI_execute_plan(proof->by_key, values, NULL, true, 1);
	MemoryContextSwitchTo(caller);
	case_->row_exists = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	engine_leave(&scope);
	if (case_->row_exists)
		(void) current_row(source, case_->key, false, GetCurrentTransactionStartTimestamp(), &case_->row);
}

/* Points without a row of this member's: the row is gone, or somebody else's. */
static void
report_without_row(Case *case_)
{
	Source	   *source = case_->proof->source;
	ErrorData  *error = attempt(look_for_row, case_);
	Points		points = 0;
	char	   *actual;
	int			i;

	/* A row that cannot be read has been reported when the table was. */
	if (error != NULL && case_->row_exists)
		return;
	if (error == NULL && !case_->row_exists && source->keep_deleted)
		return;
	if (deferred_has(source, case_->key))
		return;
	if (error != NULL)
	{
		report_case(case_, "I4", psprintf("row cannot be looked for: %s", error->message), NULL, NULL);
		return;
	}

	for (i = 0; i < case_->nsteps; i++)
		points = points_add(points, points_sub(case_->steps[i].take, case_->steps[i].earn));
	actual = psprintf("%s points for %s", points_to_cstring(points), amount_text(case_->ledger.amount));
	if (!case_->row_exists)
		report_case(case_, "I4 vanished", "points stand though the row is gone", "0 points for 0", actual);
	else if (case_->row.ref == NULL)
		report_case(case_, "I4", "points stand though the row is a guest's", "0 points for 0", actual);
	else
		report_case(case_, "I4", psprintf("points stand though the row belongs to member \"%s\"",
										  text_to_cstring(case_->row.ref)), "0 points for 0", actual);
}

/* Gather the entries of the purchase at hand. */
static ErrorData *
read_case(Proof *proof, Case *case_)
{
	Cursor	   *entries = proof->entries;
	ErrorData  *error = NULL;

	memset(case_, 0, sizeof(*case_));
	case_->proof = proof;
	case_->member_id = DatumGetInt64(entries->values[0]);
	case_->key = DatumGetTextPCopy(entries->values[11]);
	judge_begin(&case_->ledger);
	do
	{
		if (error == NULL)
		{
			cursor_entry(entries, &case_->entry);
			error = attempt(add_entry, case_);
		}
		proof->more_entries = cursor_next(entries);
	} while (proof->more_entries &&
			 DatumGetInt32(entries->values[7]) == proof->subject->source_id &&
			 DatumGetInt64(entries->values[0]) == case_->member_id &&
			 DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, entries->values[11],
												  PointerGetDatum(case_->key))));
	return error;
}

void
proof_check_entries(Proof *proof, const Purchase *purchase)
{
	ErrorData  *error;
	Case		case_;

	error = read_case(proof, &case_);
	case_.purchase = purchase;
	if (error == NULL)
		error = attempt(judge, &case_);
	if (error == NULL && case_.nsteps == 0 && !case_.amount_differs)
		return;
	if (error == NULL && purchase == NULL)
		report_without_row(&case_);
	else if (deferred_has(proof->source, case_.key))
		return;
	else if (error != NULL)
		report_case(&case_, "I4", psprintf("purchase cannot be judged: %s", error->message), NULL, NULL);
	else
		report_steps(&case_);
}

void
proof_check_unjudged(Proof *proof, const Purchase *purchase)
{
	Source	   *source = proof->source;
	MemberRow	member;

	if (!purchase->counts || !proof->subject->backfilled)
		return;
	if (!source->program->auto_enroll)
	{
		memset(&member, 0, sizeof(member));
		member.member_id = purchase->member_id;
		if (!find_member(purchase->member_id, &member.ref, &member.enrolled_at) ||
			!member_is(proof->verification->config, source->program, &member, purchase->ref) ||
			purchase->at < member.enrolled_at)
			return;
	}
	if (deferred_has(source, purchase->key))
		return;
	proof_report(proof, "I4", text_to_cstring(purchase->ref), purchase->key, "row counts and was never judged",
				 purchase->nlines > 1 ? psprintf("an entry for %d lines", purchase->nlines)
				 : psprintf("an entry for %s", amount_text(purchase->lines[0].amount)), "none");
}
