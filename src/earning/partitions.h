/*
 * partitions.h
 *		The triggers of attached and watched tables, and of each of their partitions.
 */
#ifndef LOYALTY_PARTITIONS_H
#define LOYALTY_PARTITIONS_H

#include "postgres.h"
#include "nodes/pg_list.h"

/* What the triggers call: "columns" of a watched table hold the key; NIL: the table is attached itself. */
extern char *partitions_earn_call(int32 source_id, List *columns);

/*
 * Make the source's triggers on the table and its partitions where they are
 * missing.  To be called with the engine's rights.
 */
extern void partitions_add_triggers(Oid relid, int32 source_id, const char *call);

/* Take them off one relation. */
extern void partitions_drop_triggers(Oid relid, int32 source_id);

/* The table that a source attached, or those that it watches. */
extern List *partitions_roots(int32 source_id);

/* The table and, if it is partitioned, all its partitions. */
extern List *partitions_of(Oid relid);

#endif							/* LOYALTY_PARTITIONS_H */
