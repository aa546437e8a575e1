/*
 * partitions.h
 *		The triggers of an attached table, and of each of its partitions.
 */
#ifndef LOYALTY_PARTITIONS_H
#define LOYALTY_PARTITIONS_H

#include "postgres.h"

/*
 * Make the source's triggers on the table and its partitions where they are
 * missing.  To be called with the engine's rights.
 */
extern void partitions_add_triggers(Oid relid, int32 source_id);

/* Take them off one relation. */
extern void partitions_drop_triggers(Oid relid, int32 source_id);

/* The table and, if it is partitioned, all its partitions. */
extern List *partitions_of(Oid relid);

#endif							/* LOYALTY_PARTITIONS_H */
