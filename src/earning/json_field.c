/*
 * json_field.c
 *		Fields of JSON objects that somebody hands over.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "earning/json_field.h"
#include "loyalty.h"

char *
field_place(const FieldReader *reader, const char *field)
{
	return reader->line == 0 ? psprintf("\"%s\"", field) : psprintf("\"%s\" of line %d", field, reader->line);
}

bool
field_is(const JsonbValue *name, const char *field)
{
	return name->val.string.len == strlen(field) && memcmp(name->val.string.val, field, strlen(field)) == 0;
}

/* Whether a text is a decimal number that numeric reads without complaint. */
static bool
is_number(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	const char *at = digits + strspn(digits, "0123456789");
	int			ndigits = at - digits;

	if (*at == '.')
	{
		int			ndecimals = strspn(at + 1, "0123456789");

		ndigits += ndecimals;
		at += 1 + ndecimals;
	}
	return ndigits > 0 && ndigits <= 1000 && *at == '\0';
}

Numeric
field_number(const FieldReader *reader, const char *field, const JsonbValue *value)
{
	char	   *text;

	if (value->type == jbvNumeric)
		return value->val.numeric;
	text = value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
	if (text == NULL || !is_number(text))
		FIELD_ERROR(reader, "%s must be a number", field_place(reader, field));
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

text *
field_text(const FieldReader *reader, const char *field, const JsonbValue *value)
{
	if (value->type != jbvString)
		FIELD_ERROR(reader, "%s must be a string", field_place(reader, field));
	return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

/*
 * Times
 */

/* Two digits; -1: it is something else. */
static int
two_digits(const char *at)
{
	if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
		return -1;
	return (at[0] - '0') * 10 + (at[1] - '0');
}

/* Microseconds after a decimal point; -1: they are none, or too many digits. */
static int
read_fraction(const char **at)
{
	int			ndigits = strspn(*at, "0123456789");
	int			fraction = 0;
	int			i;

	if (ndigits == 0 || ndigits > 6)
		return -1;
	for (i = 0; i < 6; i++)
		fraction = fraction * 10 + (i < ndigits ? (*at)[i] - '0' : 0);
	*at += ndigits;
	return fraction;
}

/* Seconds east of Greenwich: Z, +08 or +08:00; false: it is something else. */
static bool
read_offset(const char *at, int *offset)
{
	int			hours;
	int			minutes = 0;

	if (strcmp(at, "Z") == 0)
	{
		*offset = 0;
		return true;
	}
	if (*at != '+' && *at != '-')
		return false;
	hours = two_digits(at + 1);
	if (hours < 0 || hours > 14)
		return false;
	if (at[3] == ':')
		minutes = two_digits(at + 4);
	if (minutes < 0 || minutes > 59 || at[at[3] == ':' ? 6 : 3] != '\0')
		return false;
	*offset = (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE) * (*at == '-' ? -1 : 1);
	return true;
}

/*
 * A time as nearly everybody writes it: 2026-03-31T09:00:00.5+08:00.  The fields
 * of a batch are read by the hundred thousand, and for PostgreSQL's own function
 * settings would have to be pinned each time.  False: let that one say what it is.
 */
static bool
read_usual_time(const Program *program, const char *string, TimestampTz *result)
{
	struct pg_tm tm = {0};
	const char *at = string;
	int			length = strlen(string);
	int			fraction = 0;
	int			offset;
	int			zone;

	if (length < 16 || at[4] != '-' || at[7] != '-' || (at[10] != 'T' && at[10] != ' ') || at[13] != ':' ||
		two_digits(at) < 0 || two_digits(at + 2) < 0)
		return false;
	tm.tm_year = two_digits(at) * 100 + two_digits(at + 2);
	tm.tm_mon = two_digits(at + 5);
	tm.tm_mday = two_digits(at + 8);
	tm.tm_hour = two_digits(at + 11);
	tm.tm_min = two_digits(at + 14);
	at += 16;
	if (at[0] == ':')
	{
		tm.tm_sec = two_digits(at + 1);
		if (tm.tm_sec < 0)
			return false;
		at += 3;
		if (at[0] == '.')
		{
			at++;
			fraction = read_fraction(&at);
		}
	}
	if (tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] || tm.tm_hour < 0 || tm.tm_hour >= HOURS_PER_DAY ||
		tm.tm_min < 0 || tm.tm_min >= MINS_PER_HOUR || tm.tm_sec >= SECS_PER_MINUTE || fraction < 0)
		return false;
	if (*at == '\0')
		zone = DetermineTimeZoneOffset(&tm, program->zone);
	else if (read_offset(at, &offset))
		zone = -offset;
	else
		return false;
	return tm2timestamp(&tm, fraction, &zone, result) == 0;
}

static TimestampTz
parse_time(const Program *program, const char *string)
{
	int			level = settings_pin();
	TimestampTz at;

	(void) set_config_option("TimeZone", pg_get_timezone_name(program->zone), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(string),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	settings_unpin(level);
	return at;
}

TimestampTz
field_time(const FieldReader *reader, const char *field, const JsonbValue *value)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *string = value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
	TimestampTz at = DT_NOBEGIN;

	/* Words such as "now" would mean another time tomorrow, and there is no end of time. */
	if (string == NULL || string[0] < '0' || string[0] > '9' ||
		string[strspn(string, "0123456789-+:.TZtz ")] != '\0')
		FIELD_ERROR(reader, "%s must be a time as ISO 8601 writes it", field_place(reader, field));
	if (read_usual_time(reader->program, string, &at))
		return at;
	PG_TRY();
	{
		at = parse_time(reader->program, string);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* What is wrong with the time, said of the field. */
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a time", field_place(reader, field)),
				 errdetail("Reading it failed: %s.", error->message)));
	}
	PG_END_TRY();
	return at;
}
