/*
 * storage_private.h
 *		What the files that read and write the ledger's tables share: the open
 *		tables, and how any of them is scanned and written.
 *
 * For storage*.c only; everybody else goes by storage.h.
 */
#ifndef LOYALTY_STORAGE_PRIVATE_H
#define LOYALTY_STORAGE_PRIVATE_H

#include "postgres.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "ledger/storage.h"

/* Columns that are blanked when a person is forgotten; storage_entry.c and storage_tier.c know all of them. */
#define ANUM_ENTRY_SEQ 2
#define ANUM_ENTRY_CONTEXT 15
#define ANUM_ENTRY_NOTE 16
#define ANUM_CHANGE_NOTE 13

/* Entries are looked up by up to so many columns of their key. */
#define ENTRY_SCANS 3

/* Rows gathered before they are written together. */
#define MAX_BUFFERED_ROWS 500

/* One table with what inserting into it takes. */
typedef struct StoreTable
{
	Relation	rel;
	Relation	index;			/* its primary key */
	ResultRelInfo *result;		/* only when writing */
	int			nbuffered;		/* rows gathered */
	int			nslots;
	TupleTableSlot **slots;		/* of theirs; made when first needed */
} StoreTable;

struct Store
{
	MemoryContext context;
	bool		write;
	bool		wrote;
	Oid			tier_change_rel;
	Oid			hold_rel;
	StoreTable	member;
	StoreTable	entry;
	StoreTable	tier_change;	/* opened when first written to */
	StoreTable	hold;			/* likewise */
	EState	   *estate;			/* only when writing */
	TupleTableSlot *member_slot;
	TupleTableSlot *entry_slots[ENTRY_SCANS];
	TupleTableSlot *update_slot;
	TupleTableSlot *visit_slot;	/* the member being visited */
	Snapshot	snapshot;
	IndexScanDesc member_scan;
	IndexScanDesc entry_scans[ENTRY_SCANS];	/* by the number of keys, so that none is begun anew */
	bool		follows_nothing;
	int			nposted;
	int			posted_capacity;
	PostedMember *posted;		/* members to whom something was posted */
};

/* Open a table and its primary key, for writing too or not; and close it, keeping its locks. */
extern void store_open_table(Store *store, StoreTable *table, Oid relid, bool write);
extern void store_close_table(StoreTable *table);

/* Start an index scan with nkeys keys, and make the slot for what it finds; they outlive the caller's context. */
extern void store_begin_scan(Store *store, StoreTable *table, int nkeys,
							 IndexScanDesc *scan, TupleTableSlot **slot);

/* On to its next row, false at the end.  What an index remembers of dead rows outlives the caller's context too. */
extern bool store_next(Store *store, IndexScanDesc scan, TupleTableSlot *slot);

/* End one scan and its slot. */
extern void store_end_scan(IndexScanDesc *scan, TupleTableSlot **slot);

/* Check NOT NULL and CHECK constraints of a tuple about to be written. */
extern void store_check_constraints(Store *store, StoreTable *table, TupleTableSlot *slot);

/* Open all indexes, unless they are: most updates change nothing that is indexed, and need none of them. */
extern void store_open_indexes(Store *store, StoreTable *table);

/* Insert index entries for a tuple just written, as the executor does. */
extern void store_insert_index_entries(Store *store, StoreTable *table, TupleTableSlot *slot, bool update);

/* The slot of another row to be gathered, while there are less than MAX_BUFFERED_ROWS; and insert all of them. */
extern TupleTableSlot *store_next_slot(Store *store, StoreTable *table);
extern void store_write_slots(Store *store, StoreTable *table);

/* Short-header copy of some bytes. */
extern Datum store_bytes(const void *bytes, Size length);

#endif							/* LOYALTY_STORAGE_PRIVATE_H */
