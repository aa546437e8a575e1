/*
 * span.c
 *		The life span of what a rule gives.
 */
#include "postgres.h"

#include "earning/span.h"

Span
span_of(const TierSet *tiers, const Rule *rule, const FactValues *kept)
{
	Span		span = {rule->expiry, rule->pending_days};
	int			tier = NO_TIER;

	if (tiers->has_spans && kept != NULL && !kept->nulls[FACT_TIER])
		tier = tier_by_name(tiers, DatumGetTextPP(kept->values[FACT_TIER]));
	if (tier == NO_TIER)
		return span;
	if (!rule->has_expiry && tiers->tiers[tier].has_expiry)
		span.expiry = tiers->tiers[tier].expiry;
	if (!rule->has_pending && tiers->tiers[tier].pending_days >= 0)
		span.pending_days = tiers->tiers[tier].pending_days;
	return span;
}

void
span_accepted(Span span, DateADT day, DateADT accepted, DateADT *starts, DateADT *ends)
{
	DateADT		opens = Max(calendar_add_days(day, span.pending_days), accepted);

	*starts = opens > accepted ? opens : DATEVAL_NOBEGIN;
	*ends = expiry_last_day(span.expiry, opens);
}
