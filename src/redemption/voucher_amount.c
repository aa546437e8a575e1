/*
 * voucher_amount.c
 *		Amounts of money: exact, in numeric.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "redemption/payment.h"
#include "redemption/voucher_private.h"
#include "types/rational.h"

/* Decimals that money has, whether or not an amount is written with them. */
#define MONEY_DECIMALS 2

static Numeric
apply(PGFunction function, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(function, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric
amount_add(Numeric a, Numeric b)
{
	return apply(numeric_add, a, b);
}

Numeric
amount_sub(Numeric a, Numeric b)
{
	return apply(numeric_sub, a, b);
}

int
amount_cmp(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric
amount_least(Numeric a, Numeric b)
{
	return amount_cmp(a, b) <= 0 ? a : b;
}

bool
amount_is_positive(Numeric amount)
{
	return amount_cmp(amount, int64_to_numeric(0)) > 0;
}

bool
amount_same(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return amount_cmp(a, b) == 0;
}

char *
amount_text(Numeric amount)
{
	return amount == NULL ? pstrdup("none")
		: DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(amount)));
}

Numeric
amount_percent(Numeric amount, Numeric percent)
{
	Numeric		hundredth = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum("0.01"),
																ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	int32		scale = DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(amount)));

	return DatumGetNumeric(DirectFunctionCall2(numeric_trunc,
											   NumericGetDatum(apply(numeric_mul, apply(numeric_mul, amount, percent), hundredth)),
											   Int32GetDatum(Max(scale, MONEY_DECIMALS))));
}

Numeric
amount_share(Numeric amount, int part, int whole)
{
	return rational_to_numeric(rational_mul(rational_from_numeric(amount), rational_from_int64(part, whole)));
}

Numeric
amount_argument(FunctionCallInfo fcinfo, int argno)
{
	Numeric		amount;

	if (PG_ARGISNULL(argno))
		return NULL;
	amount = payment_amount(PG_GETARG_NUMERIC(argno));
	if (!amount_is_positive(amount))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must be greater than zero")));
	return amount;
}
