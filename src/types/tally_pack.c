/*
 * tally_pack.c
 *		The packed form of a tally, as it is stored.
 *
 * Packed, a tally is a varlena of any header length.  Its payload is
 *
 *		header byte		low 2 bits: the resolution (0 day, 1 month, 2 ever);
 *						bit 3: some figure is negative; high 4 bits: the
 *						format's version
 *		decimals		low 4 bits: those of the points, 0 to 4; high 4 bits:
 *						those of the amounts, 0 to 6
 *		for each period	in canonical order
 *			tag			varint: bit 0: it has another number of purchases than
 *						one; above: days since the day before (of the first:
 *						since 2000-01-01, zigzag), months since the month before
 *						(of the first: since 2000-01, zigzag), or 0 for ever
 *			amount		varint, counted in units of the header's decimals
 *			points		the same
 *			purchases	varint, unless it is one
 *
 * Varints are little-endian groups of seven bits; amounts, points and purchases
 * are zigzag when some figure is negative.  The decimals are as few as the
 * figures allow, the sign bit is set only when it is needed, an empty tally
 * counts by day and no varint is longer than it must be, so that one value has
 * one packed form.  A day with one purchase of less than 163.84 for less than
 * 128 whole points takes four bytes, one of less than 20971.52 for less than
 * 16384 points six.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "types/calendar.h"
#include "types/points.h"
#include "types/tally.h"
#include "types/tally_private.h"
#include "types/varint.h"

#define HEADER_VERSION	0x10
#define HEADER_SIGNED	0x08
#define HEADER_RESOLUTION 0x03
#define HEADER_SIZE		2

#define TAG_PURCHASES	0x01
#define TAG_BITS		1
#define MOST_TAG		((INT64CONST(1) << 34) - 1)

/* A tag is up to 34 bits, an amount 81, points 64 and purchases 33. */
#define PERIOD_MAX_BYTES (5 + 12 + 10 + 5)

static const int64 powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

/* The order is that of the stored bits. */
static const CalendarPeriod resolutions[] = {PERIOD_DAY, PERIOD_MONTH, PERIOD_EVER};

StaticAssertDecl(lengthof(powers) == TALLY_AMOUNT_DECIMALS + 1, "a power for each decimal");
StaticAssertDecl(POINTS_DECIMALS <= TALLY_AMOUNT_DECIMALS, "points have no more decimals than amounts");

/* ----------
 * Numbers
 * ----------
 */

static inline uint128
zigzag_wide(int128 value)
{
	return ((uint128) value << 1) ^ (value < 0 ? ~(uint128) 0 : 0);
}

static inline int128
unzigzag_wide(uint128 value)
{
	return (int128) ((value >> 1) ^ ((value & 1) ? ~(uint128) 0 : 0));
}

static inline uint8 *
put_wide(uint8 *to, uint128 value)
{
	while (unlikely(value > PG_UINT64_MAX))
	{
		*to++ = (uint8) ((uint8) value | 0x80);
		value >>= 7;
	}
	return put_varint(to, (uint64) value);
}

/*
 * Reads a varint; false when it is cut off or has more than 91 bits, which no
 * figure needs.
 */
static bool
get_wide(const uint8 **from, const uint8 *end, uint128 *value)
{
	const uint8 *at = *from;
	uint128		result = 0;

	for (int shift = 0; shift < 13 * 7 && at < end; shift += 7)
	{
		uint8		byte = *at++;

		result |= (uint128) (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*from = at;
			*value = result;
			return true;
		}
	}
	return false;
}

/*
 * The same for what has at most three bytes, which is nearly all there is;
 * false when there is more of it.
 */
static pg_attribute_always_inline bool
get_short(const uint8 **from, const uint8 *end, uint32 *value)
{
	const uint8 *at = *from;

	if (unlikely(end - at < 3))
		return false;
	if (at[0] < 0x80)
	{
		*value = at[0];
		*from = at + 1;
		return true;
	}
	if (at[1] < 0x80)
	{
		*value = (at[0] & 0x7F) | (uint32) at[1] << 7;
		*from = at + 2;
		return true;
	}
	if (at[2] < 0x80)
	{
		*value = (at[0] & 0x7F) | (uint32) (at[1] & 0x7F) << 7 | (uint32) at[2] << 14;
		*from = at + 3;
		return true;
	}
	return false;
}

/*
 * A figure in units of the header's decimals, between "most" and its negative.
 * Answers NULL, or what is wrong: "beyond" when it is out of range.
 */
static pg_attribute_always_inline const char *
get_figure(const uint8 **from, const uint8 *end, bool negative, int128 most,
		   const char *beyond, int128 *value)
{
	uint32		number;
	uint128		wide;

	if (likely(get_short(from, end, &number)))
	{
		/* 21 bits are within all bounds */
		*value = negative ? unzigzag(number) : (int64) number;
		return NULL;
	}
	if (!get_wide(from, end, &wide))
		return "A number is cut off or too long.";
	*value = negative ? unzigzag_wide(wide) : (int128) wide;
	return *value > most || *value < -most ? beyond : NULL;
}

/*
 * A figure without its last decimals.  Each case divides by a constant: one
 * branch that is always the same is cheaper than a division by a variable.
 */
static pg_attribute_always_inline int64
drop_decimals(int64 value, int decimals)
{
	switch (decimals)
	{
		case 0:
			return value;
		case 1:
			return value / 10;
		case 2:
			return value / 100;
		case 3:
			return value / 1000;
		case 4:
			return value / 10000;
		case 5:
			return value / 100000;
		default:
			return value / 1000000;
	}
}

/* Whether those decimals are all zero. */
static pg_attribute_always_inline bool
can_drop(int64 value, int decimals)
{
	return drop_decimals(value, decimals) * powers[decimals] == value;
}

static inline bool
is_narrow(TallyAmount amount)
{
	return likely(amount == (int64) amount);
}

/* ----------
 * Periods as numbers
 * ----------
 */

/* Months since 2000-01 of the first day of a month. */
static int64
month_number(DateADT first)
{
	int			year;
	int			month;
	int			mday;

	j2date(first + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return ((int64) year - 2000) * MONTHS_PER_YEAR + month - 1;
}

static int64
period_number(const Tally *tally, const TallyPeriod *period)
{
	switch (tally->resolution)
	{
		case PERIOD_DAY:
			return period->first;
		case PERIOD_MONTH:
			return month_number(period->first);
		default:
			return 0;
	}
}

/*
 * The other way; false when there is no such period.
 */
static bool
period_first(CalendarPeriod resolution, int64 number, DateADT *first)
{
	int64		months;
	int			year;
	int			month;

	switch (resolution)
	{
		case PERIOD_DAY:
			if (number != (DateADT) number || !IS_VALID_DATE(number))
				return false;
			*first = (DateADT) number;
			return true;
		case PERIOD_MONTH:
			/* counted from a year before all others, for the division */
			months = number + INT64CONST(10000) * MONTHS_PER_YEAR;
			if (months < 0 || months / MONTHS_PER_YEAR > JULIAN_MAXYEAR + 10000)
				return false;
			year = (int) (months / MONTHS_PER_YEAR) + 2000 - 10000;
			month = (int) (months % MONTHS_PER_YEAR) + 1;
			if (!IS_VALID_JULIAN(year, month, 1))
				return false;
			*first = date2j(year, month, 1) - POSTGRES_EPOCH_JDATE;
			return IS_VALID_DATE(*first);
		default:
			*first = DATEVAL_NOBEGIN;
			return number == 0;
	}
}

/* ----------
 * Packing
 * ----------
 */

/*
 * Writes the payload and returns its size.
 */
static Size
put_tally(uint8 *to, const Tally *tally)
{
	uint8	   *start = to;
	bool		negative = false;
	int			amount_drop = TALLY_AMOUNT_DECIMALS;
	int			points_drop = POINTS_DECIMALS;
	int64		before = 0;
	int			resolution = 0;

	if (tally->nperiods > 0)
		while (resolutions[resolution] != tally->resolution)
			resolution++;

	for (int i = 0; i < tally->nperiods; i++)
	{
		const TallyPeriod *period = &tally->periods[i];

		negative |= period->amount < 0 || period->points < 0 || period->purchases < 0;
		while (is_narrow(period->amount) ?
			   !can_drop((int64) period->amount, amount_drop) :
			   period->amount % powers[amount_drop] != 0)
			amount_drop--;
		while (!can_drop(period->points, points_drop))
			points_drop--;
	}

	*to++ = HEADER_VERSION | (negative ? HEADER_SIGNED : 0) | resolution;
	*to++ = (TALLY_AMOUNT_DECIMALS - amount_drop) << 4 | (POINTS_DECIMALS - points_drop);

	for (int i = 0; i < tally->nperiods; i++)
	{
		const TallyPeriod *period = &tally->periods[i];
		int64		number = period_number(tally, period);
		int64		points = drop_decimals(period->points, points_drop);
		uint64		tag;

		tag = (i == 0 ? zigzag(number) : (uint64) (number - before)) << TAG_BITS;
		before = number;
		to = put_varint(to, period->purchases == 1 ? tag : tag | TAG_PURCHASES);

		if (is_narrow(period->amount))
		{
			int64		amount = drop_decimals((int64) period->amount, amount_drop);

			to = put_varint(to, negative ? zigzag(amount) : (uint64) amount);
		}
		else
		{
			int128		amount = period->amount / powers[amount_drop];

			to = put_wide(to, negative ? zigzag_wide(amount) : (uint128) amount);
		}

		to = put_varint(to, negative ? zigzag(points) : (uint64) points);
		if (period->purchases != 1)
			to = put_varint(to, negative ? zigzag(period->purchases) : (uint64) period->purchases);
	}
	return to - start;
}

/*
 * The packed form, no larger than it has to be: it may stay in memory for as
 * long as a whole statement.
 */
Datum
tally_pack(const Tally *tally)
{
	uint8		room[HEADER_SIZE + 64 * PERIOD_MAX_BYTES];
	uint8	   *bytes = room;
	Size		size = HEADER_SIZE + (Size) tally->nperiods * PERIOD_MAX_BYTES;
	struct varlena *packed;

	if (size > sizeof(room))
		bytes = MemoryContextAllocHuge(CurrentMemoryContext, size);

	size = put_tally(bytes, tally);
	packed = palloc(VARHDRSZ + size);
	SET_VARSIZE(packed, VARHDRSZ + size);
	memcpy(VARDATA(packed), bytes, size);

	if (bytes != room)
		pfree(bytes);
	return PointerGetDatum(packed);
}

/* ----------
 * Unpacking
 * ----------
 */

/*
 * Replaces the content of "tally" by what a payload holds.  Answers NULL, or
 * what is wrong with it, as a sentence; the tally is then empty.  It checks
 * whatever would make a tally that is none.  What it lets through is another
 * spelling of the same value: who reads from outside packs it again and
 * compares.
 */
const char *
tally_unpack(Tally *tally, const void *bytes, Size size)
{
	const uint8 *from = bytes;
	const uint8 *end = from + size;
	const char *fault = NULL;
	bool		negative;
	CalendarPeriod resolution;
	int64		amount_unit;
	int64		points_unit;
	TallyAmount most_amount;
	int64		most_points;
	int64		last = 0;
	uint64		tag;

	tally_clear(tally);

	if (size < HEADER_SIZE)
		return "The header is missing.";
	if ((from[0] & ~(HEADER_SIGNED | HEADER_RESOLUTION)) != HEADER_VERSION ||
		(from[0] & HEADER_RESOLUTION) >= lengthof(resolutions) ||
		from[1] >> 4 > TALLY_AMOUNT_DECIMALS || (from[1] & 0xF) > POINTS_DECIMALS)
		return "The header is not one of this version.";
	negative = (from[0] & HEADER_SIGNED) != 0;
	resolution = resolutions[from[0] & HEADER_RESOLUTION];
	amount_unit = powers[TALLY_AMOUNT_DECIMALS - (from[1] >> 4)];
	points_unit = powers[POINTS_DECIMALS - (from[1] & 0xF)];
	most_amount = TALLY_AMOUNT_MAX / amount_unit;
	most_points = POINTS_MAX / points_unit;
	from += HEADER_SIZE;

	/* A period has four bytes or more, as a rule; trust no size beyond reason. */
	reserve(tally, Min(size / 4 + 1, 4096));

	while (from < end)
	{
		TallyPeriod period;
		int128		number;
		int128		amount;
		int128		points;
		int128		purchases = 1;

		if ((fault = get_figure(&from, end, false, MOST_TAG, "A period is out of range.", &number)) != NULL)
			break;
		tag = (uint64) number;
		last += tally->nperiods == 0 ? unzigzag(tag >> TAG_BITS) : (int64) (tag >> TAG_BITS);
		if (!period_first(resolution, last, &period.first))
		{
			fault = "A period is out of range.";
			break;
		}
		if (tally->nperiods > 0 && (tag >> TAG_BITS == 0 || resolution == PERIOD_EVER))
		{
			fault = "The periods are out of order.";
			break;
		}

		if ((fault = get_figure(&from, end, negative, most_amount, "An amount is out of range.", &amount)) != NULL ||
			(fault = get_figure(&from, end, negative, most_points, "Points are out of range.", &points)) != NULL ||
			((tag & TAG_PURCHASES) != 0 &&
			 (fault = get_figure(&from, end, negative, TALLY_PURCHASES_MAX, "Purchases are out of range.", &purchases)) != NULL))
			break;
		period.amount = amount * amount_unit;
		period.points = (Points) points * points_unit;
		period.purchases = (int32) purchases;

		if (is_nothing(&period))
		{
			fault = "A period counts nothing.";
			break;
		}
		append(tally, &period);
	}

	if (fault != NULL)
		tally_clear(tally);
	else if (tally->nperiods > 0)
		tally->resolution = resolution;
	return fault;
}

/*
 * Reads a stored tally, toasted or not.  XX001 when it is none.
 */
void
tally_read(Tally *tally, Datum packed)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(packed);
	const char *fault = tally_unpack(tally, VARDATA_ANY(value),
									 VARSIZE_ANY_EXHDR(value));

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored tally is corrupted"),
				 errdetail_internal("%s", fault)));

	if ((Pointer) value != DatumGetPointer(packed))
		pfree(value);
}
