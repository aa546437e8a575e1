/*
 * canonical.h
 *		Text and JSON as bytes that are the same in every database.
 */
#ifndef LOYALTY_CANONICAL_H
#define LOYALTY_CANONICAL_H

#include "postgres.h"
#include "utils/jsonb.h"

/* A text in UTF-8; *length is that of the text and becomes that of the result. */
extern const char *canonical_text(const char *value, int *length);

/* The same of JSON: as jsonb_out writes it in a UTF-8 database. */
extern const char *canonical_json(Jsonb *json, int *length);

#endif							/* LOYALTY_CANONICAL_H */
