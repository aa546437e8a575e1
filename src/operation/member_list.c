/*
 * member_list.c
 *		The members of a run of maintenance: listed first, then taken batch by batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "loyalty.h"
#include "operation/member_list.h"

static const ListColumn columns[] = {{"member_id", INT8OID}};

void
member_list_begin(MemberList *list)
{
	list->slot = MakeSingleTupleTableSlot(list_row_type(columns, lengthof(columns)), &TTSOpsMinimalTuple);
	list->members = tuplestore_begin_heap(false, true, work_mem);
	list->length = 0;
}

void
member_list_put(MemberList *list, int64 member_id)
{
	Datum		value = Int64GetDatum(member_id);
	bool		isnull = false;

	tuplestore_putvalues(list->members, list->slot->tts_tupleDescriptor, &value, &isnull);
	list->length++;
}

int
member_list_take(MemberList *list, int64 *member_ids, int most)
{
	int			count = 0;

	while (count < most && tuplestore_gettupleslot(list->members, true, false, list->slot))
	{
		bool		isnull;

		member_ids[count++] = DatumGetInt64(slot_getattr(list->slot, 1, &isnull));
	}
	/* What came from disk lies in the caller's memory, and must not be freed after it. */
	ExecClearTuple(list->slot);
	return count;
}

void
member_list_end(MemberList *list)
{
	tuplestore_end(list->members);
}

int
members_lock_free(Store *store, const int64 *member_ids, int count, MemberRow *rows, int64 *skipped)
{
	Snapshot	snapshot = store_snapshot();
	int			nrows = 0;
	int			i;

	*skipped = 0;
	store_begin_read(store, snapshot);
	for (i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		switch (store_try_lock_member(store, member_ids[i], &rows[nrows]))
		{
			case STORE_LOCKED:
				/* Nothing falls due for who was forgotten. */
				if (rows[nrows].status != MEMBER_FORGOTTEN)
					nrows++;
				break;
			case STORE_BUSY:
				(*skipped)++;
				break;
			case STORE_GONE:
				break;
		}
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	return nrows;
}
