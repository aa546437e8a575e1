/*
 * purse_pack.c
 *		The packed form of a purse, as it is stored and hashed.
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
#include "utils/date.h"

#include "types/points.h"
#include "types/purse.h"
#include "types/purse_private.h"
#include "types/varint.h"

#define HEADER_VERSION	0x10
#define HEADER_SIGNED	0x08
#define HEADER_DECIMALS 0x07

#define TAG_STARTS		0x01
#define TAG_NEVER		0x02
#define TAG_BITS		2

/* A tag and a first day are up to 35 bits each, points up to 64 bits. */
#define LOT_MAX_BYTES	(5 + 5 + 10)

static const int64 decimals_unit[POINTS_DECIMALS + 1] = {10000, 1000, 100, 10, 1};

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
