/*
 * payment.c
 *		What points pay, and how many of them a program lets be spent.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "loyalty.h"
#include "redemption/payment.h"

Numeric
payment_amount(Numeric amount)
{
	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must be a finite number")));
	if (rational_sign(rational_from_numeric(amount)) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must not be negative")));
	return amount;
}

Numeric
payment_worth(Numeric point_value, Points points)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul,
											   NumericGetDatum(points_to_numeric(points)),
											   NumericGetDatum(point_value)));
}

Numeric
payment_value(const Program *program, Points points)
{
	return program->point_value == NULL ? NULL : payment_worth(program->point_value, points);
}

static Rational
rational_points(Points points)
{
	return rational_from_int64(points, POINTS_UNIT);
}

static Rational
rational_value(const Program *program, Points points)
{
	return rational_mul(rational_points(points), rational_from_numeric(program->point_value));
}

/* The most points that are worth no more than that. */
static Points
points_worth(const Program *program, Rational value)
{
	Rational	points = rational_div(value, rational_from_numeric(program->point_value));

	if (rational_sign(points) <= 0)
		return 0;
	if (rational_cmp(points, rational_points(POINTS_MAX)) >= 0)
		return POINTS_MAX;
	return rational_round(points, POINTS_DECIMALS, ROUND_DOWN);
}

/* What points may pay of an amount. */
static Rational
payable_share(const Program *program, Rational amount)
{
	return program->spend_share == NULL ? amount
		: rational_mul(amount, rational_from_numeric(program->spend_share));
}

/* Points come in these: the program's step, or else its smallest number of points. */
static Points
smallest_part(const Program *program)
{
	Points		part = POINTS_UNIT;
	int			i;

	if (program->spend_step > 0)
		return program->spend_step;
	for (i = 0; i < program->points_scale; i++)
		part /= 10;
	return part;
}

bool
payment_needed(const Program *program, Numeric amount, Points *needed)
{
	Rational	points;

	if (program->point_value == NULL)
		return false;
	points = rational_div(rational_from_numeric(amount), rational_from_numeric(program->point_value));
	/* Rounded up it is at most one more. */
	if (rational_cmp(points, rational_points(POINTS_MAX - POINTS_UNIT)) > 0)
		return false;
	*needed = rational_round(points, program->points_scale, ROUND_UP);
	return true;
}

/* No more than a limit.  One that leaves as many is not what keeps it from more. */
static void
limit_payment(const Program *program, Payment *payment, Points limit, const char *why)
{
	limit -= limit % smallest_part(program);
	if (limit >= payment->points)
		return;
	payment->points = limit;
	payment->why = why;
}

Payment
payment_most(const Program *program, Numeric amount, Points available, const Points *asked)
{
	Rational	whole = rational_from_numeric(amount);
	Payment		payment = {0, NULL};

	if (rational_sign(whole) == 0)
		return payment;
	if (program->point_value == NULL)
	{
		payment.why = "points are not money";
		return payment;
	}
	payment.points = points_worth(program, whole);
	payment.points -= payment.points % smallest_part(program);
	payment.why = program->spend_step > 0 ? "points are spent in steps" : "one more point would pay more than the amount";
	if (program->spend_share != NULL)
		limit_payment(program, &payment, points_worth(program, payable_share(program, whole)),
					  "no more of an amount may be paid with points");
	if (program->spend_maximum > 0)
		limit_payment(program, &payment, program->spend_maximum, "no more points may be spent on a purchase");
	limit_payment(program, &payment, available, "no more points are available");
	if (asked != NULL)
		limit_payment(program, &payment, *asked, "no more points were asked for");

	if (payment.points > 0 && payment.points < program->spend_minimum)
	{
		payment.points = 0;
		payment.why = "more points must be spent at once";
	}
	if (rational_cmp(rational_value(program, payment.points), whole) == 0)
		payment.why = NULL;
	return payment;
}

/*
 * Checking
 */

/* LY012; the arguments are errdetail's. */
#define LIMIT_ERROR(message, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_LOYALTY_SPEND_LIMIT), \
			 errmsg(message), \
			 errdetail(__VA_ARGS__), \
			 errhint("loyalty.payable says how many points can pay how much.")))

static char *
numeric_text(Numeric a)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(a)));
}

/* " of purchase "7"", or nothing. */
static char *
of_purchase(const text *purchase)
{
	return purchase == NULL ? "" : psprintf(" of purchase \"%s\"", text_to_cstring(purchase));
}

static void
check_number(const Program *program, Points points)
{
	if (points < program->spend_minimum)
		LIMIT_ERROR("too few points to be spent at once",
					"Program \"%s\" lets at least %s points be spent at once, %s were asked for.",
					program->name, points_to_cstring(program->spend_minimum), points_to_cstring(points));
	if (program->spend_step > 0 && points % program->spend_step != 0)
		LIMIT_ERROR("points can only be spent in steps",
					"Program \"%s\" lets multiples of %s points be spent, %s were asked for.",
					program->name, points_to_cstring(program->spend_step), points_to_cstring(points));
}

static void
check_value(const Program *program, Points points, Numeric amount, const text *purchase, const Spent *spent)
{
	Rational	whole = rational_from_numeric(amount);
	Rational	value = rational_add(rational_value(program, points), rational_from_numeric(spent->value));
	Rational	most = payable_share(program, whole);

	if (rational_cmp(value, whole) > 0)
		LIMIT_ERROR("points would pay more than the amount",
					"The amount%s is %s; %s of it have been paid with points, %s points would pay %s.",
					of_purchase(purchase), numeric_text(amount), numeric_text(spent->value),
					points_to_cstring(points), numeric_text(payment_value(program, points)));
	if (rational_cmp(value, most) > 0)
		LIMIT_ERROR("points would pay too much of the amount",
					"Program \"%s\" lets points pay %s of the amount%s, which is %s; %s have been paid with points, %s points would pay %s.",
					program->name, numeric_text(rational_to_numeric(most)), of_purchase(purchase),
					numeric_text(amount), numeric_text(spent->value), points_to_cstring(points),
					numeric_text(payment_value(program, points)));
}

void
payment_check(const Program *program, Points points, Numeric amount, const text *purchase, const Spent *spent)
{
	check_number(program, points);
	/* Subtracting what has been spent cannot overflow. */
	if (program->spend_maximum > 0 && points > program->spend_maximum - spent->points)
		LIMIT_ERROR("too many points to be spent on a purchase",
					"Program \"%s\" lets at most %s points be spent on a purchase; %s have been%s, %s were asked for.",
					program->name, points_to_cstring(program->spend_maximum), points_to_cstring(spent->points),
					purchase == NULL ? "" : psprintf(" on purchase \"%s\"", text_to_cstring(purchase)),
					points_to_cstring(points));
	if (amount != NULL && program->point_value != NULL)
		check_value(program, points, amount, purchase, spent);
	else if (program->spend_share != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("amount must not be null"),
				 errdetail("Program \"%s\" lets points pay a share of a purchase's amount.", program->name),
				 errhint("Pass amount => '...'.")));
}
