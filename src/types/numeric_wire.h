/*
 * numeric_wire.h
 *		Read and write numeric by its binary wire format.
 *
 * The inside of numeric is private to PostgreSQL, but its wire format is public
 * and stable: digits to the base 10000, the weight of the first one, a sign.
 * 10000 is also the unit of points, so that a digit is a whole step of ours and
 * neither direction has to go through decimal text.
 *
 * Private to points*.c and rational*.c.
 */
#ifndef LOYALTY_NUMERIC_WIRE_H
#define LOYALTY_NUMERIC_WIRE_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#define NUMERIC_WIRE_BASE 10000
#define NUMERIC_WIRE_NEGATIVE 0x4000
#define NUMERIC_WIRE_SPECIAL 0xC000 /* both bits set: NaN or an infinity */

/* ndigits, weight, sign, dscale: two bytes each, before the digits. */
#define NUMERIC_WIRE_HEADER 8

typedef struct NumericWire
{
	bytea	   *message;
	int			ndigits;		/* without leading or trailing zero digits */
	int			weight;			/* of the first digit: value = d * 10000^weight */
	bool		negative;
	bool		special;		/* NaN or an infinity, no digits */
} NumericWire;

/* The big-endian 16-bit number at a place of the message. */
static inline int
numeric_wire_field(const bytea *message, int offset)
{
	const unsigned char *p = (const unsigned char *) VARDATA(message) + offset;

	return (p[0] << 8) | p[1];
}

/* The i-th digit, counted from the most significant one. */
static inline int
numeric_wire_digit(const NumericWire *wire, int i)
{
	return numeric_wire_field(wire->message, NUMERIC_WIRE_HEADER + 2 * i);
}

/* Take a numeric apart; the caller pfrees message. */
static inline NumericWire
numeric_wire_read(Numeric value)
{
	NumericWire wire;
	int			sign;

	wire.message = DatumGetByteaP(DirectFunctionCall1(numeric_send,
													  NumericGetDatum(value)));
	wire.ndigits = numeric_wire_field(wire.message, 0);
	wire.weight = (int16) numeric_wire_field(wire.message, 2);
	sign = numeric_wire_field(wire.message, 4);
	wire.special = (sign & NUMERIC_WIRE_SPECIAL) == NUMERIC_WIRE_SPECIAL;
	wire.negative = (sign == NUMERIC_WIRE_NEGATIVE);
	return wire;
}

/*
 * A count of units as a numeric, which are whole, or ten-thousandths when
 * "fraction" is 1; with only as many decimals as it needs: 37, not 37.0000.
 */
static inline Numeric
numeric_wire_make_of(int128 units, int fraction)
{
	uint128		rest = units < 0 ? -(uint128) units : (uint128) units;
	uint16		digits[10];		/* 2^127 has 39 decimal digits */
	int			n = 0;
	int			decimals = 0;
	uint16		fields[4 + lengthof(digits)];
	StringInfoData message;

	/* Least significant digit first; 64-bit division as soon as it will do. */
	while (rest > PG_UINT64_MAX)
	{
		digits[n++] = (uint16) (rest % NUMERIC_WIRE_BASE);
		rest /= NUMERIC_WIRE_BASE;
	}
	for (uint64 low = (uint64) rest; low > 0; low /= NUMERIC_WIRE_BASE)
		digits[n++] = (uint16) (low % NUMERIC_WIRE_BASE);

	if (fraction > 0 && n > 0 && digits[0] != 0)
	{
		decimals = 4;
		for (int last = digits[0]; last % 10 == 0; last /= 10)
			decimals--;
	}

	fields[0] = pg_hton16((uint16) n);
	fields[1] = pg_hton16((uint16) (n - 1 - fraction));
	fields[2] = pg_hton16(units < 0 ? NUMERIC_WIRE_NEGATIVE : 0);
	fields[3] = pg_hton16((uint16) decimals);
	for (int i = 0; i < n; i++)
		fields[4 + i] = pg_hton16(digits[n - 1 - i]);

	message.data = (char *) fields;
	message.len = NUMERIC_WIRE_HEADER + 2 * n;
	message.maxlen = sizeof(fields);
	message.cursor = 0;
	return DatumGetNumeric(DirectFunctionCall3(numeric_recv,
											   PointerGetDatum(&message),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

/* A count of ten-thousandths, as points are. */
static inline Numeric
numeric_wire_make(int128 units)
{
	return numeric_wire_make_of(units, 1);
}

/* A whole number. */
static inline Numeric
numeric_wire_make_whole(int128 value)
{
	return numeric_wire_make_of(value, 0);
}

#endif							/* LOYALTY_NUMERIC_WIRE_H */
