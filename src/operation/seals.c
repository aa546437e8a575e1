/*
 * seals.c
 *		Reading seals.
 *
 * What was tampered with is not trusted to be what it should be: it is read as
 * damaged, for verify to say so and for a proof to be refused.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "operation/seals.h"

bool
seals_hash(Datum bytes, uint8 *hash, bool *present)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(bytes);
	Size		length = VARSIZE_ANY_EXHDR(value);

	*present = length == HASH_LENGTH;
	if (*present)
		memcpy(hash, VARDATA_ANY(value), HASH_LENGTH);
	else
		memset(hash, 0, HASH_LENGTH);
	return *present || length == 0;
}

static void
unpack_parts(Datum members, Datum roots, StoredSeal *seal)
{
	Datum	   *datums;
	bool	   *nulls;
	int			nroots;
	int			i;

	deconstruct_array(DatumGetArrayTypeP(members), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &datums, &nulls, &seal->nparts);
	seal->part_members = palloc(sizeof(int64) * Max(seal->nparts, 1));
	for (i = 0; i < seal->nparts; i++)
	{
		seal->damaged |= nulls[i];
		seal->part_members[i] = nulls[i] ? 0 : DatumGetInt64(datums[i]);
	}
	deconstruct_array(DatumGetArrayTypeP(roots), BYTEAOID, -1, false, TYPALIGN_INT, &datums, &nulls, &nroots);
	seal->part_roots = palloc0((Size) HASH_LENGTH * Max(nroots, 1));
	for (i = 0; i < nroots; i++)
	{
		bool		present = false;

		if (!nulls[i])
			(void) seals_hash(datums[i], seal->part_roots + (Size) i * HASH_LENGTH, &present);
		seal->damaged |= !present;
	}
	seal->damaged |= nroots != seal->nparts;
	seal->nparts = Min(seal->nparts, nroots);
}

void
seals_unpack(const Datum *values, StoredSeal *seal)
{
	SealRow    *row = &seal->row;
	bool		present;

	memset(seal, 0, sizeof(*seal));
	row->program_id = DatumGetInt32(values[0]);
	row->seal = DatumGetInt32(values[1]);
	row->sealed_at = DatumGetTimestampTz(values[2]);
	row->members = DatumGetInt64(values[3]);
	seal->changed = DatumGetInt64(values[4]);
	seal->damaged = !seals_hash(values[5], row->root, &present) || !present;
	seal->damaged |= !seals_hash(values[6], row->previous, &row->has_previous);
	seal->damaged |= !seals_hash(values[7], row->hash, &present) || !present;
	unpack_parts(values[8], values[9], seal);
}

bool
seals_find(const Program *program, int32 number, StoredSeal *seal)
{
	Oid			types[2] = {INT4OID, INT4OID};
	Datum		values[2] = {Int32GetDatum(program->program_id), Int32GetDatum(number)};
	char		nulls[2] = {' ', number == 0 ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	Datum		columns[10];
	bool		column_nulls[10];
	bool		found;

	SPI_execute_with_args("SELECT " SEAL_COLUMNS " FROM loyalty.seal"
						  " WHERE program_id = $1 AND ($2 IS NULL OR seal = $2) ORDER BY seal DESC LIMIT 1",
						  lengthof(types), types, values, nulls, true, 1);
	found = SPI_processed > 0;
	MemoryContextSwitchTo(caller);
	if (found)
	{
		heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, column_nulls);
		seals_unpack(columns, seal);
		seal->row.program = program->name;
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}
