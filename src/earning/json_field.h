/*
 * json_field.h
 *		Fields of JSON objects that somebody hands over.
 */
#ifndef LOYALTY_JSON_FIELD_H
#define LOYALTY_JSON_FIELD_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "ledger/config.h"

/* Whose fields they are. */
typedef struct FieldReader
{
	int			line;			/* of a purchase, from 1; 0: it is none */
	const Program *program;
	const char *hint;			/* what such an object is */
} FieldReader;

/* 22023 that gives the reader's hint. */
#define FIELD_ERROR(reader, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), \
			 errmsg(__VA_ARGS__), \
			 errhint("%s", (reader)->hint)))

/* For messages: the field and the line that has it. */
extern char *field_place(const FieldReader *reader, const char *field);

/* Whether a name is that of the field. */
extern bool field_is(const JsonbValue *name, const char *field);

/* What is in a field; 22023 when it is something else.  A number may be a text that is one. */
extern Numeric field_number(const FieldReader *reader, const char *field, const JsonbValue *value);
extern text *field_text(const FieldReader *reader, const char *field, const JsonbValue *value);

/* A time as ISO 8601 writes it; in the program's zone unless it names another. */
extern TimestampTz field_time(const FieldReader *reader, const char *field, const JsonbValue *value);

#endif							/* LOYALTY_JSON_FIELD_H */
