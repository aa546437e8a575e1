/*
 * catalogue.c
 *		What a member can have for his points, what he is close to, and why not.
 *
 * It asks what redeeming would ask, and writes and locks nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "ledger/act.h"
#include "loyalty.h"
#include "redemption/household.h"
#include "redemption/offer.h"
#include "redemption/stock.h"

PG_FUNCTION_INFO_V1(loyalty_catalogue);

/* A line of the catalogue: a reward, and one way to pay for it. */
typedef struct Line
{
	const Reward *reward;
	const RewardOption *option; /* NULL: none is the member's */
	int64		units;
	Points		missing;
	const char *why;			/* NULL: he can have it now */
	bool		is_close;		/* nothing but points is missing */
} Line;

typedef struct Catalogue
{
	Buyer		buyer;
	Points		balance;
	const char *member_why;		/* what keeps the member from any; NULL: nothing */
	const Reward *reward;		/* the one at hand */
	int			first;			/* its first line */
	int			nlines;
	int			capacity;
	Line	   *lines;
} Catalogue;

static Line *
add_line(Catalogue *catalogue, const RewardOption *option)
{
	Line	   *line;

	if (catalogue->nlines == catalogue->capacity)
	{
		catalogue->capacity = Max(16, catalogue->capacity * 2);
		catalogue->lines = catalogue->lines == NULL ? palloc(sizeof(Line) * catalogue->capacity)
			: repalloc(catalogue->lines, sizeof(Line) * catalogue->capacity);
	}
	line = &catalogue->lines[catalogue->nlines++];
	memset(line, 0, sizeof(*line));
	line->reward = catalogue->reward;
	line->option = option;
	return line;
}

/* Units that there are; what is on back-order can be had, but not now. */
static int64
units_in_stock(Catalogue *catalogue, const char **why)
{
	const Reward *reward = catalogue->reward;
	Buyer	   *buyer = &catalogue->buyer;
	int64		left;

	if (reward->stock == STOCK_UNLIMITED)
		return PG_INT64_MAX;
	left = stock_left(buyer->config, reward, stock_period(buyer->program, reward, buyer->at), false);
	if (!reward->backorder)
	{
		if (left == 0)
			*why = "it is out of stock";
		return left;
	}
	if (left == 0 || stock_is_awaited(buyer->config, reward))
		*why = "it waits for stock";
	return PG_INT64_MAX;
}

/* What he can have, paid so. */
static void
add_offer(Catalogue *catalogue, const RewardOption *option, int64 most, int64 stock, const char *why)
{
	Line	   *line = add_line(catalogue, option);

	line->missing = Max(option->cost - Max(catalogue->balance, 0), 0);
	line->units = Min(Min(Max(catalogue->balance, 0) / option->cost, most), stock);
	line->why = why;
	if (line->why == NULL && line->missing > 0)
	{
		line->why = psprintf("%s points are missing", points_to_cstring(line->missing));
		line->is_close = true;
	}
}

/* The reward at hand: the cheapest way in points alone, and each that asks for money. */
static void
add_reward(void *arg)
{
	Catalogue  *catalogue = arg;
	const Reward *reward = catalogue->reward;
	Buyer	   *buyer = &catalogue->buyer;
	const RewardOption *cheapest;
	const char *why = catalogue->member_why;
	Refusal		refusal;
	int64		most;
	int64		stock;
	int			i;

	if (!offer_is_open(buyer, reward, &refusal))
	{
		add_line(catalogue, NULL)->why = refusal.why;
		return;
	}
	most = offer_most(buyer, reward, &refusal);
	if (why == NULL)
		why = refusal.why;
	stock = units_in_stock(catalogue, why == NULL ? &why : &refusal.why);
	if (catalogue->member_why != NULL)
		most = 0;
	cheapest = offer_choose(buyer, reward, NULL, &refusal);
	if (cheapest != NULL)
		add_offer(catalogue, cheapest, most, stock, why);
	for (i = 0; i < reward->noptions; i++)
	{
		Refusal		closed;

		if (reward->options[i].price != NULL &&
			offer_option_is_open(buyer, reward, &reward->options[i], &closed))
			add_offer(catalogue, &reward->options[i], most, stock, why);
	}
	if (catalogue->nlines == catalogue->first)
		add_line(catalogue, NULL)->why = refusal.why;
}

/* One reward whose condition fails does not take the others along. */
static void
look_at_reward(Catalogue *catalogue, const Reward *reward)
{
	ErrorData  *error;

	catalogue->reward = reward;
	catalogue->first = catalogue->nlines;
	if (reward->reads == 0 && reward->condition == NULL)
	{
		add_reward(catalogue);
		return;
	}
	/* What is read to judge it must outlive a subtransaction that fails. */
	store_end_read(catalogue->buyer.store);
	store_begin_read(catalogue->buyer.store, catalogue->buyer.snapshot);
	error = attempt(add_reward, catalogue);
	if (error == NULL)
		return;
	store_abandon_read(catalogue->buyer.store);
	store_begin_read(catalogue->buyer.store, catalogue->buyer.snapshot);
	catalogue->nlines = catalogue->first;
	add_line(catalogue, NULL)->why = psprintf("its condition fails: %s", error->message);
}

/* 0: he can have it; 1: points are missing; 2: something else. */
static int
group(const Line *line)
{
	return line->units > 0 ? 0 : line->is_close ? 1 : 2;
}

static int
compare_lines(const void *a, const void *b)
{
	const Line *x = a;
	const Line *y = b;
	Points		x_cost = x->option == NULL ? 0 : x->option->cost;
	Points		y_cost = y->option == NULL ? 0 : y->option->cost;
	int			order;

	if (group(x) != group(y))
		return group(x) - group(y);
	if (x->missing != y->missing && group(x) == 1)
		return x->missing < y->missing ? -1 : 1;
	if (x_cost != y_cost && group(x) == 0)
		return x_cost < y_cost ? -1 : 1;
	order = strcmp(x->reward->name, y->reward->name);
	return order != 0 ? order : (x->option > y->option) - (x->option < y->option);
}

/* What the member can spend at the time, and what keeps him from it. */
static void
read_balance(Catalogue *catalogue, const Reading *reading)
{
	bool		may_spend;

	if (!reading->known)
		return;
	catalogue->balance = points_add(act_available(reading->program, &reading->state, reading->row.enrolled_at, reading->at),
									household_spendable(reading, &may_spend));
	if (reading->row.status == MEMBER_SUSPENDED)
		catalogue->member_why = "the member is suspended";
	else if (reading->row.status == MEMBER_CLOSED)
		catalogue->member_why = "the member is closed";
	else if (!may_spend)
		catalogue->member_why = "the member may not spend points of his household";
}

/* catalogue(member, at, program) → setof (reward, title, kind, option, cost, price, available, missing, why) */
Datum
loyalty_catalogue(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);
	Catalogue	catalogue = {0};
	Reading		reading;
	RewardSet  *set;
	Store	   *store;
	int			i;

	balance_read_member(fcinfo, 1, 2, &reading);
	read_balance(&catalogue, &reading);
	store = store_open(reading.config, false);
	store_begin_read(store, GetActiveSnapshot());
	buyer_begin(&catalogue.buyer, reading.config, reading.program, store, GetActiveSnapshot(),
				reading.known ? &reading.row : NULL, reading.at);
	set = catalogue.buyer.set;
	for (i = 0; i < set->nrewards; i++)
	{
		CHECK_FOR_INTERRUPTS();
		look_at_reward(&catalogue, &set->rewards[i]);
	}
	store_end_read(store);
	store_close(store);
	if (catalogue.nlines > 1)
		qsort(catalogue.lines, catalogue.nlines, sizeof(Line), compare_lines);

	for (i = 0; i < catalogue.nlines; i++)
	{
		const Line *line = &catalogue.lines[i];
		const RewardOption *option = line->option;
		Datum		values[9];
		bool		nulls[9] = {false};

		values[0] = CStringGetTextDatum(line->reward->name);
		nulls[1] = line->reward->title == NULL;
		values[1] = nulls[1] ? (Datum) 0 : CStringGetTextDatum(line->reward->title);
		values[2] = CStringGetTextDatum(line->reward->kind);
		nulls[3] = nulls[4] = nulls[7] = option == NULL;
		values[3] = option == NULL ? (Datum) 0 : CStringGetTextDatum(option->name);
		values[4] = option == NULL ? (Datum) 0 : PointsGetDatum(option->cost);
		nulls[5] = option == NULL || option->price == NULL;
		values[5] = nulls[5] ? (Datum) 0 : NumericGetDatum(option->price);
		values[6] = Int64GetDatum(line->units);
		values[7] = PointsGetDatum(line->missing);
		nulls[8] = line->why == NULL;
		values[8] = nulls[8] ? (Datum) 0 : CStringGetTextDatum(line->why);
		tuplestore_putvalues(result, desc, values, nulls);
	}
	PG_RETURN_NULL();
}
