/*
 * holdings.c
 *		What a purse is worth on a day, under a program's expiry.
 */
#include "postgres.h"

#include "ledger/holdings.h"
#include "types/calendar.h"

DateADT
holdings_inactive_end(const Program *program, TimestampTz last_activity, TimestampTz enrolled_at)
{
	TimestampTz active = Max(last_activity, enrolled_at);

	if (!expiry_is_inactivity(program->expiry))
		return DATEVAL_NOEND;
	return expiry_inactive_last_day(program->expiry, calendar_day(active, program->zone));
}

void
holdings_settle(const Purse *purse, DateADT inactive_end, DateADT day, Purse *settled)
{
	Purse		moves;
	int			i;

	purse_init(&moves);
	purse_netting(purse, day, &moves);
	purse_copy(settled, purse);
	purse_add(settled, &moves);

	if (DATE_IS_NOEND(inactive_end))
		return;

	/* Only points lapse by inactivity; a debt stays. */
	purse_clear(&moves);
	for (i = 0; i < settled->nlots; i++)
	{
		const Lot  *lot = &settled->lots[i];

		if (DATE_IS_NOEND(lot->ends) && lot->points > 0)
		{
			purse_add_lot(&moves, lot->starts, lot->ends, -lot->points);
			purse_add_lot(&moves, DATE_IS_NOBEGIN(lot->starts) ? lot->starts : Min(lot->starts, inactive_end),
						  inactive_end, lot->points);
		}
	}
	purse_add(settled, &moves);
}

DateADT
holdings_quiet_until(const Purse *purse, DateADT inactive_end)
{
	bool		in_debt = purse_lot(purse, DATEVAL_NOBEGIN, DATEVAL_NOEND) < 0;
	DateADT		quiet = DATEVAL_NOEND;
	int			i;

	for (i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];

		if (lot->points <= 0)
			continue;
		quiet = Min(quiet, DATE_IS_NOEND(lot->ends) ? inactive_end : lot->ends);
		if (in_debt)
			quiet = Min(quiet, DATE_IS_NOBEGIN(lot->starts) ? lot->starts : lot->starts - 1);
	}
	return quiet;
}

void
holdings_lapsed(const Purse *purse, DateADT inactive_end, DateADT day, Purse *lapsed)
{
	int			i;

	purse_clear(lapsed);
	for (i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];

		if (lot->points > 0 && (DATE_IS_NOEND(lot->ends) ? inactive_end : lot->ends) < day)
			purse_add_lot(lapsed, lot->starts, lot->ends, -lot->points);
	}
}

bool
holdings_due(const Purse *purse, DateADT inactive_end, DateADT day, Due *due)
{
	DateADT		quiet = holdings_quiet_until(purse, inactive_end);
	Purse		settled;

	if (quiet >= day)
		return false;
	due->day = DATE_IS_NOBEGIN(quiet) ? day : quiet + 1;
	purse_netting(purse, due->day, &due->netting);
	purse_init(&settled);
	purse_copy(&settled, purse);
	purse_add(&settled, &due->netting);
	holdings_lapsed(&settled, inactive_end, due->day, &due->lapsed);
	Assert(due->netting.nlots > 0 || due->lapsed.nlots > 0);
	return true;
}

void
holdings_read(const Purse *purse, DateADT inactive_end, DateADT day, Holdings *holdings)
{
	Purse		settled;
	int			i;

	purse_init(&settled);
	holdings_settle(purse, inactive_end, day, &settled);
	holdings->available = purse_available(&settled, day);
	holdings->pending = purse_pending(&settled, day);
	holdings->expired = purse_expired(&settled, day);
	holdings->next_expiry = DATEVAL_NOEND;
	holdings->next_expiry_points = 0;

	/* Lots are in order of their last day. */
	for (i = 0; i < settled.nlots; i++)
	{
		const Lot  *lot = &settled.lots[i];

		if (lot->ends < day || lot->points <= 0 || DATE_IS_NOEND(lot->ends))
			continue;
		if (lot->ends > holdings->next_expiry)
			break;
		holdings->next_expiry = lot->ends;
		holdings->next_expiry_points = points_add(holdings->next_expiry_points, lot->points);
	}
}
