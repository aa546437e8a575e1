/*
 * access.h
 *		Who may do what with a program.
 *
 * PostgreSQL's own rights say who may call a function and read a table at all;
 * loyalty.access says with which programs.  Every function that people call asks
 * here, with the rights of its caller: none is SECURITY DEFINER.  Orders that
 * earn ask nobody.
 *
 * The setting loyalty.member_ref narrows whatever the caller may do to one
 * member.  Only the owner of the extension, and so a superuser, is not narrowed.
 */
#ifndef LOYALTY_ACCESS_H
#define LOYALTY_ACCESS_H

#include "nodes/pg_list.h"

#include "ledger/config.h"

/* GUC loyalty.member_ref: the one member that the session is about; may be NULL or empty. */
extern char *loyalty_member_ref;

typedef enum AccessLevel
{
	ACCESS_READ,				/* members, balances, figures */
	ACCESS_OPERATE,				/* acts */
	ACCESS_MANAGE				/* configuration */
} AccessLevel;

/*
 * A program as config_program finds it, for somebody who may do this with all of
 * it: 42501 when he may not.  One of which he may see nothing does not exist for
 * him (LY004), and does not count where none is named.
 */
extern Program *access_program(Config *config, const text *name, AccessLevel level);

/* The same for what is about the member with this ref: whoever is narrowed to him will do. */
extern Program *access_program_for(Config *config, const text *name, AccessLevel level, const text *ref);

/* NULL where none is named, for the owner; of anybody else it must be clear. */
extern Program *access_program_if_named(Config *config, const text *name, AccessLevel level);

/* The programs with which the caller may do this: numbers. */
extern List *access_programs(Config *config, AccessLevel level);

/* 42501 unless the caller may do this with all of a program. */
extern void access_require(Config *config, const Program *program, AccessLevel level);

/* Whether he may, without an error. */
extern bool access_may(Config *config, const Program *program, AccessLevel level);

/* Whether he may see its terms: has any access to it. */
extern bool access_sees(Config *config, int32 program_id);

/*
 * Whether he may see as a person, and not only as figures, a member about whom
 * access_program_for let him read: who operates or manages the program, and who
 * has access 'member' and is narrowed to that one.
 */
extern bool access_sees_person(Config *config, const Program *program);

/* The program of that name; NULL where it is none for him, as he sees nothing of it. */
extern Program *access_program_named(Config *config, const char *name);

/* The caller has the rights of the extension's owner: is it. */
extern bool access_is_owner(Config *config);

/* 42501 unless he has; "what" is what he is trying to do: "grant access". */
extern void access_require_owner(Config *config, const char *what);

#endif							/* LOYALTY_ACCESS_H */
