/*
 * voucher_terms.c
 *		What a voucher is good for: reading, writing and checking it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "redemption/voucher_private.h"

static const char *const kind_names[] = {"value", "percentage", "product", "points"};

/* Decimals of a percentage: more would only be noise. */
#define PERCENT_DECIMALS 4

/* Longer names of products are none. */
#define MAX_PRODUCT_BYTES 2000

void
voucher_terms_init(VoucherTerms *terms, VoucherKind kind)
{
	memset(terms, 0, sizeof(*terms));
	terms->kind = kind;
	terms->uses = 1;
	terms->valid_from = DT_NOBEGIN;
	terms->valid_until = DT_NOEND;
}

const char *
voucher_kind_name(VoucherKind kind)
{
	return kind_names[kind];
}

VoucherKind
voucher_kind(const text *name)
{
	char	   *wanted = text_to_cstring(name);
	int			i;

	for (i = 0; i < lengthof(kind_names); i++)
		if (strcmp(wanted, kind_names[i]) == 0)
			return (VoucherKind) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no kind of voucher", wanted),
			 errhint("There are value, percentage, product and points.")));
}

/* 22023; "needed" or not, a term is there or not. */
static void
check_belongs(VoucherKind kind, VoucherKind to, const char *name, bool given)
{
	if (given == (kind == to))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 given ? errmsg("a voucher of kind %s has no %s", kind_names[kind], name)
			 : errmsg("a voucher of kind %s needs %s", kind_names[kind], name)));
}

static void
check_money(const char *name, Numeric amount, bool zero_is_fine)
{
	if (amount == NULL)
		return;
	if (numeric_is_nan(amount) || numeric_is_inf(amount) ||
		(!amount_is_positive(amount) && !(zero_is_fine && amount_cmp(amount, int64_to_numeric(0)) == 0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a finite number%s", name,
						zero_is_fine ? " that is not negative" : " greater than zero")));
}

static void
check_percent(Numeric percent)
{
	if (percent == NULL)
		return;
	if (numeric_is_nan(percent) || numeric_is_inf(percent) || !amount_is_positive(percent) ||
		amount_cmp(percent, int64_to_numeric(100)) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("percent must be greater than 0 and at most 100"),
				 errhint("With 10 a voucher takes a tenth of an amount.")));
	if (DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(percent))) > PERCENT_DECIMALS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("percent must not have more than %d decimals", PERCENT_DECIMALS)));
}

static void
check_text(const char *name, const text *value)
{
	if (value == NULL)
		return;
	if (VARSIZE_ANY_EXHDR(value) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	if (VARSIZE_ANY_EXHDR(value) > MAX_PRODUCT_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is too long", name),
				 errdetail("It has %d bytes, %d are allowed.", (int) VARSIZE_ANY_EXHDR(value), MAX_PRODUCT_BYTES)));
}

void
voucher_terms_check(const VoucherTerms *terms)
{
	check_belongs(terms->kind, VOUCHER_VALUE, "value", terms->value != NULL);
	check_belongs(terms->kind, VOUCHER_PERCENTAGE, "percent", terms->percent != NULL);
	check_belongs(terms->kind, VOUCHER_PRODUCT, "product", terms->product != NULL);
	check_belongs(terms->kind, VOUCHER_POINTS, "points", terms->points != 0);
	if (terms->kind != VOUCHER_PERCENTAGE)
		check_belongs(terms->kind, VOUCHER_PERCENTAGE, "maximum", terms->maximum != NULL);
	if (terms->kind != VOUCHER_VALUE)
		check_belongs(terms->kind, VOUCHER_VALUE, "stored value", terms->stored);
	check_money("value", terms->value, false);
	check_money("maximum", terms->maximum, false);
	check_money("min_amount", terms->min_amount, true);
	check_percent(terms->percent);
	check_text("product", terms->product);
	if (terms->points < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points must be greater than zero")));
	if (terms->uses < 0 || terms->per_member < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", terms->uses < 0 ? "uses" : "per_member")));
	if (terms->stored && terms->uses == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a stored value cannot be limited to one use"),
				 errdetail("Nobody could use what the first one leaves."),
				 errhint("Give no number of uses, or do not store the value.")));
	if (terms->valid_from >= terms->valid_until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a voucher must not end before it begins"),
				 errdetail("It is valid from %s, until %s.",
						   TIMESTAMP_IS_NOBEGIN(terms->valid_from) ? "ever" : pstrdup(timestamptz_to_str(terms->valid_from)),
						   pstrdup(timestamptz_to_str(terms->valid_until)))));
}

/*
 * Columns and parameters, in the order of TERMS_COLUMNS
 */

static Numeric
numeric_or_null(Datum value, bool isnull)
{
	return isnull ? NULL : DatumGetNumericCopy(value);
}

void
voucher_terms_read(HeapTuple tuple, TupleDesc desc, int first, VoucherTerms *terms)
{
	Datum		values[NTERMS];
	bool		nulls[NTERMS];
	int			i;

	for (i = 0; i < NTERMS; i++)
		values[i] = heap_getattr(tuple, first + i, desc, &nulls[i]);
	voucher_terms_init(terms, nulls[0] ? VOUCHER_VALUE : voucher_kind(DatumGetTextPP(values[0])));
	terms->value = numeric_or_null(values[1], nulls[1]);
	terms->stored = !nulls[2] && DatumGetBool(values[2]);
	terms->percent = numeric_or_null(values[3], nulls[3]);
	terms->maximum = numeric_or_null(values[4], nulls[4]);
	terms->product = nulls[5] ? NULL : DatumGetTextPCopy(values[5]);
	terms->points = nulls[6] ? 0 : DatumGetPoints(values[6]);
	terms->uses = nulls[7] ? 0 : DatumGetInt32(values[7]);
	terms->per_member = nulls[8] ? 0 : DatumGetInt32(values[8]);
	terms->min_amount = numeric_or_null(values[9], nulls[9]);
	if (!nulls[10])
		terms->valid_from = DatumGetTimestampTz(values[10]);
	if (!nulls[11])
		terms->valid_until = DatumGetTimestampTz(values[11]);
}

void
voucher_terms_values(const VoucherTerms *terms, Datum *values, char *nulls)
{
	values[0] = CStringGetTextDatum(kind_names[terms->kind]);
	nulls[0] = ' ';
	values[1] = NumericGetDatum(terms->value);
	nulls[1] = terms->value == NULL ? 'n' : ' ';
	values[2] = BoolGetDatum(terms->stored);
	nulls[2] = ' ';
	values[3] = NumericGetDatum(terms->percent);
	nulls[3] = terms->percent == NULL ? 'n' : ' ';
	values[4] = NumericGetDatum(terms->maximum);
	nulls[4] = terms->maximum == NULL ? 'n' : ' ';
	values[5] = PointerGetDatum(terms->product);
	nulls[5] = terms->product == NULL ? 'n' : ' ';
	values[6] = NumericGetDatum(points_to_numeric(terms->points));
	nulls[6] = terms->points == 0 ? 'n' : ' ';
	values[7] = Int32GetDatum(terms->uses);
	nulls[7] = terms->uses == 0 ? 'n' : ' ';
	values[8] = Int32GetDatum(terms->per_member);
	nulls[8] = terms->per_member == 0 ? 'n' : ' ';
	values[9] = NumericGetDatum(terms->min_amount);
	nulls[9] = terms->min_amount == NULL ? 'n' : ' ';
	values[10] = TimestampTzGetDatum(terms->valid_from);
	nulls[10] = TIMESTAMP_IS_NOBEGIN(terms->valid_from) ? 'n' : ' ';
	values[11] = TimestampTzGetDatum(terms->valid_until);
	nulls[11] = TIMESTAMP_IS_NOEND(terms->valid_until) ? 'n' : ' ';
}

bool
voucher_terms_same(const VoucherTerms *a, const VoucherTerms *b)
{
	return a->kind == b->kind && amount_same(a->value, b->value) && a->stored == b->stored &&
		amount_same(a->percent, b->percent) && amount_same(a->maximum, b->maximum) &&
		same_text(a->product, b->product) && a->points == b->points &&
		a->uses == b->uses && a->per_member == b->per_member && amount_same(a->min_amount, b->min_amount) &&
		a->valid_from == b->valid_from && a->valid_until == b->valid_until;
}

TimestampTz
voucher_ends_at(const Program *program, TimestampTz at, const Interval *valid_for)
{
	Datum		zone = CStringGetTextDatum(pg_get_timezone_name(program->zone));
	Datum		local = DirectFunctionCall2(timestamptz_zone, zone, TimestampTzGetDatum(at));
	Datum		ends = DirectFunctionCall2(timestamp_pl_interval, local, IntervalPGetDatum(valid_for));
	TimestampTz until = DatumGetTimestampTz(DirectFunctionCall2(timestamp_zone, zone, ends));

	if (until <= at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("valid_for must be greater than zero")));
	return until;
}
