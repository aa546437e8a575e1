/*
 * attach.h
 *		What attaching a table and attaching a query share.
 */
#ifndef LOYALTY_ATTACH_H
#define LOYALTY_ATTACH_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/relcache.h"

#include "ledger/config.h"

/* Refuse a relation with LY007, saying why. */
extern void attach_refuse(Relation rel, const char *detail, const char *hint);

/* Only a table of the caller's whose every write fires statement triggers. */
extern void attach_check_relation(Relation rel);

/* The argument on_error: "defer" or "fail". */
extern char *attach_on_error(FunctionCallInfo fcinfo, int argno);

/* Purchases that say their currency need a program that has one; 22023. */
extern void attach_check_currency(const Program *program);

#endif							/* LOYALTY_ATTACH_H */
