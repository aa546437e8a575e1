/*
 * access.c
 *		Who may do what with a program.
 *
 * The rows of loyalty.access are kept with the Config, which a change of them,
 * or of any role, marks stale.  They are not read for the extension's owner.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/forgotten.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_may_see);
PG_FUNCTION_INFO_V1(loyalty_may_read);
PG_FUNCTION_INFO_V1(loyalty_may_read_member);
PG_FUNCTION_INFO_V1(loyalty_may_read_person);
PG_FUNCTION_INFO_V1(loyalty_may_manage);

char	   *loyalty_member_ref = NULL;

/* What a row of loyalty.access gives. */
#define RIGHT_MEMBER	0x01	/* to read what is one member's, of loyalty.member_ref */
#define RIGHT_READ		0x02
#define RIGHT_OPERATE	0x04
#define RIGHT_MANAGE	0x08

typedef struct AccessRow
{
	int32		program_id;
	Oid			role;
	int			rights;
} AccessRow;

struct AccessList
{
	int			count;
	AccessRow	rows[FLEXIBLE_ARRAY_MEMBER];
};

static int
rights_from_text(const char *access)
{
	if (strcmp(access, "read") == 0)
		return RIGHT_READ;
	if (strcmp(access, "operate") == 0)
		return RIGHT_READ | RIGHT_OPERATE;
	if (strcmp(access, "manage") == 0)
		return RIGHT_READ | RIGHT_MANAGE;
	return RIGHT_MEMBER;
}

/* Roles that are gone by now have no rights. */
static void
load_access(Config *config)
{
	EngineScope scope;
	struct AccessList *list;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute("SELECT a.program_id, r.oid, a.access"
					" FROM loyalty.access a JOIN pg_catalog.pg_roles r ON r.rolname = a.role",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read access");
	PopActiveSnapshot();

	list = MemoryContextAlloc(config->context,
							  offsetof(struct AccessList, rows) + SPI_processed * sizeof(AccessRow));
	list->count = (int) SPI_processed;
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		list->rows[i].program_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		list->rows[i].role = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
		list->rows[i].rights = rights_from_text(SPI_getvalue(row, desc, 3));
	}
	config->access = list;
	SPI_finish();
	engine_leave(&scope);
}

bool
access_is_owner(Config *config)
{
	return has_privs_of_role(GetUserId(), config->owner);
}

/* What the caller, who is not the owner, may do with a program. */
static int
caller_rights(Config *config, int32 program_id)
{
	int			rights = 0;
	int			i;

	if (config->access == NULL)
		load_access(config);
	for (i = 0; i < config->access->count; i++)
	{
		const AccessRow *row = &config->access->rows[i];

		if (row->program_id == program_id && has_privs_of_role(GetUserId(), row->role))
			rights |= row->rights;
	}
	return rights;
}

static int
right_for(AccessLevel level)
{
	return level == ACCESS_READ ? RIGHT_READ
		: level == ACCESS_OPERATE ? RIGHT_OPERATE
		: RIGHT_MANAGE;
}

/* The setting loyalty.member_ref, NULL when it is not set. */
static const char *
narrowed_to(void)
{
	return loyalty_member_ref == NULL || loyalty_member_ref[0] == '\0' ? NULL : loyalty_member_ref;
}

bool
access_may(Config *config, const Program *program, AccessLevel level)
{
	return access_is_owner(config) ||
		(narrowed_to() == NULL && (caller_rights(config, program->program_id) & right_for(level)) != 0);
}

bool
access_sees_person(Config *config, const Program *program)
{
	int			sufficient = RIGHT_OPERATE | RIGHT_MANAGE | (narrowed_to() == NULL ? 0 : RIGHT_MEMBER);

	return access_is_owner(config) || (caller_rights(config, program->program_id) & sufficient) != 0;
}

Program *
access_program_named(Config *config, const char *name)
{
	Program    *program = config_program_by_name(config, name);

	return program == NULL || access_sees(config, program->program_id) ? program : NULL;
}

bool
access_sees(Config *config, int32 program_id)
{
	return access_is_owner(config) || caller_rights(config, program_id) != 0;
}

List *
access_programs(Config *config, AccessLevel level)
{
	List	   *programs = NIL;
	int			i;

	for (i = 0; i < config->nprograms; i++)
		if (access_may(config, &config->programs[i], level))
			programs = lappend_int(programs, config->programs[i].program_id);
	return programs;
}

/* Where none is named: the only one of which the caller may see anything. */
static Program *
only_program(Config *config)
{
	Program    *only = NULL;
	int			visible = 0;
	int			i;

	for (i = 0; i < config->nprograms; i++)
		if (caller_rights(config, config->programs[i].program_id) != 0)
		{
			only = &config->programs[i];
			visible++;
		}
	if (visible == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for all loyalty programs"),
				 errhint("loyalty.grant_access lets a role use a program.")));
	if (visible > 1)
		config_several_programs(visible);
	return only;
}

/* A program of which the caller, who is not the owner, may see something. */
static Program *
visible_program(Config *config, const text *name)
{
	char	   *wanted = config_wanted_program(name);
	Program    *program;

	if (wanted == NULL)
		return only_program(config);
	program = config_program_by_name(config, wanted);
	if (program == NULL || caller_rights(config, program->program_id) == 0)
		config_unknown_program(wanted);
	return program;
}

static void
denied(const Program *program, AccessLevel level)
{
	const char *access = level == ACCESS_READ ? "read"
		: level == ACCESS_OPERATE ? "operate" : "manage";

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for loyalty program \"%s\"", program->name),
			 errdetail("Role \"%s\" needs access '%s'.", GetUserNameFromId(GetUserId(), false), access),
			 errhint("loyalty.grant_access gives it.")));
}

void
access_require(Config *config, const Program *program, AccessLevel level)
{
	if (access_is_owner(config))
		return;
	if ((caller_rights(config, program->program_id) & right_for(level)) == 0)
		denied(program, level);
	if (narrowed_to() != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for what is not one member's"),
				 errdetail("The setting loyalty.member_ref narrows the session to member \"%s\".", narrowed_to()),
				 errhint("RESET loyalty.member_ref.")));
}

Program *
access_program(Config *config, const text *name, AccessLevel level)
{
	Program    *program;

	if (access_is_owner(config))
		return config_program(config, name);
	program = visible_program(config, name);
	access_require(config, program, level);
	return program;
}

Program *
access_program_if_named(Config *config, const text *name, AccessLevel level)
{
	return access_is_owner(config) ? config_program_if_named(config, name)
		: access_program(config, name, level);
}

/* Whether a ref leads to the member of the setting. */
static bool
is_own_ref(Config *config, const Program *program, const text *ref)
{
	text	   *own = cstring_to_text(narrowed_to());

	return same_text(own, ref) ||
		(program->has_aliases &&
		 member_resolve(config, program, own) == member_resolve(config, program, ref));
}

Program *
access_program_for(Config *config, const text *name, AccessLevel level, const text *ref)
{
	Program    *program;
	int			rights;

	if (access_is_owner(config))
		return config_program(config, name);
	program = visible_program(config, name);
	rights = caller_rights(config, program->program_id);
	if ((rights & right_for(level)) == 0 &&
		(level != ACCESS_READ || (rights & RIGHT_MEMBER) == 0))
		denied(program, level);
	if (narrowed_to() == NULL)
	{
		if ((rights & right_for(level)) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for the members of loyalty program \"%s\"", program->name),
					 errdetail("Access 'member' is to the member that the setting loyalty.member_ref names, and it names none."),
					 errhint("SET LOCAL loyalty.member_ref = '...'.")));
	}
	else if (!is_own_ref(config, program, ref))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for member \"%s\"", text_to_cstring(ref)),
				 errdetail("The setting loyalty.member_ref narrows the session to member \"%s\".", narrowed_to())));
	return program;
}

void
access_require_owner(Config *config, const char *what)
{
	if (!access_is_owner(config))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", what),
				 errdetail("Only roles with the rights of \"%s\" may, who owns the extension.",
						   GetUserNameFromId(config->owner, false))));
}

/*
 * The same as SQL, for row-level security and views
 */

/* An argument that names a program, by name or by number; NULL: none such. */
static const Program *
program_argument(FunctionCallInfo fcinfo, Config *config)
{
	if (PG_ARGISNULL(0))
		return NULL;
	if (get_fn_expr_argtype(fcinfo->flinfo, 0) == INT4OID)
		return config_program_by_id(config, PG_GETARG_INT32(0));
	return config_program_by_name(config, text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/* may_see(program): any access, as the terms of a program need */
Datum
loyalty_may_see(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	const Program *program;

	if (access_is_owner(config))
		PG_RETURN_BOOL(true);
	program = program_argument(fcinfo, config);
	PG_RETURN_BOOL(program != NULL && access_sees(config, program->program_id));
}

/* may_read(program): all of it */
Datum
loyalty_may_read(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	const Program *program;

	if (access_is_owner(config))
		PG_RETURN_BOOL(true);
	program = program_argument(fcinfo, config);
	PG_RETURN_BOOL(program != NULL && access_may(config, program, ACCESS_READ));
}

/* may_manage(program): change its configuration */
Datum
loyalty_may_manage(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	const Program *program;

	if (access_is_owner(config))
		PG_RETURN_BOOL(true);
	program = program_argument(fcinfo, config);
	PG_RETURN_BOOL(program != NULL && access_may(config, program, ACCESS_MANAGE));
}

/* Whether the caller may read what is of one member, by rights that let him read it of all of them. */
static bool
may_read_of(FunctionCallInfo fcinfo, int sufficient)
{
	Config	   *config = config_get();
	const Program *program;
	int			rights;

	if (access_is_owner(config))
		return true;
	program = program_argument(fcinfo, config);
	if (program == NULL)
		return false;
	rights = caller_rights(config, program->program_id);
	if (narrowed_to() == NULL)
		return (rights & sufficient) != 0;
	/* With access 'member'; else a reader of all could name one after the other, and read what is not his. */
	return (rights & (sufficient | RIGHT_MEMBER)) != 0 && !PG_ARGISNULL(1) &&
		member_resolve(config, program, cstring_to_text(narrowed_to())) == PG_GETARG_INT64(1) &&
	/* Whoever was forgotten is nobody's any more. */
		!(program->has_forgotten && forgotten_has(config, NULL, PG_GETARG_INT64(1)));
}

/* may_read(program, member): what is one member's */
Datum
loyalty_may_read_member(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_read_of(fcinfo, RIGHT_READ));
}

/* may_read_person(program, member): what is known of one as a person */
Datum
loyalty_may_read_person(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_read_of(fcinfo, RIGHT_OPERATE | RIGHT_MANAGE));
}
