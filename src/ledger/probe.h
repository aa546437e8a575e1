/*
 * probe.h
 *		Rows of a table of the engine, by its primary key.
 */
#ifndef LOYALTY_PROBE_H
#define LOYALTY_PROBE_H

#include "access/genam.h"
#include "access/skey.h"
#include "utils/rel.h"

typedef struct Probe
{
	Relation	rel;
	SysScanDesc scan;
} Probe;

/*
 * The first row that the snapshot sees and that has these columns, in the order
 * of the key, and the next ones; each good until then, NULL when there is none.
 * Nothing is planned.
 */
extern HeapTuple probe_begin(Probe *probe, Oid relid, Snapshot snapshot, ScanKey keys, int nkeys);
extern HeapTuple probe_next(Probe *probe);
extern void probe_end(Probe *probe);

/* The primary key's index of a table of the engine; 55000 when it is gone. */
extern Oid	probe_primary_key(Relation rel);

#endif							/* LOYALTY_PROBE_H */
