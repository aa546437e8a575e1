/*
 * partitions.c
 *		The triggers of attached and watched tables, and of each of their partitions.
 *
 * A statement fires the statement triggers of the table it names, so a
 * partition that is written directly needs its own.  An event trigger keeps
 * partitions that come and go later in step.  Whatever is wrong with a loyalty
 * configuration it only warns of: CREATE TABLE must work nevertheless.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/partitions.h"
#include "ledger/config.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_partitions_changed);
PG_FUNCTION_INFO_V1(loyalty_tables_dropped);

/* The triggers, by the event in their name. */
static const struct
{
	const char *event;
	const char *definition;		/* %s: the table */
}			triggers[] = {
	{"insert", "AFTER INSERT ON %s REFERENCING NEW TABLE AS loyalty_new"},
	{"update", "AFTER UPDATE ON %s REFERENCING OLD TABLE AS loyalty_old NEW TABLE AS loyalty_new"},
	{"delete", "AFTER DELETE ON %s REFERENCING OLD TABLE AS loyalty_old"},
	{"truncate", "BEFORE TRUNCATE ON %s"},
};

static char *
trigger_name(int32 source_id, const char *event)
{
	return psprintf("loyalty_%d_%s", source_id, event);
}

static char *
relation_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

List *
partitions_of(Oid relid)
{
	return find_all_inheritors(relid, AccessShareLock, NULL);
}

static void
execute_ddl(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute: %s", sql);
}

char *
partitions_earn_call(int32 source_id, List *columns)
{
	StringInfoData call;
	ListCell   *cell;

	initStringInfo(&call);
	appendStringInfo(&call, "%s('%d'", columns == NIL ? "loyalty.earn" : "loyalty.earn_watched", source_id);
	foreach(cell, columns)
		appendStringInfo(&call, ", %s", quote_literal_cstr(lfirst(cell)));
	appendStringInfoChar(&call, ')');
	return call.data;
}

/* The same as on the table that the source has it on already; NULL when somebody dropped it there. */
static char *
existing_call(Oid relid, int32 source_id)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	char	   *call = NULL;
	int			i;

	for (i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];
		List	   *columns = NIL;
		int			j;

		if (strcmp(trigger->tgname, trigger_name(source_id, triggers[0].event)) != 0)
			continue;
		for (j = 1; j < trigger->tgnargs; j++)
			columns = lappend(columns, trigger->tgargs[j]);
		call = partitions_earn_call(source_id, columns);
	}
	relation_close(rel, AccessShareLock);
	return call;
}

void
partitions_add_triggers(Oid relid, int32 source_id, const char *call)
{
	List	   *relations = partitions_of(relid);
	ListCell   *cell;
	int			i;

	SPI_connect();
	foreach(cell, relations)
	{
		char	   *table = relation_name(lfirst_oid(cell));

		for (i = 0; i < lengthof(triggers); i++)
		{
			char	   *name = trigger_name(source_id, triggers[i].event);

			if (OidIsValid(get_trigger_oid(lfirst_oid(cell), name, true)))
				continue;
			execute_ddl(psprintf("CREATE TRIGGER %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s",
								 name, psprintf(triggers[i].definition, table), call));
			/* So that DROP EXTENSION takes them along. */
			execute_ddl(psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION loyalty", name, table));
		}
	}
	SPI_finish();
}

void
partitions_drop_triggers(Oid relid, int32 source_id)
{
	int			i;

	SPI_connect();
	for (i = 0; i < lengthof(triggers); i++)
	{
		char	   *name = trigger_name(source_id, triggers[i].event);

		if (OidIsValid(get_trigger_oid(relid, name, true)))
			execute_ddl(psprintf("DROP TRIGGER %s ON %s", name, relation_name(relid)));
	}
	SPI_finish();
}

/* Sources with each table that they attach or watch. */
#define SOURCE_TABLES \
	" loyalty.source s CROSS JOIN LATERAL pg_catalog.unnest(coalesce(s.tables, ARRAY[s.relation])) AS root (relid)" \
	" JOIN pg_catalog.pg_class c ON c.oid = root.relid "

List *
partitions_roots(int32 source_id)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *roots = NIL;
	uint64		i;

	SPI_connect();
	SPI_execute(psprintf("SELECT c.oid FROM" SOURCE_TABLES "WHERE s.source_id = %d", source_id), true, 0);
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		roots = lappend_oid(roots, relid);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return roots;
}

/* The attached partitioned tables and their sources. */
typedef struct Tree
{
	int32		source_id;
	Oid			relid;
	bool		watched;
	List	   *relations;
} Tree;

static List *
attached_trees(Config *config)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *trees = NIL;
	uint64		i;

	SPI_connect();
	SPI_execute("SELECT s.source_id, c.oid, s.query IS NOT NULL FROM" SOURCE_TABLES
				"WHERE s.attached AND c.relkind = 'p'", false, 0);
	for (i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);
		Tree	   *tree = palloc(sizeof(Tree));
		bool		isnull;

		tree->source_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		tree->relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
		tree->watched = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull));
		tree->relations = partitions_of(tree->relid);
		trees = lappend(trees, tree);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return trees;
}

/* Our triggers on tables that are no part of their source's tree any more. */
static void
drop_strays(List *trees)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *strays = NIL;
	ListCell   *cell;
	uint64		i;

	SPI_connect();
	SPI_execute("SELECT DISTINCT t.tgrelid, s.source_id FROM pg_catalog.pg_trigger t"
				" JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid"
				" JOIN loyalty.source s ON t.tgname LIKE 'loyalty\\_' || s.source_id || '\\_%'"
				" WHERE p.pronamespace = 'loyalty'::pg_catalog.regnamespace AND p.proname IN ('earn', 'earn_watched')"
				" AND t.tgrelid <> ALL (coalesce(s.tables, ARRAY[s.relation])::pg_catalog.oid[])"
				" AND EXISTS (SELECT FROM pg_catalog.unnest(coalesce(s.tables, ARRAY[s.relation])) AS root (relid)"
				" JOIN pg_catalog.pg_class c ON c.oid = root.relid WHERE c.relkind = 'p')", false, 0);
	for (i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		int32		source_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
		bool		belongs = false;
		MemoryContext spi = MemoryContextSwitchTo(caller);

		foreach(cell, trees)
		{
			Tree	   *tree = lfirst(cell);

			if (tree->source_id == source_id && list_member_oid(tree->relations, relid))
				belongs = true;
		}
		if (!belongs)
			strays = lappend(strays, list_make2_oid(relid, (Oid) source_id));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();

	foreach(cell, strays)
	{
		List	   *stray = lfirst(cell);

		partitions_drop_triggers(linitial_oid(stray), (int32) lsecond_oid(stray));
	}
}

/* A table that was attached by itself and became a partition earns only where it is named. */
static void
warn_of_lone_partitions(void)
{
	uint64		i;

	SPI_connect();
	SPI_execute("SELECT root.relid::pg_catalog.text, s.program FROM" SOURCE_TABLES
				"WHERE s.attached AND c.relispartition ORDER BY s.source_id", false, 0);
	for (i = 0; i < SPI_processed; i++)
		ereport(WARNING,
				(errmsg("\"%s\" is attached to program \"%s\" and is now a partition",
						SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1),
						SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2)),
				 errdetail("What is written through the partitioned table does not earn.")));
	SPI_finish();
}

/* Bring the triggers of all partitioned sources in step. */
static void
follow_partitions(void *arg)
{
	Config	   *config = config_get();
	EngineScope scope;
	List	   *trees;
	ListCell   *cell;

	engine_enter(&scope, config->owner);
	warn_of_lone_partitions();
	trees = attached_trees(config);
	if (trees == NIL)
	{
		engine_leave(&scope);
		return;
	}
	foreach(cell, trees)
	{
		Tree	   *tree = lfirst(cell);

		char	   *call = tree->watched ? existing_call(tree->relid, tree->source_id)
			: partitions_earn_call(tree->source_id, NIL);

		if (call != NULL)
			partitions_add_triggers(tree->relid, tree->source_id, call);
	}
	drop_strays(trees);
	engine_leave(&scope);
}

/* The tables that the command dropped are no sources any more. */
static void
forget_dropped(void *arg)
{
	Config	   *config = config_get();
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute("UPDATE loyalty.source s SET attached = false, relation = 0"
				" FROM pg_catalog.pg_event_trigger_dropped_objects() d"
				" WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0"
				" AND d.objid = s.relation", false, 0);
	/* A query stays: what it reads of that table fails, and is deferred. */
	SPI_execute("UPDATE loyalty.source s SET tables = ARRAY(SELECT CASE WHEN d.objid IS NULL THEN t.relid ELSE 0 END"
				" FROM pg_catalog.unnest(s.tables) WITH ORDINALITY AS t (relid, n)"
				" LEFT JOIN pg_catalog.pg_event_trigger_dropped_objects() d"
				" ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 AND d.objid = t.relid"
				" ORDER BY t.n)"
				" WHERE EXISTS (SELECT FROM pg_catalog.pg_event_trigger_dropped_objects() d"
				" WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0"
				" AND d.objid = ANY (s.tables::pg_catalog.oid[]))", false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/* Event trigger when tables are dropped: their number may be another table's one day. */
Datum
loyalty_tables_dropped(PG_FUNCTION_ARGS)
{
	ErrorData  *error;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager",
						"loyalty.tables_dropped")));
	error = attempt(forget_dropped, NULL);
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("sources of dropped tables are still listed: %s", error->message)));
	PG_RETURN_POINTER(NULL);
}

/*
 * Whether the command makes a table a partition, or ends that.  Nothing else is
 * our business: in a restore, constraints are added to partitioned tables after
 * the sources have come, and before the dump's own CREATE TRIGGER.
 */
static bool
changes_partitions(Node *command)
{
	ListCell   *cell;

	if (IsA(command, CreateStmt))
		return ((CreateStmt *) command)->partbound != NULL;
	if (!IsA(command, AlterTableStmt))
		return false;
	foreach(cell, ((AlterTableStmt *) command)->cmds)
	{
		switch (lfirst_node(AlterTableCmd, cell)->subtype)
		{
			case AT_AttachPartition:
			case AT_DetachPartition:
			case AT_DetachPartitionFinalize:
				return true;
			default:
				break;
		}
	}
	return false;
}

/* Event trigger after CREATE TABLE and ALTER TABLE. */
Datum
loyalty_partitions_changed(PG_FUNCTION_ARGS)
{
	ErrorData  *error;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager",
						"loyalty.partitions_changed")));

	if (!changes_partitions(((EventTriggerData *) fcinfo->context)->parsetree))
		PG_RETURN_NULL();
	error = attempt(follow_partitions, NULL);
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("partitions of attached tables may earn nothing: %s", error->message),
				 errhint("Attach the partitioned table again.")));
	PG_RETURN_NULL();
}
