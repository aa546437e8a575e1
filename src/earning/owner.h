/*
 * owner.h
 *		Whose rights the expressions of a row of configuration have.
 */
#ifndef LOYALTY_OWNER_H
#define LOYALTY_OWNER_H

#include "postgres.h"

/*
 * Whether this is a restore by a superuser or the extension's owner, as
 * PostgreSQL's own checks of function bodies understand it: then rights, and
 * maybe functions and roles, come after the configuration.  What is wrong then
 * is said when it is used.
 */
extern bool owner_is_restore(void);

/*
 * The role whose rights the expressions of some "rows" ("rules") have, from
 * which nobody may take or lend them who does not have them.  InvalidOid: there
 * is no such role, and that may be, for a superuser: to anybody else it might
 * lend the rights of a role that comes later.
 */
extern Oid	owner_check(const char *name, const char *rows, bool may_be_missing);

#endif							/* LOYALTY_OWNER_H */
