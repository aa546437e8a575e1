/*
 * voucher_usable.c
 *		Whether a voucher can be used, and what it then takes.
 *
 * One judgment serves whoever uses a voucher and whoever asks which ones could
 * be used.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "redemption/voucher_private.h"

static char *
time_text(TimestampTz at)
{
	return pstrdup(timestamptz_to_str(at));
}

const char *
voucher_times(int number)
{
	return number == 1 ? "once" : psprintf("%d times", number);
}

static bool
is_used_up(const VoucherRow *row)
{
	return (row->terms.uses > 0 && row->used >= row->terms.uses) ||
		(row->remaining != NULL && !amount_is_positive(row->remaining));
}

const char *
voucher_state(const VoucherRow *row, TimestampTz at)
{
	if (row->is_void)
		return "void";
	if (!row->issued)
		return "in its pool";
	if (is_used_up(row))
		return "used up";
	if (at >= row->terms.valid_until)
		return "expired";
	if (at < row->terms.valid_from)
		return "not yet valid";
	return "usable";
}

/* What the voucher says of itself, whoever uses it for whatever. */
static char *
refuse_state(const VoucherRow *row, TimestampTz at)
{
	const VoucherTerms *terms = &row->terms;

	if (row->is_void)
		return psprintf("It has been void since %s%s%s.", time_text(row->void_at),
						row->void_reason == NULL ? "" : ": ",
						row->void_reason == NULL ? "" : text_to_cstring(row->void_reason));
	if (!row->issued)
		return pstrdup("It has not been handed out yet.");
	if (terms->uses > 0 && row->used >= terms->uses)
		return psprintf("It can be used %s, and has been used %s.", voucher_times(terms->uses), voucher_times(row->used));
	if (is_used_up(row))
		return psprintf("Nothing is left of its value of %s.", amount_text(terms->value));
	if (at >= terms->valid_until)
		return psprintf("It was valid until %s, it is asked for at %s.", time_text(terms->valid_until), time_text(at));
	if (at < terms->valid_from)
		return psprintf("It is valid from %s, it is asked for at %s.", time_text(terms->valid_from), time_text(at));
	return NULL;
}

static char *
refuse_member(const VoucherRow *row, const VoucherCase *case_)
{
	const VoucherTerms *terms = &row->terms;

	if (!terms->bearer && !case_->has_member)
		return pstrdup("It belongs to a member, and none is named.");
	if (!terms->bearer && row->member_id != case_->member_id)
		return psprintf("It belongs to another member than \"%s\".", text_to_cstring(case_->member));
	if (!case_->has_member && terms->per_member > 0)
		return psprintf("Each member can use it %s, and none is named.", voucher_times(terms->per_member));
	if (!case_->has_member && terms->kind == VOUCHER_POINTS)
		return pstrdup("It gives points, and no member is named.");
	if (terms->per_member > 0 && case_->used_by_member >= terms->per_member)
		return psprintf("Each member can use it %s, and \"%s\" has used it %s.", voucher_times(terms->per_member),
						text_to_cstring(case_->member), voucher_times(case_->used_by_member));
	return NULL;
}

/* What fits. */
static Numeric
what_it_takes(const VoucherRow *row, Numeric amount)
{
	const VoucherTerms *terms = &row->terms;
	Numeric		part;

	switch (terms->kind)
	{
		case VOUCHER_POINTS:
			return points_to_numeric(terms->points);
		case VOUCHER_PRODUCT:
			return amount;
		case VOUCHER_VALUE:
			return amount == NULL ? NULL : amount_least(amount, terms->stored ? row->remaining : terms->value);
		case VOUCHER_PERCENTAGE:
			break;
	}
	if (amount == NULL)
		return NULL;
	part = amount_percent(amount, terms->percent);
	return terms->maximum == NULL ? part : amount_least(part, terms->maximum);
}

char *
voucher_refusal(const VoucherRow *row, const VoucherCase *case_, Numeric *taken)
{
	const VoucherTerms *terms = &row->terms;
	char	   *refusal = refuse_state(row, case_->at);

	*taken = NULL;
	if (refusal == NULL)
		refusal = refuse_member(row, case_);
	if (refusal != NULL)
		return refusal;
	if (terms->min_amount != NULL && case_->amount != NULL && amount_cmp(case_->amount, terms->min_amount) < 0)
		return psprintf("It can be used on amounts of at least %s, this one is %s.",
						amount_text(terms->min_amount), amount_text(case_->amount));
	*taken = what_it_takes(row, case_->amount);
	if (*taken != NULL && !amount_is_positive(*taken))
		return psprintf("It takes nothing of an amount of %s.", amount_text(case_->amount));
	return NULL;
}

void
voucher_unusable(const VoucherRow *row, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_VOUCHER_UNUSABLE),
			 errmsg("voucher %s cannot be used", row->hint),
			 errdetail_internal("%s", detail),
			 errhint("loyalty.voucher says what it is good for and how it stands.")));
}

text *
voucher_entry_key(const uint8 *hash, int use_no, int return_no)
{
	return cstring_to_text(return_no == 0 ? psprintf(VOUCHER_ENTRY "%s#%d", code_hex(hash), use_no)
						   : psprintf(VOUCHER_ENTRY "%s#%d returned #%d", code_hex(hash), use_no, return_no));
}
