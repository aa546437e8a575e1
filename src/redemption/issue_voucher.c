/*
 * issue_voucher.c
 *		Vouchers that somebody issues by hand: for goodwill, for a campaign.
 *
 * With a key a second call issues nothing.  It answers the code where that can
 * be worked out again, and else says why it cannot; an error would have an
 * application that lost the first answer try for ever.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/actor.h"
#include "ledger/member.h"
#include "redemption/voucher_private.h"

PG_FUNCTION_INFO_V1(loyalty_issue_voucher);

/* Arguments, in order. */
enum
{
	ARG_MEMBER, ARG_KIND, ARG_VALUE, ARG_PERCENT, ARG_MAXIMUM, ARG_PRODUCT, ARG_POINTS, ARG_USES, ARG_PER_MEMBER,
	ARG_STORED, ARG_MIN_AMOUNT, ARG_VALID_FROM, ARG_VALID_UNTIL, ARG_VALID_FOR, ARG_POOL, ARG_REASON, ARG_KEY,
	ARG_AT, ARG_PROGRAM
};

typedef struct Issue
{
	FunctionCallInfo fcinfo;
	Config	   *config;
	Program    *program;
	VoucherTerms terms;
	VoucherOrder order;
	bool		at_given;
	VoucherWork work;
	char	   *code;
	char	   *hint;
} Issue;

static Numeric
numeric_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_NUMERIC(argno);
}

/* 22023: a pool's codes have the pool's terms. */
static void
check_pool_alone(FunctionCallInfo fcinfo)
{
	int			i;

	for (i = ARG_KIND; i <= ARG_VALID_FOR; i++)
		if (!PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("what a code of a pool is good for cannot be given"),
					 errdetail("The pool says it."),
					 errhint("UPDATE loyalty.voucher_pool, or make another pool.")));
}

/* The terms as asked for; what is counted from when they are issued, from "at". */
static void
read_terms(FunctionCallInfo fcinfo, const Program *program, TimestampTz at, VoucherTerms *terms)
{
	if (PG_ARGISNULL(ARG_KIND))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind must not be null"),
				 errhint("There are value, percentage, product and points; or name a pool.")));
	voucher_terms_init(terms, voucher_kind(PG_GETARG_TEXT_PP(ARG_KIND)));
	terms->value = numeric_argument(fcinfo, ARG_VALUE);
	terms->percent = numeric_argument(fcinfo, ARG_PERCENT);
	terms->maximum = numeric_argument(fcinfo, ARG_MAXIMUM);
	terms->product = text_argument(fcinfo, ARG_PRODUCT);
	terms->points = PG_ARGISNULL(ARG_POINTS) ? 0 : act_points(fcinfo, ARG_POINTS);
	terms->stored = PG_ARGISNULL(ARG_STORED) ? terms->kind == VOUCHER_VALUE && PG_ARGISNULL(ARG_USES)
		: PG_GETARG_BOOL(ARG_STORED);
	terms->uses = PG_ARGISNULL(ARG_USES) ? (terms->stored ? 0 : 1) : PG_GETARG_INT32(ARG_USES);
	terms->per_member = PG_ARGISNULL(ARG_PER_MEMBER) ? 0 : PG_GETARG_INT32(ARG_PER_MEMBER);
	terms->min_amount = numeric_argument(fcinfo, ARG_MIN_AMOUNT);
	if (!PG_ARGISNULL(ARG_VALID_FROM))
		terms->valid_from = PG_GETARG_TIMESTAMPTZ(ARG_VALID_FROM);
	if (!PG_ARGISNULL(ARG_VALID_UNTIL))
		terms->valid_until = PG_GETARG_TIMESTAMPTZ(ARG_VALID_UNTIL);
	if (!PG_ARGISNULL(ARG_VALID_FOR))
		terms->valid_until = Min(terms->valid_until,
								 voucher_ends_at(program, Max(at, terms->valid_from), PG_GETARG_INTERVAL_P(ARG_VALID_FOR)));
	voucher_terms_check(terms);
}

static void
read_arguments(FunctionCallInfo fcinfo, Issue *issue)
{
	memset(issue, 0, sizeof(*issue));
	issue->fcinfo = fcinfo;
	issue->config = config_get();
	issue->program = PG_ARGISNULL(ARG_MEMBER)
		? access_program(issue->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE)
		: access_program_for(issue->config, text_argument(fcinfo, ARG_PROGRAM), ACCESS_OPERATE,
							 member_argument(fcinfo, ARG_MEMBER));
	issue->at_given = !PG_ARGISNULL(ARG_AT);
	issue->order.at = act_time(fcinfo, ARG_AT);
	issue->order.key = text_argument(fcinfo, ARG_KEY);
	(void) act_key("issue", issue->order.key);
	issue->order.note = text_argument(fcinfo, ARG_REASON);
	issue->order.terms = &issue->terms;
	if (PG_ARGISNULL(ARG_POOL))
		read_terms(fcinfo, issue->program, issue->order.at, &issue->terms);
	else
	{
		check_pool_alone(fcinfo);
		voucher_terms_init(&issue->terms, VOUCHER_VALUE);
		issue->terms.pool = text_argument(fcinfo, ARG_POOL);
	}
	issue->terms.bearer = PG_ARGISNULL(ARG_MEMBER);
}

/* Whose it is to be: locked, so that he stays. */
static void
lock_owner(Issue *issue)
{
	Store	   *store;
	MemberRequest request;
	text	   *ref;

	if (issue->terms.bearer)
		return;
	ref = member_argument(issue->fcinfo, ARG_MEMBER);
	store = store_open(issue->config, true);
	member_lock(issue->config, store, issue->program, ref, issue->program->auto_enroll, issue->order.at, &request);
	if (request.row == NULL)
		member_unknown(issue->program, ref);
	act_check_status(issue->program, request.row);
	store_close(store);
	issue->order.has_member = true;
	issue->order.member_id = request.row->member_id;
}

/* LY006 unless the key issued what is asked for now. */
static void
check_same(Issue *issue, const VoucherRow *row)
{
	VoucherTerms *asked = &issue->terms;
	bool		same = same_text(row->terms.pool, asked->pool) && row->terms.bearer == asked->bearer &&
		row->has_member == issue->order.has_member && row->member_id == issue->order.member_id &&
		same_text(row->note, issue->order.note) && (!issue->at_given || row->issued_at == issue->order.at);

	if (same && asked->pool == NULL)
	{
		bool		bearer = asked->bearer;

		read_terms(issue->fcinfo, issue->program, row->issued_at, asked);
		asked->bearer = bearer;
		same = voucher_terms_same(&row->terms, asked);
	}
	if (!same)
		act_key_reused(issue->order.key,
					   psprintf("It issued voucher %s, of kind %s.", row->hint, voucher_kind_name(row->terms.kind)));
}

/*
 * LY030: points by voucher take a second person like others do, however many uses
 * or vouchers they come by.  Counted is when they were made, as they are by now:
 * neither the time that is given nor an old snapshot hides one.
 */
static void
check_worth(Issue *issue)
{
	static VoucherStatement statement = {
		"SELECT least(coalesce(pg_catalog.sum(points::pg_catalog.numeric * coalesce(uses, 1000000)), 0), 100000000000000) FROM loyalty.voucher"
		" WHERE member_id = $1 AND kind = 'points' AND pool IS NULL AND redeemer_id IS NULL AND recorded_at > $2 AND (void_at IS NULL OR used > 0)",
		2, {INT8OID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[2] = {Int64GetDatum(issue->order.member_id), TimestampTzGetDatum(actor_day_before())};
	const VoucherTerms *terms = &issue->terms;
	Points		before = 0;
	Points		worth = POINTS_MAX;
	bool		isnull;

	if (issue->program->adjust_limit == 0 || terms->kind != VOUCHER_POINTS || terms->pool != NULL)
		return;
	if (issue->order.has_member)
	{
		PushActiveSnapshot(config_snapshot());
		(void) voucher_run(&issue->work, &statement, values, NULL, true);
		PopActiveSnapshot();
		before = points_from_numeric(DatumGetNumeric(voucher_result(0, 1, &isnull)));
	}
	if (terms->uses > 0 && pg_mul_s64_overflow(terms->points, terms->uses, &worth))
		worth = POINTS_MAX;
	if (worth <= issue->program->adjust_limit - before)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_PROPOSAL),
			 errmsg("so many points take a second person"),
			 errdetail("Program \"%s\" lets one role adjust %s points of a member within a day; vouchers of %s were issued to him within it, this one is good for %s.",
					   issue->program->name, points_to_cstring(issue->program->adjust_limit), points_to_cstring(before),
					   worth == POINTS_MAX ? "any number" : points_to_cstring(worth)),
			 errhint("loyalty.adjust proposes what another role can approve; codes of a pool have its terms.")));
}

static Datum
answer(FunctionCallInfo fcinfo, const char *code, const char *hint, bool repeated, const char *why)
{
	TupleDesc	desc;
	Datum		values[4] = {(Datum) 0, CStringGetTextDatum(hint), BoolGetDatum(repeated), (Datum) 0};
	bool		nulls[4] = {code == NULL, false, false, why == NULL};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (code != NULL)
		values[0] = CStringGetTextDatum(code);
	if (why != NULL)
		values[3] = CStringGetTextDatum(why);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static void
hand_out(void *arg)
{
	Issue	   *issue = arg;

	issue->code = voucher_hand_out(&issue->work, issue->program, &issue->order, &issue->hint);
}

/*
 * Issue it; false when somebody else has used the key meanwhile.  A code of a
 * pool is there before it gets the key, so that only the index can tell.
 */
static bool
issue_now(Issue *issue)
{
	ErrorData  *error;

	if (issue->terms.pool == NULL)
	{
		issue->code = voucher_make(&issue->work, issue->program, &issue->order, &issue->hint);
		return issue->code != NULL;
	}
	if (issue->order.key == NULL)
	{
		hand_out(issue);
		return true;
	}
	error = attempt(hand_out, issue);
	if (error != NULL && error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
		ReThrowError(error);
	return error == NULL;
}

/* issue_voucher(member, kind, ...) → (code, hint, repeated, why) */
Datum
loyalty_issue_voucher(PG_FUNCTION_ARGS)
{
	Issue		issue;
	VoucherRow	row;
	bool		repeated;
	const char *why = NULL;

	read_arguments(fcinfo, &issue);
	lock_owner(&issue);
	voucher_begin(&issue.work, issue.config);
	repeated = voucher_of_key(&issue.work, issue.program, issue.order.key, &row);
	if (!repeated)
		check_worth(&issue);
	if (!repeated && !issue_now(&issue))
		repeated = voucher_of_key(&issue.work, issue.program, issue.order.key, &row);
	voucher_finish(&issue.work);
	if (!repeated)
		return answer(fcinfo, issue.code, issue.hint, false, NULL);
	check_same(&issue, &row);
	issue.code = voucher_code_again(issue.program, &row, &why);
	return answer(fcinfo, issue.code, row.hint, true, why);
}
