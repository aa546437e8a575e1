/*
 * trigger.c
 *		The trigger on attached tables.
 *
 * A statement trigger with transition tables: it reads the rows that the
 * statement changed, old and new, and hands the purchases that they are to
 * reconcile().  INSERT, UPDATE and DELETE differ only in which images exist.
 *
 * An image can be stale: when the shop's own row trigger changed the row
 * again, that deeper statement has fired this trigger before, with the newer
 * image.  So deeper firings leave a mark per purchase, and a firing further
 * out reads marked purchases again by key.  A firing that notices newer
 * commands of its own depth before it reads all of its purchases again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "earning/attempt.h"
#include "earning/current.h"
#include "earning/deferred.h"
#include "earning/reconcile.h"
#include "earning/trigger.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_earn);

/* Rows that are evaluated in one subtransaction. */
#define CHUNK_SIZE 1000

/*
 * Marks of purchases reconciled by inner firings
 */

typedef struct Mark
{
	struct
	{
		int32		source_id;
		uint32		key_hash;
	}			id;				/* hash key; a collision costs one needless reading */
	int			depth;			/* the deepest firing that saw the purchase */
	text	   *successor;		/* the key that it changed to there; NULL: none */
} Mark;

static HTAB *marks = NULL;		/* of the current transaction; lives in TopTransactionContext */

/*
 * A function in a statement (in RETURNING, say) may change rows too, and no
 * trigger depth tells its statement from the one around it.  But its commands
 * are newer: so a firing that is older than another one of its depth before
 * it has had statements within it, and trusts none of its images.
 */
#define MAX_KNOWN_DEPTH 16
static CommandId newest_command[MAX_KNOWN_DEPTH];

static bool
had_inner_statements(int depth)
{
	CommandId	command = GetActiveSnapshot()->curcid;

	if (depth >= MAX_KNOWN_DEPTH || command < newest_command[depth])
		return true;
	newest_command[depth] = command;
	return false;
}

/* All this ends with the transaction. */
static void
forget_marks(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		marks = NULL;
		memset(newest_command, 0, sizeof(newest_command));
	}
}

void
trigger_init(void)
{
	RegisterXactCallback(forget_marks, NULL);
}

static Mark *
find_mark(int32 source_id, const text *key, HASHACTION action)
{
	Mark	   *mark;
	Mark		id;
	bool		found;

	if (marks == NULL)
	{
		HASHCTL		ctl;

		if (action == HASH_FIND)
			return NULL;
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(id.id);
		ctl.entrysize = sizeof(Mark);
		ctl.hcxt = TopTransactionContext;
		marks = hash_create("loyalty inner purchases", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	id.id.source_id = source_id;
	id.id.key_hash = DatumGetUInt32(hash_any((const unsigned char *) VARDATA_ANY(key),
											 VARSIZE_ANY_EXHDR(key)));
	mark = hash_search(marks, &id.id, action, &found);
	if (mark != NULL && !found)
	{
		mark->depth = 0;
		mark->successor = NULL;
	}
	return mark;
}

/*
 * Reading the images
 */

/* One row that the statement changed. */
typedef struct Image
{
	bool		present;
	SourceRow	row;
} Image;

typedef struct Change
{
	Image		old;
	Image		new;
	MinimalTuple old_tuple;		/* kept for those that fail */
	MinimalTuple new_tuple;
} Change;

typedef struct Firing
{
	Config	   *config;
	Source	   *source;			/* of the relation that fired */
	Source	   *root;			/* of the attached table, made when first needed */
	TupleTableSlot *slot;
	PurchasePile *pile;
	TimestampTz now;
	int			depth;
	bool		outdated;		/* no image is to be trusted */
	int			nchanges;
	Change	   *changes;
	int			from;			/* what is being read: changes[from .. to) */
	int			to;
} Firing;

static void
read_image(Firing *firing, MinimalTuple tuple, Image *image)
{
	image->present = tuple != NULL;
	if (!image->present)
		return;
	ExecStoreMinimalTuple(tuple, firing->slot, false);
	source_read_row(firing->source, firing->slot, firing->now, &image->row);
	ExecClearTuple(firing->slot);
}

/* Evaluate the expressions on a range of the chunk. */
static void
read_changes(void *arg)
{
	Firing	   *firing = arg;
	SourceScope scope;
	int			i;

	source_enter(firing->source, &scope);
	for (i = firing->from; i < firing->to; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_image(firing, firing->changes[i].old_tuple, &firing->changes[i].old);
		read_image(firing, firing->changes[i].new_tuple, &firing->changes[i].new);
	}
	source_leave(firing->source, &scope);
}

/* Nothing that a purchase is made of has changed. */
static bool
same_row(const SourceRow *a, const SourceRow *b)
{
	return a->counts == b->counts && same_text(a->key, b->key) && same_text(a->ref, b->ref) &&
		(!a->counts || purchase_line_equal(&a->line, &b->line));
}

static int64
resolve(Firing *firing, const SourceRow *row)
{
	return member_resolve(firing->config, firing->source->program, row->ref);
}

/* A row stands there no more for this member: the purchase is to stand at zero. */
static void
put_gone(Firing *firing, SourceRow *row, int64 member_id)
{
	Purchase	purchase;

	source_row_purchase(row, member_id, &purchase);
	purchase.counts = false;
	purchase.nlines = 0;
	purchase_pile_put(firing->pile, &purchase);
}

/* Hand what a change means to the pile. */
static void
put_change(Firing *firing, Change *change)
{
	SourceRow  *old = change->old.present && change->old.row.ref != NULL ? &change->old.row : NULL;
	SourceRow  *new = change->new.present && change->new.row.ref != NULL ? &change->new.row : NULL;
	int64		old_id = old == NULL ? 0 : resolve(firing, old);
	int64		new_id = new == NULL ? 0 : resolve(firing, new);

	if (old != NULL && (new == NULL || old_id != new_id || !same_text(old->key, new->key)))
		put_gone(firing, old, old_id);
	if (new != NULL)
	{
		Purchase	purchase;

		source_row_purchase(new, new_id, &purchase);
		if (old != NULL)
		{
			purchase.was_counting = old->counts;
			purchase.old_member_id = old_id;
			purchase.old_key = old->key;
		}
		purchase_pile_put(firing->pile, &purchase);
	}
}

/* The row cannot be read: put its purchase aside, as far as it can be told. */
static void
defer_change(Firing *firing, Change *change, ErrorData *error)
{
	int64		members[2];
	MinimalTuple tuples[2] = {change->old_tuple, change->new_tuple};
	text	   *last = NULL;
	int			nmembers = 0;
	SourceScope scope;
	int			i;

	if (firing->source->fail)
		ReThrowError(error);
	if (change->old.present && change->old.row.ref != NULL)
		members[nmembers++] = resolve(firing, &change->old.row);
	for (i = 0; i < 2; i++)
	{
		text	   *key;

		if (tuples[i] == NULL)
			continue;
		source_enter(firing->source, &scope);
		ExecStoreMinimalTuple(tuples[i], firing->slot, false);
		key = source_read_key(firing->source, firing->slot);
		ExecClearTuple(firing->slot);
		source_leave(firing->source, &scope);
		if (key == NULL || same_text(key, last))
			continue;
		deferred_write(firing->source, key, members, nmembers, error);
		last = key;
	}
}

/* A purchase to be read again by its key. */
typedef struct Rereading
{
	Firing	   *firing;
	const text *key;
	bool		present;
	SourceRow	row;
} Rereading;

static void
read_again(void *arg)
{
	Rereading  *rereading = arg;
	Firing	   *firing = rereading->firing;

	/* As compiled for the attached table itself, not for the partition that fired. */
	if (firing->root == NULL)
		firing->root = source_get(firing->config, firing->source->id.source_id, firing->source->root);
	source_ready(firing->root);
	rereading->present = current_row(firing->root, rereading->key, true, firing->now, &rereading->row);

	/* An inner firing may have seen its key change. */
	while (!rereading->present)
	{
		Mark	   *mark = find_mark(firing->source->id.source_id, rereading->key, HASH_FIND);

		CHECK_FOR_INTERRUPTS();
		if (mark == NULL || mark->successor == NULL)
			break;
		rereading->key = mark->successor;
		mark->successor = NULL; /* so that keys which were swapped do not go round */
		rereading->present = current_row(firing->root, rereading->key, true, firing->now, &rereading->row);
	}
}

/*
 * The purchase was reconciled by an inner firing, and this image of it may be
 * stale: put what its row now is.  The images' members may have entries of it.
 */
static void
put_current(Firing *firing, Change *change, const text *key)
{
	Rereading	rereading = {.firing = firing, .key = key};
	Change		now = *change;
	ErrorData  *error = NULL;

	if (firing->source->fail)
		read_again(&rereading);
	else
		error = attempt(read_again, &rereading);
	if (error != NULL)
	{
		defer_change(firing, change, error);
		return;
	}
	if (change->new.present && change->new.row.ref != NULL && same_text(change->new.row.key, key))
		put_gone(firing, &change->new.row, resolve(firing, &change->new.row));
	now.new.present = rereading.present;
	now.new.row = rereading.row;
	put_change(firing, &now);
}

/* A change that was read: mark it for outer firings, or heed the marks of inner ones. */
static void
take_change(Firing *firing, Change *change)
{
	const text *keys[2] = {NULL, NULL};
	int			i;

	if (change->old.present && change->old.row.key != NULL)
		keys[0] = change->old.row.key;
	if (change->new.present && change->new.row.key != NULL && !same_text(keys[0], change->new.row.key))
		keys[1] = change->new.row.key;
	if (keys[0] == NULL && keys[1] == NULL)
	{
		ereport(WARNING,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row of source \"%s\" has no key that can be kept and earns nothing", firing->source->name),
				 errdetail("A key is not null and not longer than %d bytes.", MAX_KEY_BYTES)));
		return;
	}

	for (i = 0; i < 2; i++)
	{
		Mark	   *mark;

		if (keys[i] == NULL)
			continue;
		mark = find_mark(firing->source->id.source_id, keys[i],
						 firing->depth > 1 ? HASH_ENTER : HASH_FIND);
		if (firing->outdated || (mark != NULL && mark->depth > firing->depth))
		{
			/* Both keys: what changed from one to the other stands under the second. */
			for (i = 0; i < 2; i++)
				if (keys[i] != NULL)
					put_current(firing, change, keys[i]);
			return;
		}
		if (mark != NULL)
			mark->depth = firing->depth;
		if (mark != NULL && i == 0 && keys[1] != NULL)
		{
			MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

			mark->successor = DatumGetTextPCopy(PointerGetDatum(keys[1]));
			MemoryContextSwitchTo(caller);
		}
	}

	if (change->old.present && change->new.present &&
		same_row(&change->old.row, &change->new.row))
		return;
	put_change(firing, change);
}

/* Read changes [from .. to) of the chunk, halving what fails. */
static void
read_carefully(Firing *firing, int from, int to)
{
	ErrorData  *error;
	int			i;

	firing->from = from;
	firing->to = to;
	error = attempt(read_changes, firing);
	if (error == NULL)
	{
		for (i = from; i < to; i++)
			take_change(firing, &firing->changes[i]);
		return;
	}
	ExecClearTuple(firing->slot);
	if (to - from == 1)
	{
		defer_change(firing, &firing->changes[from], error);
		return;
	}
	read_carefully(firing, from, from + (to - from) / 2);
	read_carefully(firing, from + (to - from) / 2, to);
}

/* Read one chunk of changes into the pile. */
static void
read_chunk(Firing *firing)
{
	int			i;

	if (!firing->source->fail)
	{
		read_carefully(firing, 0, firing->nchanges);
		return;
	}
	firing->from = 0;
	firing->to = firing->nchanges;
	read_changes(firing);
	for (i = 0; i < firing->nchanges; i++)
		take_change(firing, &firing->changes[i]);
}

/* The next tuple of a transition table, copied; NULL at its end. */
static MinimalTuple
next_tuple(Tuplestorestate *table, TupleTableSlot *slot)
{
	MinimalTuple tuple;

	if (table == NULL || !tuplestore_gettupleslot(table, true, false, slot))
		return NULL;
	tuple = ExecCopySlotMinimalTuple(slot);
	ExecClearTuple(slot);
	return tuple;
}

/*
 * Read the transition tables chunk by chunk.  The old and the new image of a
 * row stand at the same place of theirs, unless a BEFORE trigger swallowed a
 * row on its way to another partition; then they go unpaired.
 */
static void
read_transitions(Firing *firing, Tuplestorestate *old, Tuplestorestate *new)
{
	MemoryContext chunk_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty chunk",
														ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(chunk_context);
	bool		paired = old == NULL || new == NULL ||
		tuplestore_tuple_count(old) == tuplestore_tuple_count(new);
	bool		more = true;

	if (old != NULL)
		tuplestore_rescan(old);
	if (new != NULL)
		tuplestore_rescan(new);
	while (more)
	{
		firing->changes = palloc(sizeof(Change) * 8);
		firing->nchanges = 0;
		while (firing->nchanges < CHUNK_SIZE)
		{
			Change	   *change;

			if (firing->nchanges >= 8 && (firing->nchanges & (firing->nchanges - 1)) == 0)
				firing->changes = repalloc(firing->changes, sizeof(Change) * firing->nchanges * 2);
			change = &firing->changes[firing->nchanges];
			memset(change, 0, sizeof(*change));
			change->old_tuple = next_tuple(old, firing->slot);
			if (paired || change->old_tuple == NULL)
				change->new_tuple = next_tuple(new, firing->slot);
			more = change->old_tuple != NULL || change->new_tuple != NULL;
			if (!more)
				break;
			firing->nchanges++;
		}
		if (firing->nchanges > 0)
			read_chunk(firing);
		MemoryContextReset(chunk_context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(chunk_context);
}

static void
ready_source(void *arg)
{
	source_ready((Source *) arg);
}

/* Called as the trigger that attach makes; 39P01 otherwise. */
static void
check_protocol(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "loyalty.earn")));
	if (!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) || trigdata->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is for the triggers that loyalty.attach makes", "loyalty.earn")));
}

/*
 * The source of the firing relation; NULL with a warning where rows cannot
 * even be told apart.  A restore may bring orders before the ledger, and a
 * renamed column must not stop the till.
 */
static Source *
trigger_source(Config *config, int32 source_id, Relation rel)
{
	Source	   *source = source_get(config, source_id, RelationGetRelid(rel));
	ErrorData  *error;

	if (source == NULL || !source->attached)
	{
		ereport(WARNING,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SOURCE),
				 errmsg("rows of \"%s\" earn nothing: source %d does not exist",
						RelationGetRelationName(rel), source_id),
				 errhint("After a restore of data alone, CALL loyalty.backfill.")));
		return NULL;
	}
	if (source->fail)
	{
		source_ready(source);
		return source;
	}
	error = source->compiled ? NULL : attempt(ready_source, source);
	if (error != NULL)
	{
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("rows of \"%s\" earn nothing: %s", RelationGetRelationName(rel), error->message),
				 errhint("Detach and attach the table again, then CALL loyalty.backfill.")));
		return NULL;
	}
	return source;
}

/* Whether the statement changed nothing. */
static bool
is_empty(Tuplestorestate *table)
{
	return table == NULL || tuplestore_tuple_count(table) == 0;
}

/* earn(): AFTER INSERT, UPDATE, DELETE and BEFORE TRUNCATE, for each statement */
Datum
loyalty_earn(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	MemoryContext context;
	MemoryContext caller;
	Firing		firing;
	ReconcileResult result;
	int32		source_id;

	check_protocol(fcinfo);
	if (!TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) &&
		is_empty(trigdata->tg_oldtable) && is_empty(trigdata->tg_newtable))
		PG_RETURN_POINTER(NULL);
	source_id = pg_strtoint32(trigdata->tg_trigger->tgargs[0]);

	context = AllocSetContextCreate(CurrentMemoryContext, "loyalty trigger", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	memset(&firing, 0, sizeof(firing));
	firing.config = config_get();
	firing.source = trigger_source(firing.config, source_id, trigdata->tg_relation);

	if (firing.source != NULL && TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
	{
		if (!firing.source->keep_deleted)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot truncate \"%s\", whose rows have earned points",
							RelationGetRelationName(trigdata->tg_relation)),
					 errhint("DELETE takes the points back; attach it with on_delete => 'keep' to let them stay.")));
	}
	else if (firing.source != NULL &&
			 !(TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) && firing.source->keep_deleted))
	{
		firing.now = GetCurrentTransactionStartTimestamp();
		firing.depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
		firing.outdated = had_inner_statements(firing.depth);
		firing.slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation), &TTSOpsMinimalTuple);
		firing.pile = purchase_pile_begin();
		read_transitions(&firing, trigdata->tg_oldtable, trigdata->tg_newtable);
		ExecDropSingleTupleTableSlot(firing.slot);
		purchase_pile_sort(firing.pile);
		reconcile(firing.source, firing.pile, false, &result);
		purchase_pile_end(firing.pile);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	PG_RETURN_POINTER(NULL);
}
