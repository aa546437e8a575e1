/*
 * owner.c
 *		Whose rights the expressions of a row of configuration have.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"

#include "earning/owner.h"
#include "ledger/config.h"

bool
owner_is_restore(void)
{
	return !check_function_bodies && has_privs_of_role(GetUserId(), config_get()->owner);
}

Oid
owner_check(const char *name, const char *rows, bool may_be_missing)
{
	Oid			owner = get_role_oid(name, true);

	if (!OidIsValid(owner) && !(may_be_missing && superuser()))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", name)));
	if (OidIsValid(owner) && !has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be member of role \"%s\" to write its %s", name, rows),
				 errdetail("A %.*s's expressions run with the rights of its owner.",
						   (int) strlen(rows) - 1, rows)));
	return owner;
}
