/*
 * context_field.c
 *		Fields of an entry's context, and of the request that is kept in it.
 */
#include "postgres.h"

#include "ledger/context_field.h"

static JsonbValue *
find(const Jsonb *context, const char *name, JsonbValue *room)
{
	if (context == NULL || !JB_ROOT_IS_OBJECT(context))
		return NULL;
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &context->root), name, strlen(name), room);
}

JsonbValue *
context_field(const Jsonb *context, const char *name)
{
	return find(context, name, NULL);
}

bool
context_field_of(const Jsonb *context, const char *name, enum jbvType type, JsonbValue *value)
{
	return find(context, name, value) != NULL && value->type == type;
}

void
context_malformed(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" in the context of a purchase is malformed", name)));
}
