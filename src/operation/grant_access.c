/*
 * grant_access.c
 *		Letting roles use a program, and taking that away.
 *
 * loyalty.access says with which programs a role may do what; PostgreSQL's own
 * rights, which it needs beside that, are granted and revoked along with it, as
 * loyalty.access_objects() lists them.
 *
 * The policies that keep the rows of programs apart are no role's: the install
 * script makes them, by make_policies().  pg_dump takes no policy on a table of
 * an extension along, so what grant_access made would be gone after a restore,
 * and row-level security, which the script enables, would show nobody anything.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "ledger/access.h"
#include "loyalty.h"
#include "operation/access_objects.h"

PG_FUNCTION_INFO_V1(loyalty_make_policies);
PG_FUNCTION_INFO_V1(loyalty_grant_access);
PG_FUNCTION_INFO_V1(loyalty_revoke_access);

/* What was asked for. */
typedef struct AccessRequest
{
	Config	   *config;
	Program    *program;
	char	   *role;
	char	   *access;
} AccessRequest;

static void
read_request(FunctionCallInfo fcinfo, const char *what, AccessRequest *request)
{
	request->config = config_get();
	access_require_owner(request->config, what);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("role and access must not be null")));
	/* An unknown number is no role; regrole takes any. */
	request->role = GetUserNameFromId(PG_GETARG_OID(0), false);
	request->access = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(request->access, "member") != 0 && strcmp(request->access, "read") != 0 &&
		strcmp(request->access, "operate") != 0 && strcmp(request->access, "manage") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("access \"%s\" does not exist", request->access),
				 errhint("There are 'read', 'operate', 'manage', and 'member'.")));
	request->program = config_program(request->config, text_argument(fcinfo, 2));
}

/* Run a statement about the request: $1 program_id, $2 role, $3 access. */
static uint64
run(const AccessRequest *request, const char *statement)
{
	Oid			types[3] = {INT4OID, TEXTOID, TEXTOID};
	Datum		values[3] = {Int32GetDatum(request->program->program_id), CStringGetTextDatum(request->role),
	CStringGetTextDatum(request->access)};

	if (SPI_execute_with_args(statement, 3, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", statement);
	return SPI_processed;
}

/* Run the statements that the last query answered. */
static void
run_answered(void)
{
	SPITupleTable *answers = SPI_tuptable;
	uint64		count = SPI_processed;
	uint64		i;

	for (i = 0; i < count; i++)
	{
		char	   *statement = SPI_getvalue(answers->vals[i], answers->tupdesc, 1);

		CHECK_FOR_INTERRUPTS();
		if (SPI_execute(statement, false, 0) < 0)
			elog(ERROR, "could not run \"%s\"", statement);
	}
}

static void
run_answers(const AccessRequest *request, const char *query)
{
	(void) run(request, query);
	run_answered();
}

/* The rights that the access needs. */
#define GRANTS \
	ACCESS_OBJECTS \
	" SELECT format('GRANT %s ON %s %s TO %I', o.privileges, o.kind, string_agg(o.name, ', '), $2)" \
	" FROM level l JOIN object o ON o.access = l.below WHERE l.access = $3" \
	" GROUP BY o.privileges, o.kind"

/* Those that it needs and no access that the role still has to any program. */
#define REVOKES \
	ACCESS_OBJECTS \
	" SELECT format('REVOKE %s ON %s %s FROM %I', o.privileges, o.kind, string_agg(o.name, ', '), $2)" \
	" FROM level l JOIN object o ON o.access = l.below WHERE l.access = $3" \
	"  AND NOT EXISTS (SELECT FROM loyalty.access a JOIN level k ON k.access = a.access" \
	"                  WHERE a.role = $2 AND k.below = l.below)" \
	" GROUP BY o.privileges, o.kind"

/*
 * Those that the accesses need which the role still has: with a right to a whole
 * table the one to columns of it goes, and some belong to several accesses.
 */
#define REMAINING \
	ACCESS_OBJECTS \
	" SELECT format('GRANT %s ON %s %s TO %I', o.privileges, o.kind, string_agg(DISTINCT o.name, ', '), $2)" \
	" FROM level l JOIN object o ON o.access = l.below" \
	" WHERE l.access IN (SELECT a.access FROM loyalty.access a WHERE a.role = $2)" \
	" GROUP BY o.privileges, o.kind"

/* Those that are missing. */
#define POLICIES \
	ACCESS_POLICIES \
	" SELECT format('CREATE POLICY %I ON %s%s USING (%s)%s', p.policy, p.name," \
	"               CASE p.command WHEN 'r' THEN ' FOR SELECT' ELSE '' END, p.condition," \
	"               CASE p.command WHEN 'r' THEN '' ELSE format(' WITH CHECK (%s)', p.condition) END)" \
	" FROM policy p" \
	" WHERE NOT EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = p.oid AND y.polname = p.policy)"

/* make_policies(): those that are missing */
Datum
loyalty_make_policies(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	EngineScope scope;

	access_require_owner(config, "make policies");
	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute(POLICIES, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read policies");
	run_answered();
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_VOID();
}

/* grant_access(role, access, program) */
Datum
loyalty_grant_access(PG_FUNCTION_ARGS)
{
	AccessRequest request;
	EngineScope scope;
	text	   *granted_by = cstring_to_text(GetUserNameFromId(GetUserId(), false));
	Oid			types[4] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];

	read_request(fcinfo, "grant access", &request);
	values[0] = Int32GetDatum(request.program->program_id);
	values[1] = CStringGetTextDatum(request.role);
	values[2] = CStringGetTextDatum(request.access);
	values[3] = PointerGetDatum(granted_by);

	engine_enter(&scope, request.config->owner);
	SPI_connect();
	if (SPI_execute("LOCK TABLE loyalty.access IN SHARE ROW EXCLUSIVE MODE", false, 0) < 0 ||
		SPI_execute_with_args("INSERT INTO loyalty.access (program_id, role, access, granted_by)"
							  " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
							  4, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write access");
	run_answers(&request, "SELECT format('GRANT USAGE ON SCHEMA loyalty TO %I', $2)");
	run_answers(&request, GRANTS);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_VOID();
}

/* revoke_access(role, access, program) → whether the role had it */
Datum
loyalty_revoke_access(PG_FUNCTION_ARGS)
{
	AccessRequest request;
	EngineScope scope;
	bool		had;

	read_request(fcinfo, "revoke access", &request);
	engine_enter(&scope, request.config->owner);
	SPI_connect();
	if (SPI_execute("LOCK TABLE loyalty.access IN SHARE ROW EXCLUSIVE MODE", false, 0) < 0)
		elog(ERROR, "could not lock access");
	had = run(&request, "DELETE FROM loyalty.access WHERE program_id = $1 AND role = $2 AND access = $3") > 0;
	if (had)
	{
		run_answers(&request, REVOKES);
		run_answers(&request, REMAINING);
		run_answers(&request, "SELECT format('REVOKE USAGE ON SCHEMA loyalty FROM %I', $2)"
					" WHERE NOT EXISTS (SELECT FROM loyalty.access a WHERE a.role = $2)");
	}
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_BOOL(had);
}
