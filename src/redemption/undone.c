/*
 * undone.c
 *		What of an act has been undone.
 *
 * It is read from the member's entries, so nothing else has to be kept in step.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "ledger/context_field.h"
#include "ledger/holdings.h"
#include "redemption/undone.h"
#include "types/rational.h"

/* An entry that cancels another one. */
typedef struct Cancellation
{
	int64		seq;			/* of the entry that it cancels */
	Points		points;			/* above zero */
} Cancellation;

/* What is looked for, and what has been found. */
typedef struct Search
{
	int64		seq;			/* 0: by purchase */
	const text *purchase;		/* NULL: any */
	int			count;
	int			capacity;
	Undone	   *found;
	int			ncancellations;
	int			room;
	Cancellation *cancellations;
} Search;

bool
undone_is_reward(const EntryRow *entry)
{
	JsonbValue	field;

	return context_field_of(entry->context, FIELD_REWARD, jbvString, &field);
}

/* Whether an entry spends points as money; a reward that goes with a purchase pays nothing of it. */
static bool
pays(const EntryRow *entry)
{
	JsonbValue	field;

	return strcmp(entry->kind, KIND_REDEEM) == 0 &&
		(!undone_is_reward(entry) || context_field_of(entry->context, FIELD_PAYS, jbvString, &field));
}

bool
undone_is_purchase(const EntryRow *entry, const text *purchase)
{
	JsonbValue	field;

	if (!context_field_of(entry->context, FIELD_PURCHASE, jbvString, &field))
		return purchase == NULL;
	return purchase != NULL &&
		field.val.string.len == VARSIZE_ANY_EXHDR(purchase) &&
		memcmp(field.val.string.val, VARDATA_ANY(purchase), field.val.string.len) == 0;
}

/* Whether the entry is what is looked for. */
static bool
is_wanted(const Search *search, const EntryRow *entry)
{
	if (search->seq != 0)
		return entry->seq == search->seq;
	return pays(entry) &&
		(search->purchase == NULL ? !undone_is_purchase(entry, NULL) : undone_is_purchase(entry, search->purchase));
}

/*
 * The lots that an entry moved, as points above zero.  One that gives may have
 * netted a debt on the way: what went into that is not there to be taken back.
 */
static void
read_lots(const EntryRow *entry, Purse *lots)
{
	Purse		moved;
	int			sign = entry->points < 0 ? -1 : 1;
	int			i;

	purse_init(&moved);
	purse_read(&moved, entry->lots);
	purse_init(lots);
	for (i = 0; i < moved.nlots; i++)
	{
		const Lot  *lot = &moved.lots[i];

		if (lot->points * sign > 0)
			purse_add_lot(lots, lot->starts, lot->ends, lot->points * sign);
	}
}

static void
add_found(Search *search, const EntryRow *entry)
{
	Undone	   *undone;

	if (search->count == search->capacity)
	{
		search->capacity = Max(4, search->capacity * 2);
		search->found = search->found == NULL ? palloc(sizeof(Undone) * search->capacity)
			: repalloc(search->found, sizeof(Undone) * search->capacity);
	}
	undone = &search->found[search->count++];
	undone->entry = *entry;
	undone->entry.kind = pstrdup(entry->kind);
	undone->entry.source_key = DatumGetTextPCopy(PointerGetDatum(entry->source_key));
	undone->entry.lots = (Datum) 0;
	undone->entry.amount = NULL;
	undone->entry.note = NULL;
	if (entry->context != NULL)
		undone->entry.context = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(entry->context));
	read_lots(entry, &undone->lots);
	undone->points = entry->points < 0 ? -entry->points : entry->points;
	undone->back = 0;
	undone->times = 0;
}

static void
consider(const EntryRow *entry, void *arg)
{
	Search	   *search = arg;
	JsonbValue	number;
	int64		seq;

	if (is_wanted(search, entry))
		add_found(search, entry);
	if (!context_field_of(entry->context, FIELD_ENTRY, jbvNumeric, &number))
		return;
	seq = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)));
	if (search->seq != 0 && seq != search->seq)
		return;
	if (search->ncancellations == search->room)
	{
		search->room = Max(4, search->room * 2);
		search->cancellations = search->cancellations == NULL ? palloc(sizeof(Cancellation) * search->room)
			: repalloc(search->cancellations, sizeof(Cancellation) * search->room);
	}
	search->cancellations[search->ncancellations].seq = seq;
	search->cancellations[search->ncancellations++].points = entry->points < 0 ? -entry->points : entry->points;
}

static int
compare_found(const void *a, const void *b)
{
	const Undone *x = a;
	const Undone *y = b;

	return x->entry.seq < y->entry.seq ? -1 : x->entry.seq > y->entry.seq;
}

static int
compare_seq(const void *key, const void *element)
{
	int64		seq = *(const int64 *) key;
	const Undone *undone = element;

	return seq < undone->entry.seq ? -1 : seq > undone->entry.seq;
}

/* Entries come in the order of their keys: one may be cancelled before it is found. */
static void
join_cancellations(Search *search)
{
	int			i;

	if (search->count == 0)
		return;
	qsort(search->found, search->count, sizeof(Undone), compare_found);
	for (i = 0; i < search->ncancellations; i++)
	{
		Undone	   *undone = bsearch(&search->cancellations[i].seq, search->found, search->count,
									 sizeof(Undone), compare_seq);

		if (undone == NULL)
			continue;
		undone->back = points_add(undone->back, search->cancellations[i].points);
		undone->times++;
	}
	if (search->cancellations != NULL)
		pfree(search->cancellations);
}

bool
undone_read(Store *store, int64 member_id, int64 seq, Undone *undone)
{
	Search		search = {.seq = seq};

	/* Acts first: they are few, and nothing else is cancelled. */
	store_visit_entries(store, member_id, SOURCE_API, NULL, consider, &search);
	if (search.count == 0)
		store_visit_entries(store, member_id, ANY_SOURCE, NULL, consider, &search);
	join_cancellations(&search);
	if (search.count > 0)
		*undone = search.found[0];
	return search.count > 0;
}

Undone *
undone_of_purchase(Store *store, int64 member_id, const text *purchase, int *count)
{
	Search		search = {.purchase = purchase};

	store_visit_entries(store, member_id, SOURCE_API, NULL, consider, &search);
	join_cancellations(&search);
	*count = search.count;
	return search.found;
}

Undone *
undone_of_purchases(Store *store, int64 member_id, int *count)
{
	return undone_of_purchase(store, member_id, NULL, count);
}

Numeric
undone_value(const Undone *undone, Numeric value, Points points)
{
	if (points == undone->points)
		return value;
	return rational_to_numeric(rational_mul(rational_from_numeric(value),
											rational_from_int64(points, undone->points)));
}

void
undone_lots(const Undone *undone, Points points, Purse *lots)
{
	Points		kept = undone->points - undone->back - points;
	Points		passed = 0;
	int			i;

	Assert(points >= 0 && kept >= 0);
	for (i = 0; i < undone->lots.nlots; i++)
	{
		const Lot  *lot = &undone->lots.lots[i];
		Points		from = Max(passed, kept);
		Points		to = Min(passed + lot->points, kept + points);

		if (to > from)
			purse_add_lot(lots, lot->starts, lot->ends, to - from);
		passed += lot->points;
	}
}

void
undone_put_back(const Undone *undone, const Program *program, const MemberRow *member,
				Points points, DateADT day, Purse *lots)
{
	DateADT		inactive_end = holdings_inactive_end(program, member->last_activity, member->enrolled_at);
	Purse		back;
	int			i;

	if (!program->has_reinstate)
	{
		undone_lots(undone, points, lots);
		return;
	}
	purse_init(&back);
	undone_lots(undone, points, &back);
	for (i = 0; i < back.nlots; i++)
	{
		const Lot  *lot = &back.lots[i];

		if ((DATE_IS_NOEND(lot->ends) ? inactive_end : lot->ends) < day)
			purse_add_lot(lots, DATEVAL_NOBEGIN, expiry_last_day(program->reinstate, day), lot->points);
		else
			purse_add_lot(lots, lot->starts, lot->ends, lot->points);
	}
}
