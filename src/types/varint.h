/*
 * varint.h
 *		Whole numbers in as few bytes as they need.
 *
 * Varints are little-endian groups of seven bits, the eighth says that more
 * follow.  Zigzag makes small numbers of either sign small ones without a sign.
 */
#ifndef LOYALTY_VARINT_H
#define LOYALTY_VARINT_H

#include "postgres.h"

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

#endif							/* LOYALTY_VARINT_H */
