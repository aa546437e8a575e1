/*
 * json.c
 *		Pushing values into a jsonb that is being built.
 */
#include "postgres.h"

#include "earning/json.h"

void
json_push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = length;
	pushJsonbValue(state, token, &value);
}

void
json_push_key(JsonbParseState **state, const char *name)
{
	json_push_string(state, WJB_KEY, name, strlen(name));
}

void
json_push_numeric(JsonbParseState **state, JsonbIteratorToken token, Numeric number)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = number;
	pushJsonbValue(state, token, &value);
}

void
json_push_jsonb(JsonbParseState **state, JsonbIteratorToken token, Jsonb *jsonb)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(jsonb))
		(void) JsonbExtractScalar(&jsonb->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(jsonb);
	}
	pushJsonbValue(state, token, &value);
}
