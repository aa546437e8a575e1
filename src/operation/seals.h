/*
 * seals.h
 *		Reading and writing seals.
 */
#ifndef LOYALTY_SEALS_H
#define LOYALTY_SEALS_H

#include "postgres.h"
#include "access/tupdesc.h"

#include "ledger/config.h"
#include "ledger/seal.h"

/* A row of the table seal, whole. */
typedef struct StoredSeal
{
	SealRow		row;
	int64		changed;
	int			nparts;
	int64	   *part_members;	/* first member of each part */
	uint8	   *part_roots;		/* one after the other */
	bool		damaged;		/* a hash is none, or parts do not match each other */
} StoredSeal;

/* Its columns, for a query over loyalty.seal. */
#define SEAL_COLUMNS \
	"program_id, seal, sealed_at, members, changed, root, previous, hash, part_members, part_roots"

/* From such a row; the name of its program is the caller's to fill in. */
extern void seals_unpack(const Datum *values, StoredSeal *seal);

/*
 * The seal of that number as the active snapshot sees it, the last one with 0;
 * false when there is none.  To be used between SPI_connect and SPI_finish, with
 * the rights of the engine; it is in the caller's memory context.
 */
extern bool seals_find(const Program *program, int32 number, StoredSeal *seal);

/* A hash, or no bytes at all, that stands in a bytea; false for any other length. */
extern bool seals_hash(Datum bytes, uint8 *hash, bool *present);

#endif							/* LOYALTY_SEALS_H */
