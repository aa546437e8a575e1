/*
 * explain.c
 *		Why a purchase earned what it earned.
 *
 * The purchase's rows, as they are now, are judged once more under what was
 * kept with it when it was first judged, and evaluation tells of every rule
 * what became of it; the points beside that are those of the ledger.  A
 * purchase without entries is judged as it would be now.  Nothing is written.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/holders.h"
#include "earning/json.h"
#include "earning/query.h"
#include "earning/request.h"
#include "earning/single.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "types/calendar.h"

PG_FUNCTION_INFO_V1(loyalty_explain);

/* The source of what record recorded. */
#define API_NAME "api"

#define ORDER_FACTS (FACT_BIT(FACT_ORDER_AMOUNT) | FACT_BIT(FACT_ORDER_QUANTITY) | FACT_BIT(FACT_PURCHASE_NO))
#define MEMBER_FACTS (KEPT_FACTS & ~FACT_BIT(FACT_PURCHASE_NO))

typedef struct Explanation
{
	Tuplestorestate *result;
	TupleDesc	desc;
	Config	   *config;
	Program    *program;
	Source	   *source;			/* NULL: what record recorded */
	int32		source_id;
	text	   *name;			/* of the source, as asked for */
	text	   *asked_key;
	text	   *asked_member;	/* NULL: none */
	Store	   *store;
	Snapshot	snapshot;
	RuleSet    *rules;
	int			event;
	/* the purchase as its rows now are */
	bool		found;
	text	   *ref;			/* whose they are; NULL: nobody's */
	Purchase	purchase;		/* its member_id is ref's, 0 for nobody's */
	/* whose entries are explained */
	text	   *key;
	int64		member_id;		/* 0: nobody's */
	MemberRow	member;
	bool		known;
	/* what it is judged by */
	PurchaseLedger ledger;
	bool		fresh;			/* it has no entries: single has been judged */
	Single		single;
	Worth		worth;
	PurchaseFacts facts;
	FactValues *values;			/* by line */
	bool		refund;
} Explanation;

/*
 * Finding the purchase
 */

/* LY005 */
static void
raise_no_purchase(const Explanation *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
			 errmsg("source \"%s\" has no purchase \"%s\"",
					text_to_cstring(why->name), text_to_cstring(why->asked_key)),
			 why->asked_member == NULL
			 ? errdetail("No row has this key, and no member of program \"%s\" has entries of it.", why->program->name)
			 : errdetail("No row of member \"%s\" of program \"%s\" has this key, and he has no entries of it.",
						 text_to_cstring(why->asked_member), why->program->name)));
}

static void
find_source(Explanation *why, const text *program_name)
{
	List	   *sources;
	Source	   *source;

	if (strcmp(text_to_cstring(why->name), API_NAME) == 0)
	{
		why->program = access_program(why->config, program_name, ACCESS_READ);
		why->source_id = SOURCE_API;
		return;
	}
	sources = source_find(why->config, why->name, access_program_if_named(why->config, program_name, ACCESS_READ));
	if (list_length(sources) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("several sources are called \"%s\"", text_to_cstring(why->name)),
				 errhint("Name the table with its schema, or the program.")));
	why->source_id = linitial_int(sources);
	source = source_get(why->config, why->source_id, InvalidOid);
	if (source != NULL)
		source = source_get(why->config, why->source_id, source->root);
	if (source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("source \"%s\" does not exist", text_to_cstring(why->name))));
	why->source = source;
	why->program = source->program;
}

/* The purchase as its rows now are, of a table or of a query. */
static void
fetch_purchase(Explanation *why)
{
	Source	   *source = why->source;
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	source_ready(source);
	if (source->query != NULL)
	{
		QueryPurchase read;

		memset(&read, 0, sizeof(read));
		read.key = why->key;
		query_read(source, &read, 1, false, now);
		if (read.error != NULL)
			ReThrowError(read.error);
		why->found = read.found;
		why->ref = read.ref;
		query_purchase(&read, 0, &why->purchase);
	}
	else
	{
		SourceRow	row;

		why->found = current_row(source, why->key, false, now, &row);
		if (!why->found)
			return;
		why->ref = row.ref;
		if (row.counts)
		{
			PurchaseLine *line = palloc(sizeof(PurchaseLine));

			*line = row.line;
			source_row_purchase(&row, 0, &why->purchase);
			why->purchase.lines = line;
		}
	}
	why->purchase.key = why->key;
	if (why->ref != NULL)
		why->purchase.member_id = member_resolve(why->config, why->program, why->ref);
}

/* The same of what was recorded: by the entries, which have to be read before. */
static void
fetch_recorded(Explanation *why)
{
	EventRequest request;

	request_from_json(why->ledger.kept.request, &request);
	request_purchase(why->program, &request, &why->purchase);
	why->event = rule_event(why->rules, request.event);
	why->purchase.key = why->key;
	why->purchase.member_id = why->member_id;
	why->found = true;
	why->ref = why->member.ref;
}

/*
 * Whose entries of the first of the keys that has any are there: of several
 * members the one to whom something was posted last, and *several.  False: nobody's.
 */
static bool
find_holder(Explanation *why, Datum *keys, int nkeys, bool *several)
{
	Oid			types[3] = {INT4OID, INT4OID, TEXTARRAYOID};
	Datum		values[3];
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	bool		found;

	values[0] = Int32GetDatum(why->source_id);
	values[1] = Int32GetDatum(why->program->program_id);
	values[2] = PointerGetDatum(construct_array(keys, nkeys, TEXTOID, -1, false, TYPALIGN_INT));
	engine_enter(&scope, why->config->owner);
	SPI_connect();
	/* Entries are kept by member, so this goes through all of them; of queries it is written down who has them. */
	if (SPI_execute_with_args(why->source != NULL && why->source->query != NULL
							  ? "SELECT member_id, source_key, false FROM loyalty.purchase"
							  " WHERE source_id = $1 AND $2 IS NOT NULL AND source_key = ANY ($3) AND member_id IS NOT NULL"
							  : "SELECT member_id, source_key,"
							  " pg_catalog.count(*) OVER (PARTITION BY source_key) > 1"
							  " FROM loyalty.entry WHERE source_id = $1 AND program_id = $2"
							  " AND source_key = ANY ($3) AND revision > 0"
							  " GROUP BY member_id, source_key"
							  " ORDER BY pg_catalog.array_position($3, source_key),"
							  " pg_catalog.max(posted_at) DESC, pg_catalog.max(revision) DESC",
							  3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for entries");
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		why->member_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		*several = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
		MemoryContextSwitchTo(caller);
		why->key = DatumGetTextPCopy(SPI_getbinval(row, desc, 2, &isnull));
	}
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* Read the member and what the ledger says of the purchase of his. */
static void
read_ledger(Explanation *why)
{
	store_begin_read(why->store, why->snapshot);
	why->known = store_find_member(why->store, why->member_id, &why->member) &&
		why->member.program_id == why->program->program_id;
	if (why->known)
		judge_read(why->store, why->member_id, why->source_id, why->key, &why->ledger);
	else
		judge_begin(&why->ledger);
	store_end_read(why->store);
}

/* The member that was asked for; LY002 when he is none, unless the rows are his. */
static void
find_asked_member(Explanation *why)
{
	int64		asked_id = member_resolve(why->config, why->program, why->asked_member);

	why->member_id = why->source_id == SOURCE_API ? asked_id
		: holder_of(why->config, why->program, why->snapshot, asked_id, why->source_id, why->key);
	read_ledger(why);
	if (why->known && why->member_id == asked_id &&
		!member_is(why->config, why->program, &why->member, why->asked_member))
	{
		why->known = false;
		judge_begin(&why->ledger);
	}
	if (!why->known && !same_text(why->ref, why->asked_member))
		member_unknown(why->program, why->asked_member);
}

/* What record recorded under the key: of a purchase, of another event, or without a key of its own. */
static void
find_recorded(Explanation *why)
{
	Datum		keys[3];
	bool		several = false;
	int			i;

	keys[0] = PointerGetDatum(act_key(PURCHASE_EVENT, why->asked_key));
	keys[1] = PointerGetDatum(act_key(RECORD_KIND, why->asked_key));
	keys[2] = PointerGetDatum(why->asked_key);
	if (why->asked_member == NULL)
	{
		if (!find_holder(why, keys, lengthof(keys), &several))
			raise_no_purchase(why);
		if (several)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("several members have recorded something under the key \"%s\"",
							text_to_cstring(why->asked_key)),
					 errhint("Name the member.")));
		read_ledger(why);
	}
	else
		for (i = 0; i < lengthof(keys) && why->ledger.revision == 0; i++)
		{
			why->key = DatumGetTextPP(keys[i]);
			find_asked_member(why);
		}
	if (why->ledger.revision == 0 || why->ledger.kept.request == NULL)
		raise_no_purchase(why);
	fetch_recorded(why);
}

/* A purchase of an attached table or query. */
static void
find_attached(Explanation *why)
{
	Datum		keys[1] = {PointerGetDatum(why->key)};
	bool		several;

	why->event = EVENT_PURCHASE;
	fetch_purchase(why);
	/* Merges leave it where its entries are, wherever its ref leads. */
	if (why->ref != NULL)
		why->purchase.member_id = holder_of(why->config, why->program, why->snapshot, why->purchase.member_id,
											why->source_id, why->key);
	if (why->asked_member != NULL)
		find_asked_member(why);
	else if (why->ref != NULL)
	{
		why->member_id = why->purchase.member_id;
		read_ledger(why);
	}
	else if (find_holder(why, keys, 1, &several))
		read_ledger(why);
	if (why->ledger.revision == 0 &&
		(!why->found || (why->asked_member != NULL && why->member_id != why->purchase.member_id)))
		raise_no_purchase(why);
}

/*
 * Rows of the answer
 */

static void
put_row(Explanation *why, const char *rule, Jsonb *facts, Numeric amount, Points points, const char *reason)
{
	Datum		values[5];
	bool		nulls[5] = {rule == NULL, facts == NULL, amount == NULL, rule == NULL, false};

	values[0] = rule == NULL ? (Datum) 0 : CStringGetTextDatum(rule);
	values[1] = JsonbPGetDatum(facts);
	values[2] = NumericGetDatum(amount);
	values[3] = PointsGetDatum(points);
	values[4] = CStringGetTextDatum(reason);
	tuplestore_putvalues(why->result, why->desc, values, nulls);
}

/* A row that is about the purchase as a whole. */
static void
put_remark(Explanation *why, const char *reason)
{
	put_row(why, NULL, NULL, NULL, 0, reason);
}

/* The facts that a rule has read. */
static Jsonb *
facts_read(const Explanation *why, const Rule *rule)
{
	JsonbParseState *state = NULL;
	int			i;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (rule->reads & LINE_FACTS && why->facts.nlines > 1)
	{
		json_push_key(&state, "lines");
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		for (i = 0; i < why->facts.nlines; i++)
		{
			pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
			facts_to_json(&state, &why->values[i], rule->reads & LINE_FACTS);
			pushJsonbValue(&state, WJB_END_OBJECT, NULL);
		}
		pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	}
	else
		facts_to_json(&state, &why->values[0], rule->reads & LINE_FACTS);
	facts_to_json(&state, &why->values[0], rule->reads & ORDER_FACTS);
	if (rule->reads & MEMBER_FACTS)
	{
		json_push_key(&state, "member");
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		facts_to_json(&state, &why->values[0], rule->reads & MEMBER_FACTS);
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* A time in the program's zone. */
static char *
local_time(const Program *program, TimestampTz at)
{
	char		buffer[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(calendar_local(at, program->zone), NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	EncodeDateTime(&tm, fsec, false, 0, NULL, USE_ISO_DATES, buffer);
	return pstrdup(buffer);
}

static char *
rational_text(Rational value)
{
	return numeric_normalize(rational_to_numeric(value));
}

/* What became of a rule, before its limits. */
static char *
verdict_text(const Explanation *why, const RuleVerdict *verdict)
{
	const Rule *rule = verdict->rule;
	Rational	amount;
	Rational	quantity;

	(void) evaluate_totals(&why->facts, &amount, &quantity);
	switch (verdict->verdict)
	{
		case VERDICT_TOO_NEW:
			return pstrdup("written after the purchase was first judged");
		case VERDICT_NOT_ACTIVE:
			return psprintf("not active at %s", local_time(why->program, why->facts.at));
		case VERDICT_BARRED:
			return pstrdup(rule->limits.once ? "once: given before" : "limit reached");
		case VERDICT_STOPPED:
			return psprintf("stopped by rule \"%s\"", verdict->because->name);
		case VERDICT_MIN_AMOUNT:
			return psprintf("purchase of %s is below min_amount %s", rational_text(amount), rational_text(rule->min_amount));
		case VERDICT_MIN_QUANTITY:
			return psprintf("quantity of %s is below min_quantity %s", rational_text(quantity), rational_text(rule->min_quantity));
		case VERDICT_NO_LINE:
			return pstrdup("no line meets its condition");
		case VERDICT_NOT_BEST:
			return psprintf("rule \"%s\" of exclusive group \"%s\" gives more", verdict->because->name, rule->group_name);
		default:
			return pstrdup("applies");
	}
}

/* What the ledger has of the rule, or would have. */
static Points
standing_points(const Explanation *why, const Rule *rule, RuleContext *context)
{
	Points		points = 0;
	int			i;

	memset(context, 0, sizeof(*context));
	for (i = 0; !why->fresh && i < why->ledger.nrules; i++)
		if (why->ledger.rules[i].rule_id == rule->rule_id)
		{
			*context = why->ledger.rules[i].context;
			return why->ledger.rules[i].net;
		}
	for (i = 0; why->fresh && i < why->single.posting.nentries; i++)
	{
		const EntryRow *entry = &why->single.posting.entries[i];

		if (!single_is_own(&why->single, entry) || entry->rule_id != rule->rule_id)
			continue;
		points = points_add(points, entry->points);
		context_read_rule(entry->context, context);
	}
	return points;
}

/* What became of an award that awaits or awaited confirmation; NULL: it did not. */
static const char *
confirmation_text(const Explanation *why, const Rule *rule, const Awaiting *awaiting)
{
	DateADT		today = calendar_day(GetCurrentTransactionStartTimestamp(), why->program->zone);

	if (awaiting->points == 0)
		return decision_name(awaiting->decision);
	if (rule_silence_day(rule, calendar_day(why->ledger.at, why->program->zone)) > today)
		return psprintf("%s await confirmation", points_to_cstring(awaiting->points));
	/* It has not been written down. */
	return rule->silence_accepts ? psprintf("%s accepted by silence", points_to_cstring(awaiting->points))
		: "rejected by silence";
}

/* With what limits, confirmation and clawbacks have made of it. */
static char *
reason_text(const Explanation *why, const Rule *rule, const char *verdict, Points points, const RuleContext *context)
{
	Points		granted = points_add(points_sub(points, context->shortfall), context->awaiting.points);
	const char *confirmation = confirmation_text(why, rule, &context->awaiting);
	const char *reason = verdict;

	if (context->limited && context->wanted != granted)
		reason = psprintf("limited: %s wanted, %s granted", points_to_cstring(context->wanted), points_to_cstring(granted));
	if (confirmation != NULL)
		reason = psprintf("%s; %s", reason, confirmation);
	return psprintf("%s%s", reason, context->shortfall == 0 ? ""
					: psprintf(", of which %s could not be taken back", points_to_cstring(context->shortfall)));
}

static void
put_verdict(Explanation *why, const RuleVerdict *verdict)
{
	bool		asked = verdict->verdict == VERDICT_APPLIES || verdict->verdict == VERDICT_NOT_BEST ||
		verdict->verdict == VERDICT_NO_LINE;
	Rational	amount = why->refund ? rational_neg(verdict->amount) : verdict->amount;
	RuleContext context;
	Points		points = standing_points(why, verdict->rule, &context);

	/* What was wanted last time tells nothing of a rule that does not apply now. */
	if (verdict->verdict != VERDICT_APPLIES)
		context.limited = false;
	put_row(why, verdict->rule->name, asked ? facts_read(why, verdict->rule) : NULL,
			asked ? rational_to_numeric(amount) : NULL, points,
			reason_text(why, verdict->rule, verdict_text(why, verdict), points, &context));
}

/* All rules about the event: awards, then what multiplies them, each in the order of rules. */
static void
put_verdicts(Explanation *why)
{
	RuleSet    *rules = why->rules;
	RuleVerdict *verdicts = palloc0(sizeof(RuleVerdict) * Max(rules->nrules, 1));
	Rational	amount;
	Rational	quantity;
	int			pass;
	int			i;

	why->refund = evaluate_totals(&why->facts, &amount, &quantity);
	(void) evaluate_purchase(why->program, rules, &why->facts,
							 palloc(sizeof(AwardGiven) * Max(rules->nrules, 1)), verdicts);
	why->values = palloc(sizeof(FactValues) * why->facts.nlines);
	evaluate_facts(why->program, rules, &why->facts, why->values);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < rules->nrules; i++)
			if (verdicts[i].verdict != VERDICT_OTHER_EVENT &&
				(rules->rules[i].award.kind == AWARD_TIMES) == (pass == 1))
				put_verdict(why, &verdicts[i]);
}

/* A purchase that stands at zero: what could not be taken back, or is kept. */
static void
put_remains(Explanation *why)
{
	int			i;

	for (i = 0; i < why->ledger.nrules; i++)
	{
		const RuleLedger *rule = &why->ledger.rules[i];

		if (rule->rule_id != 0 && (rule->net != 0 || rule->context.awaiting.points != 0))
			put_row(why, rule_by_id(why->rules, rule->rule_id)->name, NULL, NULL, rule->net,
					rule->context.awaiting.points != 0
					? confirmation_text(why, rule_by_id(why->rules, rule->rule_id), &rule->context.awaiting)
					: rule->context.shortfall == rule->net ? "could not be taken back" : "kept");
	}
}

/* Why nothing is due whatever the rules say; NULL: they decide. */
static const char *
remark(const Explanation *why)
{
	if (why->ledger.kept.status != NULL)
		return psprintf(why->fresh ? "the member is %s" : "the member was %s when the purchase was first judged",
						why->ledger.kept.status);
	if (!why->found)
		return "the purchase is gone";
	if (why->ref == NULL)
		return "the purchase has no member";
	if (why->member_id != why->purchase.member_id)
		return "the purchase is another member's now";
	if (!why->purchase.counts)
		return "the purchase does not count";
	if (!why->known && !why->program->auto_enroll)
		return psprintf("customer \"%s\" is no member", text_to_cstring(why->ref));
	return NULL;
}

/* Judge as it would be now what has no entries. */
static void
judge_fresh(Explanation *why)
{
	if (!why->known)
		single_newcomer(why->program, why->ref, why->purchase.at, &why->member);
	single_begin(&why->single, why->config, why->program, why->store, why->source_id, why->event,
				 &why->purchase, &why->member);
	single_judge(&why->single, why->snapshot, false);
	why->ledger = why->single.case_.ledger;
	why->fresh = true;
}

static void
explain(Explanation *why)
{
	const char *reason = remark(why);

	if (reason == NULL && why->ledger.revision == 0)
	{
		judge_fresh(why);
		reason = remark(why);
	}
	if (reason != NULL)
	{
		put_remark(why, reason);
		put_remains(why);
		return;
	}
	judge_worth(NULL, why->program, &why->ledger, &why->purchase, NULL, &why->worth);
	judge_facts(&why->ledger, why->event, &why->worth, &why->facts);
	put_verdicts(why);
}

/* explain(source, key, member, program) → setof (rule, facts, amount, points, why) */
Datum
loyalty_explain(PG_FUNCTION_ARGS)
{
	Explanation why;
	char	   *deferred;

	memset(&why, 0, sizeof(why));
	why.result = result_begin(fcinfo, &why.desc);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "source" : "key")));
	why.config = config_get();
	why.name = PG_GETARG_TEXT_PP(0);
	why.asked_key = get_fn_expr_argtype(fcinfo->flinfo, 1) == INT8OID
		? cstring_to_text(psprintf(INT64_FORMAT, PG_GETARG_INT64(1))) : PG_GETARG_TEXT_PP(1);
	why.key = why.asked_key;
	why.asked_member = PG_ARGISNULL(2) ? NULL : member_argument(fcinfo, 2);
	find_source(&why, text_argument(fcinfo, 3));
	deferred = why.source == NULL ? NULL : deferred_message(why.source, why.key);
	if (deferred != NULL)
	{
		put_remark(&why, psprintf("deferred: %s", deferred));
		PG_RETURN_NULL();
	}

	why.rules = rule_set(why.config, why.program);
	why.snapshot = GetActiveSnapshot();
	why.store = store_open(why.config, false);
	if (why.source == NULL)
		find_recorded(&why);
	else
		find_attached(&why);
	explain(&why);
	store_close(why.store);
	PG_RETURN_NULL();
}
