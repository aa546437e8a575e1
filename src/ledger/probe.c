/*
 * probe.c
 *		Rows of a table of the engine, by its primary key.
 */
#include "postgres.h"

#include "access/table.h"

#include "ledger/probe.h"
#include "loyalty.h"

Oid
probe_primary_key(Relation rel)
{
	Oid			key = RelationGetPrimaryKeyIndex(rel
#if PG_VERSION_NUM >= 180000
												 ,false
#endif
		);

	if (!OidIsValid(key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" has no primary key",
						LOYALTY_SCHEMA, RelationGetRelationName(rel)),
				 errhint("It came with the extension; restore it before going on.")));
	return key;
}

HeapTuple
probe_begin(Probe *probe, Oid relid, Snapshot snapshot, ScanKey keys, int nkeys)
{
	probe->rel = table_open(relid, AccessShareLock);
	probe->scan = systable_beginscan(probe->rel, probe_primary_key(probe->rel), true, snapshot, nkeys, keys);
	return systable_getnext(probe->scan);
}

HeapTuple
probe_next(Probe *probe)
{
	return systable_getnext(probe->scan);
}

void
probe_end(Probe *probe)
{
	systable_endscan(probe->scan);
	table_close(probe->rel, AccessShareLock);
}
