/*
 * packed.c
 *		What types that are kept packed have in common: purse and tally.
 *
 * A value has one packed form, so equal values are equal bytes and nothing is
 * unpacked.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"

#include "types/packed.h"

PG_FUNCTION_INFO_V1(loyalty_packed_eq);
PG_FUNCTION_INFO_V1(loyalty_packed_ne);
PG_FUNCTION_INFO_V1(loyalty_packed_hash);
PG_FUNCTION_INFO_V1(loyalty_packed_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_packed_send);

/* Leaks nothing, since index and sort code calls it in long-lived contexts. */
static bool
equal_arguments(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	bool		equal;

	equal = VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return equal;
}

/* Equality. */
Datum
loyalty_packed_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(equal_arguments(fcinfo));
}

/* Inequality. */
Datum
loyalty_packed_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!equal_arguments(fcinfo));
}

/* Agrees with equality, which compares the same bytes. */
Datum
loyalty_packed_hash(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(packed),
								VARSIZE_ANY_EXHDR(packed));

	PG_FREE_IF_COPY(packed, 0);
	return hash;
}

/* The same with a seed, for hash partitions. */
Datum
loyalty_packed_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(packed),
										 VARSIZE_ANY_EXHDR(packed),
										 PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(packed, 0);
	return hash;
}

bool
packed_is(Datum packed, const char *bytes, int size)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(packed);

	return VARSIZE_ANY_EXHDR(value) == size && memcmp(VARDATA_ANY(value), bytes, size) == 0;
}

/* Binary output: the packed form. */
Datum
loyalty_packed_send(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
