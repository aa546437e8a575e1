/*
 * context_field.h
 *		Fields of an entry's context, and of the request that is kept in it.
 */
#ifndef LOYALTY_CONTEXT_FIELD_H
#define LOYALTY_CONTEXT_FIELD_H

#include "postgres.h"
#include "utils/jsonb.h"

/* A field of the context, which may be NULL; NULL when it is not there. */
extern JsonbValue *context_field(const Jsonb *context, const char *name);

/* The same into "value", which allocates nothing; false when there is none of that type. */
extern bool context_field_of(const Jsonb *context, const char *name, enum jbvType type, JsonbValue *value);

/* 22023 for a field that is not what it should be. */
extern void context_malformed(const char *name);

#endif							/* LOYALTY_CONTEXT_FIELD_H */
