/*
 * loyalty.c
 *		The door: module magic, settings, and what is set up on loading.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_expr.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "earning/confirm.h"
#include "earning/trigger.h"
#include "ledger/access.h"
#include "ledger/config.h"
#include "loyalty.h"
#include "redemption/choice.h"
#include "redemption/held.h"
#include "redemption/voucher_secret.h"

PG_MODULE_MAGIC;

char	   *loyalty_default_program = NULL;

void		_PG_init(void);

/*
 * One for each engine_enter and owner_enter that has not been left: what holds
 * in the session while the engine itself runs a statement there.  A function or
 * trigger of somebody else that is reached from it runs as another user, in
 * another security context or under another trigger.
 */
typedef struct EngineLevel
{
	bool		engine;			/* false: somebody else's code is meant to run */
	int			transaction;	/* nest level of the transaction that entered */
	int			trigger_depth;
	Oid			caller;			/* who it was before */
	Oid			user_id;
	int			sec_context;
} EngineLevel;

static EngineLevel *levels = NULL;
static int	nlevels = 0;
static int	max_levels = 0;

static void end_transaction(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg);

/* Nothing here may fail or read a catalog: pg_upgrade merely loads the library. */
void
_PG_init(void)
{
	DefineCustomStringVariable("loyalty.program",
							   "Program that functions mean where none is named.",
							   NULL,
							   &loyalty_default_program,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("loyalty.member_ref",
							   "The one member whom the session is about.",
							   NULL,
							   &loyalty_member_ref,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);
	voucher_secret_init();
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("loyalty");
#else
	EmitWarningsOnPlaceholders("loyalty");
#endif

	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
	config_init();
	trigger_init();
	confirm_init();
	choice_init();
	held_init();
}

/* An abort left what was entered since the (sub)transaction began. */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		nlevels = 0;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (nlevels > 0 && levels[nlevels - 1].transaction >= GetCurrentTransactionNestLevel())
			nlevels--;
}

static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/* Take on rights and a safe search_path. */
static void
enter(EngineScope *scope, Oid user_id, int sec_context, bool engine)
{
	EngineLevel *level;

	if (nlevels == max_levels)
	{
		int			size = Max(16, 2 * max_levels);

		levels = levels == NULL
			? MemoryContextAlloc(TopMemoryContext, size * sizeof(EngineLevel))
			: repalloc(levels, size * sizeof(EngineLevel));
		max_levels = size;
	}
	GetUserIdAndSecContext(&scope->user_id, &scope->sec_context);
	scope->level = nlevels;
	level = &levels[nlevels++];
	level->engine = engine;
	level->transaction = GetCurrentTransactionNestLevel();
	level->trigger_depth = trigger_depth();
	level->caller = scope->user_id;
	level->user_id = user_id;
	level->sec_context = scope->sec_context | sec_context;

	SetUserIdAndSecContext(user_id, level->sec_context);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
engine_enter(EngineScope *scope, Oid user_id)
{
	enter(scope, user_id, SECURITY_LOCAL_USERID_CHANGE, true);
}

void
owner_enter(EngineScope *scope, Oid user_id)
{
	enter(scope, user_id, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION, false);
}

bool
engine_is_writing(void)
{
	const EngineLevel *level;
	Oid			user_id;
	int			sec_context;

	if (nlevels == 0)
		return false;
	level = &levels[nlevels - 1];
	GetUserIdAndSecContext(&user_id, &sec_context);
	return level->engine && level->user_id == user_id && level->sec_context == sec_context &&
		level->trigger_depth + 1 == trigger_depth();
}

Oid
engine_caller(void)
{
	int			level = nlevels - 1;

	if (!engine_is_writing())
		return GetUserId();
	while (level > 0 && levels[level - 1].engine)
		level--;
	return levels[level].caller;
}

static void
pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

int
settings_pin(void)
{
	static const char *const pins[][2] = {
		{"TimeZone", "UTC"}, {"DateStyle", "ISO, MDY"}, {"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"search_path", "pg_catalog, pg_temp"}
	};
	int			level = NewGUCNestLevel();
	int			i;

	for (i = 0; i < lengthof(pins); i++)
		pin(pins[i][0], pins[i][1]);
	/* Hardly ever otherwise. */
	if (!standard_conforming_strings)
		pin("standard_conforming_strings", "on");
	if (Transform_null_equals)
		pin("transform_null_equals", "off");
	if (!Array_nulls)
		pin("array_nulls", "on");
	return level;
}

void
settings_unpin(int level)
{
	AtEOXact_GUC(false, level);
}

void
give_way(void)
{
	(void) set_config_option("deadlock_timeout", "50ms", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Give back what engine_enter took. */
void
engine_leave(EngineScope *scope)
{
	nlevels = scope->level;
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user_id, scope->sec_context);
}

bool
same_text(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

text *
text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_TEXT_PP(argno);
}

TupleDesc
list_row_type(const ListColumn *columns, int ncolumns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(ncolumns);
	int			i;

	for (i = 0; i < ncolumns; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type, -1, 0);
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
	return desc;
}

/* 0A000 where the caller takes no set. */
Tuplestorestate *
result_begin(FunctionCallInfo fcinfo, TupleDesc *desc)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;
	TupleDesc	row_type;

	if (info == NULL || !IsA(info, ReturnSetInfo) ||
		(info->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));

	caller = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	info->returnMode = SFRM_Materialize;
	info->setDesc = BlessTupleDesc(row_type);
	info->setResult = tuplestore_begin_heap((info->allowedModes & SFRM_Materialize_Random) != 0,
											false, work_mem);
	MemoryContextSwitchTo(caller);
	*desc = info->setDesc;
	return info->setResult;
}
