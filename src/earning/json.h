/*
 * json.h
 *		Pushing values into a jsonb that is being built.
 *
 * What they point to must live until it is built.
 */
#ifndef LOYALTY_JSON_H
#define LOYALTY_JSON_H

#include "postgres.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

extern void json_push_key(JsonbParseState **state, const char *name);
extern void json_push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string, int length);
extern void json_push_numeric(JsonbParseState **state, JsonbIteratorToken token, Numeric number);
extern void json_push_jsonb(JsonbParseState **state, JsonbIteratorToken token, Jsonb *jsonb);

#endif							/* LOYALTY_JSON_H */
