/*
 * evaluate_facts.c
 *		What a purchase says, as its rules are to see it: the sums of its lines,
 *		and the facts that expressions read.
 *
 * A refund alone is seen by its magnitude, so that the rules of a purchase take
 * back from it what they gave.  Facts that no rule reads are not worked out, and
 * a line's not twice in a row.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "earning/evaluate_private.h"

/*
 * A refund alone has no positive line and at least one negative: by its
 * amounts, or by its quantities where nothing was charged.
 */
static bool
is_refund(const PurchaseFacts *facts)
{
	bool		negative = false;
	int			i;

	for (i = 0; i < facts->nlines; i++)
	{
		int			sign = rational_sign(facts->lines[i].amount);

		if (sign == 0)
			sign = rational_sign(facts->lines[i].quantity) < 0 ? -1 : 0;
		if (sign > 0)
			return false;
		if (sign < 0)
			negative = true;
	}
	return negative;
}

void
evaluate_add_up(Evaluation *eval)
{
	int			i;

	eval->refund = is_refund(eval->facts);
	eval->order_amount = RATIONAL_ZERO;
	eval->order_quantity = RATIONAL_ZERO;
	for (i = 0; i < eval->facts->nlines; i++)
	{
		eval->order_amount = rational_add(eval->order_amount, line_amount(eval, i));
		eval->order_quantity = rational_add(eval->order_quantity, line_quantity(eval, i));
	}
}

bool
evaluate_totals(const PurchaseFacts *facts, Rational *amount, Rational *quantity)
{
	Evaluation	eval = {.facts = facts};

	evaluate_add_up(&eval);
	*amount = eval.order_amount;
	*quantity = eval.order_quantity;
	return eval.refund;
}

/* A value as expressions see it in a purchase or in a refund. */
static Datum
signed_numeric(const Evaluation *eval, Numeric value)
{
	return eval->refund ? DirectFunctionCall1(numeric_uminus, NumericGetDatum(value))
		: NumericGetDatum(value);
}

static Datum
quantity_value(const Evaluation *eval, const FactLine *line)
{
	if (line->line->quantity == NULL)
		return DirectFunctionCall1(int8_numeric, Int64GetDatum(1));
	return rational_sign(line->quantity) < 0 ? signed_numeric(eval, line->line->quantity)
		: NumericGetDatum(line->line->quantity);
}

void
evaluate_set_order(Evaluation *eval)
{
	Machine    *machine = &eval->rules->machine;
	FactSet		reads = eval->rules->reads;
	int			fact;

	if (reads & (FACT_BIT(FACT_ORDER_AMOUNT) | FACT_BIT(FACT_ORDER_QUANTITY)))
	{
		Datum		amount = DirectFunctionCall1(int8_numeric, Int64GetDatum(0));
		Datum		quantity = amount;
		int			i;

		for (i = 0; i < eval->facts->nlines; i++)
		{
			const FactLine *line = &eval->facts->lines[i];

			amount = DirectFunctionCall2(numeric_add, amount, signed_numeric(eval, line->amount_value));
			quantity = DirectFunctionCall2(numeric_add, quantity, quantity_value(eval, line));
		}
		machine_set(machine, FACT_ORDER_AMOUNT, amount, false);
		machine_set(machine, FACT_ORDER_QUANTITY, quantity, false);
	}
	if (reads & KEPT_FACTS)
		for (fact = FACT_PURCHASE_NO; fact < NFACTS; fact++)
			machine_set(machine, (Fact) fact,
						eval->facts->kept == NULL ? (Datum) 0 : eval->facts->kept->values[fact],
						eval->facts->kept == NULL || eval->facts->kept->nulls[fact]);
}

static void
set_pointer(Machine *machine, Fact fact, const void *value)
{
	machine_set(machine, fact, PointerGetDatum(value), value == NULL);
}

void
evaluate_set_line(Evaluation *eval, int i)
{
	Machine    *machine = &eval->rules->machine;
	FactSet		reads = eval->rules->reads;
	const FactLine *fact_line = &eval->facts->lines[i];
	const PurchaseLine *line = fact_line->line;

	if (eval->line == i)
		return;
	eval->line = i;
	if (reads & FACT_BIT(FACT_AMOUNT))
		machine_set(machine, FACT_AMOUNT, signed_numeric(eval, fact_line->amount_value), false);
	if (reads & FACT_BIT(FACT_QUANTITY))
		machine_set(machine, FACT_QUANTITY, quantity_value(eval, fact_line), false);
	if (reads & FACT_BIT(FACT_AT))
		machine_set(machine, FACT_AT,
					TimestampGetDatum(calendar_local(TIMESTAMP_IS_NOBEGIN(line->at) ? eval->facts->at : line->at,
													 eval->program->zone)), false);
	set_pointer(machine, FACT_ITEM, line->item);
	set_pointer(machine, FACT_CATEGORY, line->category);
	set_pointer(machine, FACT_CHANNEL, line->channel);
	set_pointer(machine, FACT_STORE, line->store);
	set_pointer(machine, FACT_CURRENCY, line->currency);
	set_pointer(machine, FACT_DATA, line->data);
}

void
evaluate_facts(const Program *program, RuleSet *rules, const PurchaseFacts *facts, FactValues *values)
{
	Evaluation	eval = {.program = program, .rules = rules, .facts = facts, .line = -1};
	int			i;

	evaluate_add_up(&eval);
	evaluate_set_order(&eval);
	for (i = 0; i < facts->nlines; i++)
	{
		evaluate_set_line(&eval, i);
		memcpy(values[i].values, rules->machine.slot->tts_values, sizeof(values[i].values));
		memcpy(values[i].nulls, rules->machine.slot->tts_isnull, sizeof(values[i].nulls));
	}
}
