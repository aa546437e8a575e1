/*
 * purse_io.c
 *		The type purse in SQL: text and binary form, operators, readings, the
 *		aggregate sum, and the lots as rows.
 *
 * Text is {points@last, points@first/last, ...} with days as YYYY-MM-DD,
 * whatever DateStyle says, and "infinity" for a last day that never comes.
 * Binary is the packed form itself (see purse.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "types/points.h"
#include "types/purse.h"
#include "types/scan.h"

PG_FUNCTION_INFO_V1(loyalty_purse_in);
PG_FUNCTION_INFO_V1(loyalty_purse_out);
PG_FUNCTION_INFO_V1(loyalty_purse_recv);
PG_FUNCTION_INFO_V1(loyalty_purse_send);
PG_FUNCTION_INFO_V1(loyalty_purse_make);
PG_FUNCTION_INFO_V1(loyalty_purse_add);
PG_FUNCTION_INFO_V1(loyalty_purse_sub);
PG_FUNCTION_INFO_V1(loyalty_purse_neg);
PG_FUNCTION_INFO_V1(loyalty_purse_eq);
PG_FUNCTION_INFO_V1(loyalty_purse_ne);
PG_FUNCTION_INFO_V1(loyalty_purse_hash);
PG_FUNCTION_INFO_V1(loyalty_purse_hash_extended);
PG_FUNCTION_INFO_V1(loyalty_purse_total);
PG_FUNCTION_INFO_V1(loyalty_purse_available);
PG_FUNCTION_INFO_V1(loyalty_purse_pending);
PG_FUNCTION_INFO_V1(loyalty_purse_expired);
PG_FUNCTION_INFO_V1(loyalty_purse_outstanding);
PG_FUNCTION_INFO_V1(loyalty_purse_spend);
PG_FUNCTION_INFO_V1(loyalty_purse_lots);
PG_FUNCTION_INFO_V1(loyalty_purse_accum);
PG_FUNCTION_INFO_V1(loyalty_purse_combine);
PG_FUNCTION_INFO_V1(loyalty_purse_serialize);
PG_FUNCTION_INFO_V1(loyalty_purse_deserialize);
PG_FUNCTION_INFO_V1(loyalty_purse_sum);

/* How much of an input an error message shows. */
#define SHOWN_BYTES 60

/* What is wrong with a text, for the caller to raise or to hand back. */
typedef struct Fault
{
	int			sqlstate;
	char	   *detail;
} Fault;

/* Aggregation: points by life span.  128 bits: only the result is judged. */
typedef struct SpanSum
{
	uint64		span;			/* last day, first day */
	int128		points;
	char		status;			/* of the hash table */
} SpanSum;

/* Spreads days that run on evenly over the table. */
static inline uint32
hash_span(uint64 span)
{
	span = (span ^ (span >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	span = (span ^ (span >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	return (uint32) (span >> 32);
}

#define SH_PREFIX spans
#define SH_ELEMENT_TYPE SpanSum
#define SH_KEY_TYPE uint64
#define SH_KEY span
#define SH_HASH_KEY(table, key) hash_span(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What an aggregate keeps: the table, and a purse to unpack each value in. */
typedef struct PurseSum
{
	spans_hash *spans;
	Purse		purse;
} PurseSum;

/* An argument, unpacked in the context of this call. */
static void
read_argument(FunctionCallInfo fcinfo, int n, Purse *purse)
{
	purse_init(purse);
	purse_read(purse, PG_GETARG_DATUM(n));
}

/* Canonical order. */
static int
compare_lots(const void *a, const void *b)
{
	const Lot  *x = a;
	const Lot  *y = b;

	if (x->ends != y->ends)
		return x->ends < y->ends ? -1 : 1;
	if (x->starts != y->starts)
		return x->starts < y->starts ? -1 : 1;
	return 0;
}

/* ----------
 * Text
 * ----------
 */

/*
 * The start of a text that may be long, cut between characters.
 */
static char *
shown(const char *text, int length)
{
	if (length <= SHOWN_BYTES)
		return pnstrdup(text, length);
	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES), text);
}

/* 22P02: the text goes on with something else than what was expected. */
static bool
unexpected(Fault *fault, const char *expected, const char *at)
{
	fault->sqlstate = ERRCODE_INVALID_TEXT_REPRESENTATION;
	if (*at == '\0')
		fault->detail = psprintf("Expected %s, but the text ends.", expected);
	else
		fault->detail = psprintf("Expected %s at \"%s\".", expected,
								 shown(at, strlen(at)));
	return false;
}

/* 22P02: what stands between "from" and "to" is read well, but is none. */
static bool
refused(Fault *fault, const char *what, const char *from, const char *to)
{
	fault->sqlstate = ERRCODE_INVALID_TEXT_REPRESENTATION;
	fault->detail = psprintf("\"%s\" %s.", shown(from, to - from), what);
	return false;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * A run of digits; saturates, so that any number of them is safe.
 */
static int
read_digits(const char **at, int *value)
{
	const char *from = *at;

	*value = 0;
	for (; is_digit(**at); (*at)++)
		if (*value < 10000000)
			*value = *value * 10 + (**at - '0');
	return *at - from;
}

/*
 * Points as the type points reads them: a sign, digits with or without a
 * decimal point.
 */
static bool
parse_points(Scanner *scanner, Points *points, Fault *fault)
{
	const char *from;
	const char *at;
	int64		units = 0;
	int			decimals = 0;
	bool		negative;
	bool		has_digits = false;
	bool		after_point = false;
	bool		excess = false;
	bool		overflow = false;

	(void) scan_end(scanner);	/* for the blanks */
	from = at = scanner->at;
	negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;

	for (;; at++)
	{
		if (*at == '.' && !after_point)
		{
			after_point = true;
			continue;
		}
		if (!is_digit(*at))
			break;
		has_digits = true;
		if (after_point && decimals == POINTS_DECIMALS)
		{
			excess |= *at != '0';
			continue;
		}
		decimals += after_point;
		overflow = overflow ||
			pg_mul_s64_overflow(units, 10, &units) ||
			pg_add_s64_overflow(units, *at - '0', &units);
	}
	if (!has_digits)
		return unexpected(fault, "points", from);

	for (; decimals < POINTS_DECIMALS; decimals++)
		overflow = overflow || pg_mul_s64_overflow(units, 10, &units);
	if (excess || overflow)
	{
		fault->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		fault->detail = psprintf(excess ? "\"%s\" has more than four decimals." :
								 "\"%s\" is out of range for points.",
								 shown(from, at - from));
		return false;
	}

	scanner->at = at;
	*points = negative ? -units : units;
	return true;
}

/*
 * A day: infinity, -infinity, or YYYY-MM-DD with as many digits as the year
 * has beyond four, and BC behind it for the years that PostgreSQL writes so.
 */
static bool
parse_day(Scanner *scanner, DateADT *day, Fault *fault)
{
	const char *from;
	const char *at;
	int			year;
	int			month;
	int			mday;
	int			digits;
	bool		zero_led;

	if (scan_word(scanner, "infinity"))
	{
		*day = DATEVAL_NOEND;
		return true;
	}

	from = at = scanner->at;	/* past the blanks */
	if (scan_char(scanner, '-'))
	{
		if (*scanner->at != ' ' && scan_word(scanner, "infinity"))
		{
			*day = DATEVAL_NOBEGIN;
			return true;
		}
		return unexpected(fault, "a day as YYYY-MM-DD or \"infinity\"", from);
	}

	zero_led = *at == '0';
	digits = read_digits(&at, &year);
	if (digits < 4 || (digits > 4 && zero_led) || *at++ != '-' ||
		read_digits(&at, &month) != 2 || *at++ != '-' ||
		read_digits(&at, &mday) != 2)
		return unexpected(fault, "a day as YYYY-MM-DD or \"infinity\"", from);

	scanner->at = at;
	if (year == 0)
		return refused(fault, "is not a date", from, at);
	if (scan_word(scanner, "BC"))
	{
		at = scanner->at;
		year = 1 - year;
	}

	if (month < 1 || month > 12 || mday < 1 || mday > day_tab[isleap(year)][month - 1])
		return refused(fault, "is not a date", from, at);
	if (!IS_VALID_JULIAN(year, month, mday))
		return refused(fault, "is out of range for a date", from, at);
	*day = date2j(year, month, mday) - POSTGRES_EPOCH_JDATE;
	if (!IS_VALID_DATE(*day))
		return refused(fault, "is out of range for a date", from, at);
	return true;
}

/*
 * One lot: points@last or points@first/last.
 */
static bool
parse_lot(Scanner *scanner, Lot *lot, Fault *fault)
{
	const char *from;

	if (!parse_points(scanner, &lot->points, fault))
		return false;
	if (!scan_char(scanner, '@'))
		return unexpected(fault, "\"@\"", scanner->at);

	(void) scan_end(scanner);
	from = scanner->at;
	lot->starts = DATEVAL_NOBEGIN;
	if (!parse_day(scanner, &lot->ends, fault))
		return false;
	if (scan_char(scanner, '/'))
	{
		lot->starts = lot->ends;
		if (!parse_day(scanner, &lot->ends, fault))
			return false;
	}

	if (lot->ends == DATEVAL_NOBEGIN)
		return refused(fault, "is not a last day", from, scanner->at);
	if (lot->starts == DATEVAL_NOEND)
		return refused(fault, "never opens", from, scanner->at);
	if (lot->starts > lot->ends)
		return refused(fault, "ends before it starts", from, scanner->at);
	return true;
}

/*
 * The lots of a text, as they stand there.
 */
static bool
parse_lots(const char *text, Lot **lots, int *nlots, Fault *fault)
{
	Scanner		scanner = {text};
	int			capacity = 8;

	*nlots = 0;
	*lots = palloc(capacity * sizeof(Lot));

	if (!scan_char(&scanner, '{'))
		return unexpected(fault, "\"{\"", scanner.at);
	if (!scan_char(&scanner, '}'))
	{
		do
		{
			CHECK_FOR_INTERRUPTS();
			if (*nlots == capacity)
			{
				capacity *= 2;
				*lots = repalloc_huge(*lots, capacity * sizeof(Lot));
			}
			if (!parse_lot(&scanner, &(*lots)[*nlots], fault))
				return false;
			(*nlots)++;
		} while (scan_char(&scanner, ','));

		if (!scan_char(&scanner, '}'))
			return unexpected(fault, "\",\" or \"}\"", scanner.at);
	}
	if (!scan_end(&scanner))
		return unexpected(fault, "the end", scanner.at);
	return true;
}

/*
 * Sorts the lots, makes one of those with the same life span and leaves out
 * the empty ones.
 */
static bool
settle_lots(Lot *lots, int nlots, Purse *purse, Fault *fault)
{
	qsort(lots, nlots, sizeof(Lot), compare_lots);

	for (int from = 0, to; from < nlots; from = to)
	{
		int128		sum = 0;

		for (to = from; to < nlots && compare_lots(&lots[from], &lots[to]) == 0; to++)
			sum += lots[to].points;
		if (sum > POINTS_MAX || sum < POINTS_MIN)
		{
			fault->sqlstate = ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
			fault->detail = pstrdup("The points of one life span are out of range.");
			return false;
		}
		purse_add_lot(purse, lots[from].starts, lots[from].ends, (Points) sum);
	}
	return true;
}

/*
 * Text input; lots may come in any order, and a life span more than once.
 * 22P02 for what is no purse, 22003 for points out of range or too fine.
 */
Datum
loyalty_purse_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	Purse		purse;
	Fault		fault;
	Lot		   *lots;
	int			nlots;

	purse_init(&purse);
	if (!parse_lots(text, &lots, &nlots, &fault) ||
		!settle_lots(lots, nlots, &purse, &fault))
	{
		if (fault.sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
			ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("value \"%s\" is out of range for type %s",
							shown(text, strlen(text)), "purse"),
					 errdetail_internal("%s", fault.detail)));
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"purse", shown(text, strlen(text))),
				 errdetail_internal("%s", fault.detail)));
	}
	return purse_pack(&purse);
}

static void
append_day(StringInfo text, DateADT day)
{
	char		buffer[MAXDATELEN + 1];
	struct pg_tm tm;

	if (day == DATEVAL_NOEND)
	{
		appendStringInfoString(text, "infinity");
		return;
	}

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	EncodeDateOnly(&tm, USE_ISO_DATES, buffer);
	appendStringInfoString(text, buffer);
}

/* Text output: canonical order. */
Datum
loyalty_purse_out(PG_FUNCTION_ARGS)
{
	StringInfoData text;
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < purse.nlots; i++)
	{
		const Lot  *lot = &purse.lots[i];
		char	   *points = points_to_cstring(lot->points);

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			appendStringInfoString(&text, ", ");
		appendStringInfoString(&text, points);
		appendStringInfoChar(&text, '@');
		if (lot->starts != DATEVAL_NOBEGIN)
		{
			append_day(&text, lot->starts);
			appendStringInfoChar(&text, '/');
		}
		append_day(&text, lot->ends);
		pfree(points);
	}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/* ----------
 * Binary
 * ----------
 */

/*
 * Binary input: the packed form, and no other spelling of it: what packs
 * differently than it came would not be equal to itself.  22P03.
 */
Datum
loyalty_purse_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	const char *fault;
	Datum		packed = (Datum) 0;
	Purse		purse;

	purse_init(&purse);
	fault = purse_unpack(&purse, bytes, size);
	if (fault == NULL)
	{
		packed = purse_pack(&purse);
		if (VARSIZE_ANY_EXHDR(DatumGetPointer(packed)) != size ||
			memcmp(VARDATA_ANY(DatumGetPointer(packed)), bytes, size) != 0)
			fault = "It is not the shortest form of its value.";
	}
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "purse"),
				 errdetail_internal("%s", fault)));
	return packed;
}

/* Binary output: the packed form. */
Datum
loyalty_purse_send(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ----------
 * Algebra
 * ----------
 */

/*
 * A purse of one lot, or of none when the points are zero.  NULL when the
 * points or the last day are; no first day means spendable at once.  22023 for
 * days that are no life span.
 */
Datum
loyalty_purse_make(PG_FUNCTION_ARGS)
{
	Purse		purse;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();

	purse_init(&purse);
	purse_add_lot(&purse,
				  PG_ARGISNULL(1) ? DATEVAL_NOBEGIN : PG_GETARG_DATEADT(1),
				  PG_GETARG_DATEADT(2), PG_GETARG_POINTS(0));
	return purse_pack(&purse);
}

/* 22003 when the points of a life span leave their range. */
Datum
loyalty_purse_add(PG_FUNCTION_ARGS)
{
	Purse		a;
	Purse		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	purse_add(&a, &b);
	return purse_pack(&a);
}

/* 22003 when the points of a life span leave their range. */
Datum
loyalty_purse_sub(PG_FUNCTION_ARGS)
{
	Purse		a;
	Purse		b;

	read_argument(fcinfo, 0, &a);
	read_argument(fcinfo, 1, &b);
	purse_sub(&a, &b);
	return purse_pack(&a);
}

/* Cannot fail: every value of points can be negated. */
Datum
loyalty_purse_neg(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	for (int i = 0; i < purse.nlots; i++)
		purse.lots[i].points = -purse.lots[i].points;
	return purse_pack(&purse);
}

/*
 * Equal purses are equal bytes, so nothing is unpacked.  Leaks nothing, since
 * index and sort code calls it in long-lived contexts.
 */
static bool
equal_arguments(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	bool		equal;

	equal = VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return equal;
}

/* Equality. */
Datum
loyalty_purse_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(equal_arguments(fcinfo));
}

/* Inequality. */
Datum
loyalty_purse_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!equal_arguments(fcinfo));
}

/* Agrees with equality, which compares the same bytes. */
Datum
loyalty_purse_hash(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(packed),
								VARSIZE_ANY_EXHDR(packed));

	PG_FREE_IF_COPY(packed, 0);
	return hash;
}

/* The same with a seed, for hash partitions. */
Datum
loyalty_purse_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *packed = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(packed),
										 VARSIZE_ANY_EXHDR(packed),
										 PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(packed, 0);
	return hash;
}

/* ----------
 * Readings; see purse.c.  22003 when a sum is out of range.
 * ----------
 */

/* All points, whenever they can be spent. */
Datum
loyalty_purse_total(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_total(&purse));
}

/* What can be spent on a day, less what debt is left. */
Datum
loyalty_purse_available(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_available(&purse, PG_GETARG_DATEADT(1)));
}

/* What opens after a day. */
Datum
loyalty_purse_pending(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_pending(&purse, PG_GETARG_DATEADT(1)));
}

/* What had lapsed by a day. */
Datum
loyalty_purse_expired(PG_FUNCTION_ARGS)
{
	Purse		purse;

	read_argument(fcinfo, 0, &purse);
	PG_RETURN_POINTS(purse_expired(&purse, PG_GETARG_DATEADT(1)));
}

/* The purse of a day: netted, and without what has lapsed. */
Datum
loyalty_purse_outstanding(PG_FUNCTION_ARGS)
{
	Purse		purse;
	Purse		outstanding;

	read_argument(fcinfo, 0, &purse);
	purse_init(&outstanding);
	purse_outstanding(&purse, PG_GETARG_DATEADT(1), &outstanding);
	return purse_pack(&outstanding);
}

/* The part that a redemption takes; 22023, LY001. */
Datum
loyalty_purse_spend(PG_FUNCTION_ARGS)
{
	Purse		purse;
	Purse		taken;

	read_argument(fcinfo, 0, &purse);
	purse_init(&taken);
	purse_spend(&purse, PG_GETARG_POINTS(1), PG_GETARG_DATEADT(2), &taken);
	return purse_pack(&taken);
}

/*
 * The lots as rows, in canonical order.
 */
Datum
loyalty_purse_lots(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	Purse	   *purse;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		TupleDesc	row;

		call = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("function returning record called in context that cannot accept type record")));
		call->tuple_desc = BlessTupleDesc(row);
		purse = palloc(sizeof(Purse));
		read_argument(fcinfo, 0, purse);
		call->user_fctx = purse;
		MemoryContextSwitchTo(caller);
	}

	call = SRF_PERCALL_SETUP();
	purse = call->user_fctx;
	if (call->call_cntr < purse->nlots)
	{
		const Lot  *lot = &purse->lots[call->call_cntr];
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		values[0] = PointsGetDatum(lot->points);
		values[1] = DateADTGetDatum(lot->starts);
		nulls[1] = lot->starts == DATEVAL_NOBEGIN;
		values[2] = DateADTGetDatum(lot->ends);
		SRF_RETURN_NEXT(call,
						HeapTupleGetDatum(heap_form_tuple(call->tuple_desc,
														  values, nulls)));
	}
	SRF_RETURN_DONE(call);
}

/* ----------
 * The aggregate sum: a hash table of life spans, so that a lot costs the same
 * however many life spans there are; it is sorted once, at the end.
 * ----------
 */

static PurseSum *
new_sum(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	MemoryContext caller;
	PurseSum   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");

	caller = MemoryContextSwitchTo(context);
	state = palloc(sizeof(PurseSum));
	state->spans = spans_create(context, 16, NULL);
	purse_init(&state->purse);
	MemoryContextSwitchTo(caller);
	return state;
}

static inline void
add_to_span(PurseSum *state, uint64 span, int128 points)
{
	bool		found;
	SpanSum    *sum = spans_insert(state->spans, span, &found);

	if (found)
		sum->points += points;
	else
		sum->points = points;
}

/* Adds a purse; NULLs are skipped, as by the aggregates of PostgreSQL. */
Datum
loyalty_purse_accum(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	Purse	   *purse;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(PurseSum *) PG_GETARG_POINTER(0);
	purse = &state->purse;
	purse_read(purse, PG_GETARG_DATUM(1));
	for (int i = 0; i < purse->nlots; i++)
		add_to_span(state,
					(uint64) (uint32) purse->lots[i].ends << 32 |
					(uint32) purse->lots[i].starts,
					purse->lots[i].points);
	PG_RETURN_POINTER(state);
}

/* Adds the state of another worker. */
Datum
loyalty_purse_combine(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	PurseSum   *other;
	spans_iterator iterator;
	SpanSum    *sum;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	/* The other state dies with this call, so it is always copied. */
	state = PG_ARGISNULL(0) ? new_sum(fcinfo) :
		(PurseSum *) PG_GETARG_POINTER(0);
	other = (PurseSum *) PG_GETARG_POINTER(1);
	spans_start_iterate(other->spans, &iterator);
	while ((sum = spans_iterate(other->spans, &iterator)) != NULL)
		add_to_span(state, sum->span, sum->points);
	PG_RETURN_POINTER(state);
}

/* The state as bytes: for each life span its key, then both halves of its sum. */
Datum
loyalty_purse_serialize(PG_FUNCTION_ARGS)
{
	PurseSum   *state = (PurseSum *) PG_GETARG_POINTER(0);
	StringInfoData message;
	spans_iterator iterator;
	SpanSum    *sum;

	pq_begintypsend(&message);
	spans_start_iterate(state->spans, &iterator);
	while ((sum = spans_iterate(state->spans, &iterator)) != NULL)
	{
		pq_sendint64(&message, sum->span);
		pq_sendint64(&message, (uint64) (sum->points >> 64));
		pq_sendint64(&message, (uint64) sum->points);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* The state from bytes; 08P01 when they are cut off. */
Datum
loyalty_purse_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	PurseSum   *state = new_sum(fcinfo);
	StringInfoData message;

	message.data = VARDATA_ANY(bytes);
	message.len = VARSIZE_ANY_EXHDR(bytes);
	message.maxlen = message.len;
	message.cursor = 0;

	while (message.cursor < message.len)
	{
		uint64		span = (uint64) pq_getmsgint64(&message);
		uint128		points = (uint128) (uint64) pq_getmsgint64(&message) << 64;

		points |= (uint64) pq_getmsgint64(&message);
		add_to_span(state, span, (int128) points);
	}
	PG_RETURN_POINTER(state);
}

/*
 * sum: NULL over no purses, 22003 when the points of a life span are out of
 * range.  Leaves the state as it is, for window functions.
 */
Datum
loyalty_purse_sum(PG_FUNCTION_ARGS)
{
	PurseSum   *state;
	spans_iterator iterator;
	SpanSum    *sum;
	Purse		purse;
	Lot		   *lots;
	int			nlots = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (PurseSum *) PG_GETARG_POINTER(0);

	lots = MemoryContextAllocHuge(CurrentMemoryContext,
								  (Size) (state->spans->members + 1) * sizeof(Lot));
	spans_start_iterate(state->spans, &iterator);
	while ((sum = spans_iterate(state->spans, &iterator)) != NULL)
	{
		if (sum->points > POINTS_MAX || sum->points < POINTS_MIN)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("points out of range")));
		if (sum->points == 0)
			continue;
		lots[nlots].ends = (DateADT) (sum->span >> 32);
		lots[nlots].starts = (DateADT) (uint32) sum->span;
		lots[nlots].points = (Points) sum->points;
		nlots++;
	}
	qsort(lots, nlots, sizeof(Lot), compare_lots);

	purse_init(&purse);
	for (int i = 0; i < nlots; i++)
		purse_add_lot(&purse, lots[i].starts, lots[i].ends, lots[i].points);
	pfree(lots);
	return purse_pack(&purse);
}
