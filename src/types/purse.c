/*
 * purse.c
 *		Purses unpacked for work: packing, algebra, and what a purse is worth
 *		on a day.
 *
 * Packed, a purse is a varlena of any header length.  Its payload is
 *
 *		header byte		low 3 bits: decimals of the points, 0 to 4; bit 3: some
 *						lot is negative; high 4 bits: the format's version
 *		for each lot	in canonical order
 *			tag			varint: bit 0: it has a first day; bit 1: it never
 *						expires; above: days since the last day of the lot
 *						before (of the first lot: since 2000-01-01, zigzag;
 *						when it never expires: 0)
 *			first day	when it has one: zigzag varint, days since the first
 *						day that stands before, or since the last day that does
 *			points		varint, counted in units of the header's decimals;
 *						zigzag when some lot is negative
 *
 * Varints are little-endian groups of seven bits.  The decimals are as few as
 * the points allow, the sign bit is set only when it is needed and no varint
 * is longer than it must be, so that one value has one packed form.  A lot a
 * day of less than 16384 whole points takes three bytes without a first day
 * and four with one.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "errors.h"
#include "types/points.h"
#include "types/purse.h"

#define HEADER_VERSION	0x10
#define HEADER_SIGNED	0x08
#define HEADER_DECIMALS 0x07

#define TAG_STARTS		0x01
#define TAG_NEVER		0x02
#define TAG_BITS		2

/* A tag and a first day are up to 35 bits each, points up to 64 bits. */
#define LOT_MAX_BYTES	(5 + 5 + 10)

#define PURSE_MAX_LOTS	((int) (MaxAllocSize / sizeof(Lot)))

/* A lot in the order in which netting comes to it. */
typedef struct Opening
{
	uint64		key;
	int			lot;
} Opening;

static const int64 decimals_unit[POINTS_DECIMALS + 1] = {10000, 1000, 100, 10, 1};

/*
 * Two days as one number that sorts by the first of them, then by the second.
 * "No first day" and "never expires" are the ends of the range of a date.
 */
static inline uint64
days_key(DateADT major, DateADT minor)
{
	return ((uint64) ((uint32) major ^ 0x80000000U) << 32) |
		((uint32) minor ^ 0x80000000U);
}

static inline uint64
lot_key(const Lot *lot)
{
	return days_key(lot->ends, lot->starts);
}

/*
 * points_add for loops: it is called only to raise its error.
 */
static inline Points
add(Points a, Points b)
{
	int64		sum;

	if (unlikely(pg_add_s64_overflow(a, b, &sum) || sum == PG_INT64_MIN))
		return points_add(a, b);
	return sum;
}

/*
 * A sum that was made 128 bits wide, so that the order of the lots does not
 * matter.  22003, as raised by points_add, when the sum itself is out of range.
 */
static inline Points
checked(int128 sum)
{
	if (unlikely(sum > POINTS_MAX || sum < POINTS_MIN))
		return points_add(sum > 0 ? POINTS_MAX : POINTS_MIN, sum > 0 ? 1 : -1);
	return (Points) sum;
}

/*
 * Makes room for "nlots" lots, at least doubling it when it grows.  54000 when
 * that is more than memory can be asked for.
 */
static void
reserve(Purse *purse, int64 nlots)
{
	int64		capacity;

	if (likely(nlots <= purse->capacity))
		return;

	if (nlots > PURSE_MAX_LOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many lots in a purse"),
				 errdetail("A purse holds at most %d lots.", PURSE_MAX_LOTS)));

	CHECK_FOR_INTERRUPTS();

	capacity = Max(Max(nlots, 4), 2 * (int64) purse->capacity);
	capacity = Min(capacity, PURSE_MAX_LOTS);

	if (purse->lots == NULL)
		purse->lots = MemoryContextAlloc(purse->context, capacity * sizeof(Lot));
	else
		purse->lots = repalloc(purse->lots, capacity * sizeof(Lot));
	purse->capacity = (int) capacity;
}

/*
 * Adds a lot that is known to come after all others.
 */
static inline void
append(Purse *purse, DateADT starts, DateADT ends, Points points)
{
	Lot		   *lot;

	if (unlikely(purse->nlots >= purse->capacity))
		reserve(purse, (int64) purse->nlots + 1);

	lot = &purse->lots[purse->nlots++];
	lot->starts = starts;
	lot->ends = ends;
	lot->points = points;
}

/*
 * The place of a life span: the first lot that is not before it.
 */
static int
find(const Purse *purse, uint64 key)
{
	int			low = 0;
	int			high = purse->nlots;

	/* Points are mostly earned into the newest life span, or after it. */
	if (high > 0)
	{
		uint64		last = lot_key(&purse->lots[high - 1]);

		if (key > last)
			return high;
		if (key == last)
			return high - 1;
	}

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (lot_key(&purse->lots[middle]) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
purse_init(Purse *purse)
{
	purse->nlots = 0;
	purse->capacity = 0;
	purse->lots = NULL;
	purse->context = CurrentMemoryContext;
}

void
purse_clear(Purse *purse)
{
	purse->nlots = 0;
}

void
purse_copy(Purse *to, const Purse *from)
{
	if (to == from)
		return;

	to->nlots = 0;
	if (from->nlots == 0)
		return;
	reserve(to, from->nlots);
	memcpy(to->lots, from->lots, from->nlots * sizeof(Lot));
	to->nlots = from->nlots;
}

/*
 * Adds points to one life span.  The life span of the last lot, or one after
 * it, costs the same however many lots there are; another one that is there
 * already is found by bisection.  22023 for a life span that is none, 22003
 * when its sum is out of range.
 */
void
purse_add_lot(Purse *purse, DateADT starts, DateADT ends, Points points)
{
	uint64		key = days_key(ends, starts);
	int			at;
	int			after;

	if (unlikely(starts > ends || starts == DATEVAL_NOEND || ends == DATEVAL_NOBEGIN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid life span of points"),
				 ends == DATEVAL_NOBEGIN ?
				 errdetail("The last day cannot be \"-infinity\".") :
				 starts == DATEVAL_NOEND ?
				 errdetail("The first day cannot be \"infinity\".") :
				 errdetail("The first day is after the last day.")));

	/* Not a value of points, but arithmetic gone wrong; let it be said. */
	if (unlikely(points == PG_INT64_MIN))
		points = points_add(POINTS_MIN, -1);

	if (points == 0)
		return;

	at = find(purse, key);
	after = purse->nlots - at;

	if (after > 0 && lot_key(&purse->lots[at]) == key)
	{
		Lot		   *lot = &purse->lots[at];

		lot->points = add(lot->points, points);
		if (lot->points == 0)
		{
			memmove(lot, lot + 1, (after - 1) * sizeof(Lot));
			purse->nlots--;
		}
		return;
	}

	if (after == 0)
	{
		append(purse, starts, ends, points);
		return;
	}

	reserve(purse, (int64) purse->nlots + 1);
	memmove(&purse->lots[at + 1], &purse->lots[at], after * sizeof(Lot));
	purse->lots[at].starts = starts;
	purse->lots[at].ends = ends;
	purse->lots[at].points = points;
	purse->nlots++;
}

/*
 * Adds "other", times "sign", to "purse".  Both are sorted, so they are merged
 * from the back, within the one array; "other" may be "purse" itself.  22003
 * when a life span's sum is out of range: the purse is then not to be used.
 */
static void
merge(Purse *purse, const Purse *other, int sign)
{
	int			mine = purse->nlots - 1;
	int			theirs = other->nlots - 1;
	int			size;
	int			out;
	Lot		   *lots;

	if (other->nlots == 0)
		return;

	/* A posting into a large purse: look its lots up instead. */
	if (other->nlots <= 2 && other != purse)
	{
		for (int i = 0; i < other->nlots; i++)
			purse_add_lot(purse, other->lots[i].starts, other->lots[i].ends,
						  sign * other->lots[i].points);
		return;
	}

	reserve(purse, (int64) purse->nlots + other->nlots);
	size = purse->nlots + other->nlots;
	out = size;
	lots = purse->lots;

	while (theirs >= 0)
	{
		Lot			lot = other->lots[theirs];
		uint64		key = lot_key(&lot);

		lot.points *= sign;
		while (mine >= 0 && lot_key(&lots[mine]) > key)
			lots[--out] = lots[mine--];
		if (mine >= 0 && lot_key(&lots[mine]) == key)
			lot.points = add(lots[mine--].points, lot.points);
		theirs--;
		if (lot.points != 0)
			lots[--out] = lot;
	}

	/* What "mine" has not reached never moved: close the gap behind it. */
	memmove(&lots[mine + 1], &lots[out], (size - out) * sizeof(Lot));
	purse->nlots = mine + 1 + size - out;
}

void
purse_add(Purse *purse, const Purse *other)
{
	merge(purse, other, 1);
}

void
purse_sub(Purse *purse, const Purse *other)
{
	merge(purse, other, -1);
}

Points
purse_lot(const Purse *purse, DateADT starts, DateADT ends)
{
	uint64		key = days_key(ends, starts);
	int			at = find(purse, key);

	if (at < purse->nlots && lot_key(&purse->lots[at]) == key)
		return purse->lots[at].points;
	return 0;
}

/* ----------
 * Packing
 * ----------
 */

static inline uint64
zigzag(int64 value)
{
	return ((uint64) value << 1) ^ (value < 0 ? PG_UINT64_MAX : 0);
}

static inline int64
unzigzag(uint64 value)
{
	return (int64) ((value >> 1) ^ ((value & 1) ? PG_UINT64_MAX : 0));
}

static inline uint8 *
put_varint(uint8 *to, uint64 value)
{
	while (value >= 0x80)
	{
		*to++ = (uint8) (value | 0x80);
		value >>= 7;
	}
	*to++ = (uint8) value;
	return to;
}

/*
 * Reads a varint; false when it is cut off or has more than 64 bits.
 */
static pg_attribute_always_inline bool
get_varint(const uint8 **from, const uint8 *end, uint64 *value)
{
	const uint8 *at = *from;
	uint64		result;

	/* One or two bytes are nearly all there is. */
	if (likely(end - at >= 2))
	{
		if (at[0] < 0x80)
		{
			*value = at[0];
			*from = at + 1;
			return true;
		}
		if (at[1] < 0x80)
		{
			*value = (at[0] & 0x7F) | (uint64) at[1] << 7;
			*from = at + 2;
			return true;
		}
	}

	result = 0;
	for (int shift = 0; shift < 64 && at < end; shift += 7)
	{
		uint8		byte = *at++;

		result |= (uint64) (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*from = at;
			*value = result;
			return shift < 63 || byte <= 1;
		}
	}
	return false;
}

/*
 * Writes the lots.  Made inline with a constant unit for each number of
 * decimals, since dividing by a variable would be most of the work.
 */
static pg_attribute_always_inline uint8 *
put_lots(uint8 *to, const Purse *purse, const int64 unit, bool negative)
{
	int64		last_day = 0;
	int64		first_day = 0;
	bool		has_first_day = false;

	for (int i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];
		int64		points = lot->points / unit;
		uint64		tag = TAG_NEVER;

		if (lot->ends != DATEVAL_NOEND)
		{
			int64		days = lot->ends - last_day;

			tag = (i == 0 ? zigzag(days) : (uint64) days) << TAG_BITS;
			last_day = lot->ends;
		}

		if (lot->starts == DATEVAL_NOBEGIN)
			to = put_varint(to, tag);
		else
		{
			to = put_varint(to, tag | TAG_STARTS);
			to = put_varint(to, zigzag(lot->starts -
									   (has_first_day ? first_day : last_day)));
			first_day = lot->starts;
			has_first_day = true;
		}

		to = put_varint(to, negative ? zigzag(points) : (uint64) points);
	}
	return to;
}

/*
 * Writes the payload and returns its size.
 */
static Size
put_purse(uint8 *to, const Purse *purse)
{
	uint8	   *start = to;
	const Lot  *lot = purse->lots;
	const Lot  *end = lot + purse->nlots;
	bool		negative = false;
	int			decimals = 0;

	for (const Lot *each = lot; each < end; each++)
		negative |= each->points < 0;

	/* What fits few decimals fits more of them: no lot is looked at again. */
	while (lot < end && lot->points % 10000 == 0)
		lot++;
	if (lot < end)
	{
		while (lot < end && lot->points % 1000 == 0)
			lot++;
		decimals = 1;
	}
	if (lot < end)
	{
		while (lot < end && lot->points % 100 == 0)
			lot++;
		decimals = 2;
	}
	if (lot < end)
	{
		while (lot < end && lot->points % 10 == 0)
			lot++;
		decimals = 3;
	}
	if (lot < end)
		decimals = 4;

	*to++ = HEADER_VERSION | (negative ? HEADER_SIGNED : 0) | decimals;
	switch (decimals)
	{
		case 0:
			to = put_lots(to, purse, 10000, negative);
			break;
		case 1:
			to = put_lots(to, purse, 1000, negative);
			break;
		case 2:
			to = put_lots(to, purse, 100, negative);
			break;
		case 3:
			to = put_lots(to, purse, 10, negative);
			break;
		default:
			to = put_lots(to, purse, 1, negative);
			break;
	}
	return to - start;
}

/*
 * The packed form, no larger than it has to be: it may stay in memory for as
 * long as a whole statement.
 */
Datum
purse_pack(const Purse *purse)
{
	uint8		room[1 + 50 * LOT_MAX_BYTES];
	uint8	   *bytes = room;
	Size		size = 1 + (Size) purse->nlots * LOT_MAX_BYTES;
	struct varlena *packed;

	if (size > sizeof(room))
		bytes = MemoryContextAllocHuge(CurrentMemoryContext, size);

	size = put_purse(bytes, purse);
	packed = palloc(VARHDRSZ + size);
	SET_VARSIZE(packed, VARHDRSZ + size);
	memcpy(VARDATA(packed), bytes, size);

	if (bytes != room)
		pfree(bytes);
	return PointerGetDatum(packed);
}

/*
 * Replaces the content of "purse" by what a payload holds.  Answers NULL, or
 * what is wrong with it, as a sentence; the purse is then empty.  It checks
 * whatever would make a purse that is none.  What it lets through is another
 * spelling of the same value: who reads from outside packs it again and
 * compares.
 */
const char *
purse_unpack(Purse *purse, const void *bytes, Size size)
{
	const uint8 *from = bytes;
	const uint8 *end = from + size;
	const char *fault = NULL;
	uint8		header;
	bool		negative;
	int64		unit;
	int64		last_day = 0;
	int64		first_day = 0;
	bool		has_first_day = false;
	uint64		key_before = 0;

	purse->nlots = 0;

	if (size == 0)
		return "The header is missing.";
	header = *from++;
	if ((header & ~(HEADER_SIGNED | HEADER_DECIMALS)) != HEADER_VERSION ||
		(header & HEADER_DECIMALS) > POINTS_DECIMALS)
		return "The header is not one of this version.";
	negative = (header & HEADER_SIGNED) != 0;
	unit = decimals_unit[header & HEADER_DECIMALS];

	/* A lot has two to four bytes, as a rule; trust no size beyond reason. */
	reserve(purse, Min(Min(size / 2, size / 4 + 8), 4096));

	while (from < end)
	{
		DateADT		starts = DATEVAL_NOBEGIN;
		DateADT		ends = DATEVAL_NOEND;
		uint64		tag;
		uint64		number;
		int64		points;
		uint64		key;

		if (!get_varint(&from, end, &tag))
		{
			fault = "A number is cut off or too long.";
			break;
		}

		if (tag >> 35 != 0)
		{
			fault = "A last day is out of range.";
			break;
		}
		if ((tag & TAG_NEVER) == 0)
		{
			number = tag >> TAG_BITS;
			last_day += purse->nlots == 0 ? unzigzag(number) : (int64) number;
			if (!IS_VALID_DATE(last_day))
			{
				fault = "A last day is out of range.";
				break;
			}
			ends = (DateADT) last_day;
		}

		if ((tag & TAG_STARTS) != 0)
		{
			int64		days;

			if (!get_varint(&from, end, &number))
			{
				fault = "A number is cut off or too long.";
				break;
			}
			days = unzigzag(number);
			if (number >> 35 != 0 ||
				(first_day = (has_first_day ? first_day : last_day) + days,
				 !IS_VALID_DATE(first_day)))
			{
				fault = "A first day is out of range.";
				break;
			}
			has_first_day = true;
			starts = (DateADT) first_day;
			if (starts > ends)
			{
				fault = "A first day is after its last day.";
				break;
			}
		}

		key = days_key(ends, starts);
		if (key <= key_before)
		{
			fault = "The lots are out of order.";
			break;
		}
		key_before = key;

		if (!get_varint(&from, end, &number))
		{
			fault = "A number is cut off or too long.";
			break;
		}
		points = negative ? unzigzag(number) : (int64) number;
		if ((!negative && number > PG_INT64_MAX) ||
			pg_mul_s64_overflow(points, unit, &points) ||
			points == PG_INT64_MIN || points == 0)
		{
			fault = "Points are zero or out of range.";
			break;
		}

		append(purse, starts, ends, points);
	}

	if (fault != NULL)
		purse->nlots = 0;
	return fault;
}

/*
 * Reads a stored purse, toasted or not.  XX001 when it is none.
 */
void
purse_read(Purse *purse, Datum packed)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(packed);
	const char *fault = purse_unpack(purse, VARDATA_ANY(value),
									 VARSIZE_ANY_EXHDR(value));

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored purse is corrupted"),
				 errdetail_internal("%s", fault)));

	if ((Pointer) value != DatumGetPointer(packed))
		pfree(value);
}

/* ----------
 * Readings on a day
 * ----------
 */

static inline bool
is_lapsed(const Lot *lot, DateADT day)
{
	return lot->ends < day;
}

/* A lot that has not opened has not lapsed either. */
static inline bool
is_pending(const Lot *lot, DateADT day)
{
	return lot->starts > day;
}

static inline bool
is_open(const Lot *lot, DateADT day)
{
	return !is_lapsed(lot, day) && !is_pending(lot, day);
}

static int
compare_openings(const void *a, const void *b)
{
	uint64		x = ((const Opening *) a)->key;
	uint64		y = ((const Opening *) b)->key;

	return x < y ? -1 : x > y;
}

/*
 * The lots as they are once the debt has taken what had opened by "day", in
 * the order of opening, on one day the soonest to expire first.  Lots that are
 * used up stay, with zero points, so that the array runs beside the purse's
 * own.  When nothing moves it is the purse's own; otherwise the caller frees
 * it with free_netted.
 */
static Lot *
net(const Purse *purse, DateADT day)
{
	int			at = find(purse, days_key(DATEVAL_NOEND, DATEVAL_NOBEGIN));
	Opening    *openings;
	int			nopenings = 0;
	Points		debt;
	Lot		   *lots;

	if (at == purse->nlots ||
		purse->lots[at].starts != DATEVAL_NOBEGIN ||
		purse->lots[at].ends != DATEVAL_NOEND ||
		purse->lots[at].points > 0)
		return purse->lots;

	openings = MemoryContextAllocHuge(CurrentMemoryContext,
									  purse->nlots * sizeof(Opening));
	for (int i = 0; i < purse->nlots; i++)
	{
		const Lot  *lot = &purse->lots[i];

		if (lot->points > 0 && !is_pending(lot, day))
		{
			openings[nopenings].key = days_key(lot->starts, lot->ends);
			openings[nopenings].lot = i;
			nopenings++;
		}
	}

	if (nopenings == 0)
	{
		pfree(openings);
		return purse->lots;
	}

	qsort(openings, nopenings, sizeof(Opening), compare_openings);

	lots = palloc(purse->nlots * sizeof(Lot));
	memcpy(lots, purse->lots, purse->nlots * sizeof(Lot));
	debt = lots[at].points;
	for (int i = 0; i < nopenings && debt < 0; i++)
	{
		Lot		   *lot = &lots[openings[i].lot];
		Points		taken = Min(-debt, lot->points);

		lot->points -= taken;
		debt += taken;
	}
	lots[at].points = debt;

	pfree(openings);
	return lots;
}

static inline void
free_netted(const Purse *purse, Lot *lots)
{
	if (lots != purse->lots)
		pfree(lots);
}

Points
purse_total(const Purse *purse)
{
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		sum += purse->lots[i].points;
	return checked(sum);
}

Points
purse_available(const Purse *purse, DateADT day)
{
	Lot		   *lots = net(purse, day);
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		if (is_open(&lots[i], day))
			sum += lots[i].points;

	free_netted(purse, lots);
	return checked(sum);
}

/*
 * No netting: it never touches a lot that has yet to open.
 */
Points
purse_pending(const Purse *purse, DateADT day)
{
	int128		sum = 0;

	for (int i = 0; i < purse->nlots; i++)
		if (is_pending(&purse->lots[i], day))
			sum += purse->lots[i].points;
	return checked(sum);
}

Points
purse_expired(const Purse *purse, DateADT day)
{
	Lot		   *lots = net(purse, day);
	int128		sum = 0;

	/* Canonical order: what has lapsed comes first. */
	for (int i = 0; i < purse->nlots && is_lapsed(&lots[i], day); i++)
		sum += lots[i].points;

	free_netted(purse, lots);
	return checked(sum);
}

void
purse_netting(const Purse *purse, DateADT day, Purse *moves)
{
	Lot		   *lots = net(purse, day);

	Assert(moves != purse);
	purse_clear(moves);

	if (lots != purse->lots)
	{
		for (int i = 0; i < purse->nlots; i++)
		{
			Points		moved = lots[i].points - purse->lots[i].points;

			if (moved != 0)
				append(moves, lots[i].starts, lots[i].ends, moved);
		}
		pfree(lots);
	}
}

void
purse_lapsed(const Purse *purse, DateADT day, Purse *lapsed)
{
	Lot		   *lots = net(purse, day);

	Assert(lapsed != purse);
	purse_clear(lapsed);

	for (int i = 0; i < purse->nlots && is_lapsed(&lots[i], day); i++)
		if (lots[i].points != 0)
			append(lapsed, lots[i].starts, lots[i].ends, lots[i].points);

	free_netted(purse, lots);
}

void
purse_outstanding(const Purse *purse, DateADT day, Purse *outstanding)
{
	Lot		   *lots = net(purse, day);

	Assert(outstanding != purse);
	purse_clear(outstanding);

	for (int i = 0; i < purse->nlots; i++)
		if (lots[i].points != 0 && !is_lapsed(&lots[i], day))
			append(outstanding, lots[i].starts, lots[i].ends, lots[i].points);

	free_netted(purse, lots);
}

/*
 * Canonical order is the order of spending.  What is taken from a purse that
 * has not been netted still leaves the debt what it will net.  22023 for
 * points that are not above zero, LY001 when less is available.
 */
void
purse_spend(const Purse *purse, Points points, DateADT day, Purse *taken)
{
	Lot		   *lots;
	Points		available;
	int128		sum = 0;

	Assert(taken != purse);
	purse_clear(taken);

	if (points <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points to spend must be greater than zero")));

	lots = net(purse, day);
	for (int i = 0; i < purse->nlots; i++)
		if (is_open(&lots[i], day))
			sum += lots[i].points;
	available = checked(sum);

	if (available < points)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_INSUFFICIENT_POINTS),
				 errmsg("insufficient points"),
				 errdetail("%s points are available, %s were asked for.",
						   points_to_cstring(available),
						   points_to_cstring(points))));

	for (int i = 0; i < purse->nlots && points > 0; i++)
	{
		Points		part = Min(points, lots[i].points);

		if (part <= 0 || !is_open(&lots[i], day))
			continue;
		append(taken, lots[i].starts, lots[i].ends, part);
		points -= part;
	}

	free_netted(purse, lots);
}
