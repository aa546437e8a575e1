/*
 * fuzz.c
 *		Fuzzing in the server: each input in a subtransaction that is rolled back.
 *
 * Only for tests; it is not installed with the extension.  What an input may
 * do is be accepted, or be refused with an error that is the user's (see
 * is_refusal).  All else is a finding: an internal error, a value that does not
 * survive its own text or binary form, an input that takes longer than PATIENCE.
 * A crash leaves the input's number in the server's log, as the statement that
 * the process was running.
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/typcache.h"

#include "generate.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(fuzz_type);
PG_FUNCTION_INFO_V1(fuzz_statement);
PG_FUNCTION_INFO_V1(fuzz_word);
PG_FUNCTION_INFO_V1(fuzz_assert);

/* How long one input may take, in milliseconds. */
#define PATIENCE 5000
/* Kinds of findings that are told; of each kind the first. */
#define MOST_FINDINGS 20

typedef struct Finding
{
	const char *place;			/* file and line that raised it */
	int			sqlstate;
	int64		count;
	char	   *first;
} Finding;

typedef struct Run
{
	Grammar    *grammar;
	int64		seed;
	int64		number;			/* of the input at hand */
	StringInfoData input;
	StringInfoData other;		/* lends parts to mutations */
	MemoryContext each;			/* what one input allocates */
	MemoryContext kept;

	int64		accepted;
	int64		refused;
	double		slowest;		/* milliseconds */
	int64		slowest_number;
	Finding		findings[MOST_FINDINGS];
	int			nfindings;

	/* fuzz_type */
	Oid			type;
	bool		binary;
	int16		length;
	bool		by_value;
	Oid			io_param;
	FmgrInfo	in;
	FmgrInfo	out;
	FmgrInfo	recv;
	FmgrInfo	send;
	TypeCacheEntry *operators;
	Datum		before;			/* the last value that was accepted */
	bool		has_before;

	/* fuzz_statement */
	char	  **statements;
	int			nstatements;
} Run;

typedef void (*Attempt) (Run *run);

static double
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000.0 + now.tv_nsec / 1e6;
}

/* Whether an error is one that a user may be given for what he wrote. */
static bool
is_refusal(const Run *run, int sqlstate)
{
	static const char *const classes[] = {"0A", "21", "22", "23", "25", "2B", "2F", "34", "3B", "3D", "3F", "42", "44", "54", "55", "P0", "LY"};
	const char *code = unpack_sql_state(sqlstate);
	int			i;

	/* A message that ends too early. */
	if (sqlstate == ERRCODE_PROTOCOL_VIOLATION)
		return run->binary;
	for (i = 0; i < lengthof(classes); i++)
		if (strncmp(code, classes[i], 2) == 0)
			return true;
	return false;
}

static void
keep_finding(Run *run, const ErrorData *error)
{
	const char *place = psprintf("%s:%d", error->filename ? error->filename : "?", error->lineno);
	MemoryContext caller;
	StringInfoData text;
	int			i;

	for (i = 0; i < run->nfindings; i++)
		if (run->findings[i].sqlstate == error->sqlerrcode && strcmp(run->findings[i].place, place) == 0)
		{
			run->findings[i].count++;
			return;
		}
	if (run->nfindings == MOST_FINDINGS)
		return;

	caller = MemoryContextSwitchTo(run->kept);
	initStringInfo(&text);
	appendStringInfo(&text, "seed " INT64_FORMAT " number " INT64_FORMAT ": %s %s (%s)%s%s, input: ",
					 run->seed, run->number, unpack_sql_state(error->sqlerrcode), error->message, place,
					 error->detail ? ", " : "", error->detail ? error->detail : "");
	if (run->binary)
		for (i = 0; i < run->input.len; i++)
			appendStringInfo(&text, "%02x", (uint8) run->input.data[i]);
	else
		appendBinaryStringInfo(&text, run->input.data, run->input.len);
	run->findings[run->nfindings++] = (Finding) {pstrdup(place), error->sqlerrcode, 1, text.data};
	MemoryContextSwitchTo(caller);
}

/* One input, and what becomes of it. */
static void
try_input(Run *run, Attempt attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	double		since;
	double		took;

	MemoryContextSwitchTo(run->each);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("fuzz seed " INT64_FORMAT " number " INT64_FORMAT ": %s", run->seed, run->number,
									run->binary ? format_type_be(run->type) : run->input.data));
	enable_timeout_after(STATEMENT_TIMEOUT, PATIENCE);
	since = milliseconds();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(run->each);
	PG_TRY();
	{
		attempt(run);
		RollbackAndReleaseCurrentSubTransaction();
		run->accepted++;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->each);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(run->each);
		CurrentResourceOwner = owner;
		/* Whoever stops the whole of it is heard. */
		if (error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
			(error->sqlerrcode == ERRCODE_QUERY_CANCELED && strstr(error->message, "timeout") == NULL))
			ReThrowError(error);
		if (is_refusal(run, error->sqlerrcode))
			run->refused++;
		else
			keep_finding(run, error);
	}
	PG_END_TRY();
	disable_timeout(STATEMENT_TIMEOUT, false);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(caller);

	took = milliseconds() - since;
	if (took > run->slowest)
	{
		run->slowest = took;
		run->slowest_number = run->number;
	}
	CHECK_FOR_INTERRUPTS();
}

static void
run_start(Run *run, ArrayType *grammar, int64 seed)
{
	memset(run, 0, sizeof(Run));
	run->grammar = grammar_read(grammar);
	run->seed = seed;
	run->kept = CurrentMemoryContext;
	run->each = AllocSetContextCreate(CurrentMemoryContext, "fuzz input", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&run->input);
	initStringInfo(&run->other);
}

/* The text of an input, damaged in "damaged" of four cases. */
static void
make_text(Run *run, Random *random, int damaged)
{
	resetStringInfo(&run->input);
	grammar_word(run->grammar, random, &run->input);
	if (random_below(random, 4) >= damaged)
		return;
	resetStringInfo(&run->other);
	grammar_word(run->grammar, random, &run->other);
	mutate_text(random, &run->input, &run->other);
}

static Datum
run_result(FunctionCallInfo fcinfo, Run *run)
{
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};
	Datum	   *findings = palloc(sizeof(Datum) * MOST_FINDINGS);
	int			i;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (i = 0; i < run->nfindings; i++)
		findings[i] = CStringGetTextDatum(psprintf(INT64_FORMAT " x %s", run->findings[i].count, run->findings[i].first));
	values[0] = Int64GetDatum(run->accepted);
	values[1] = Int64GetDatum(run->refused);
	values[2] = Float8GetDatum(run->slowest);
	values[3] = PointerGetDatum(construct_array(findings, run->nfindings, TEXTOID, -1, false, TYPALIGN_INT));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* ----------
 * Types
 * ----------
 */

static Datum
receive(Run *run, const char *bytes, int length)
{
	StringInfoData message;
	Datum		value;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, bytes, length);
	value = ReceiveFunctionCall(&run->recv, &message, run->io_param, -1);
	if (message.cursor != message.len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("incorrect binary data format")));
	return value;
}

static bool
is_same(const Run *run, Datum a, Datum b)
{
	return datum_image_eq(a, b, run->by_value, run->length);
}

/* An accepted value is the same after its text and its binary form, and both have one spelling. */
static void
check_forms(Run *run, Datum value)
{
	char	   *text = OutputFunctionCall(&run->out, value);
	bytea	   *bytes = SendFunctionCall(&run->send, value);
	Datum		again = InputFunctionCall(&run->in, text, run->io_param, -1);
	bytea	   *bytes_again;

	if (!is_same(run, value, again))
		elog(ERROR, "not the same after its text form");
	if (strcmp(text, OutputFunctionCall(&run->out, again)) != 0)
		elog(ERROR, "two text forms");
	again = receive(run, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	if (!is_same(run, value, again))
		elog(ERROR, "not the same after its binary form");
	bytes_again = SendFunctionCall(&run->send, again);
	if (VARSIZE(bytes) != VARSIZE(bytes_again) || memcmp(bytes, bytes_again, VARSIZE(bytes)) != 0)
		elog(ERROR, "two binary forms");
	if (run->binary && (run->input.len != VARSIZE(bytes) - VARHDRSZ ||
						memcmp(run->input.data, VARDATA(bytes), run->input.len) != 0))
		elog(ERROR, "another binary form than the one that was read");
}

/*
 * Operators agree with each other and with what is printed.  Values that are
 * written differently may be equal where there is no order ("1 year" and
 * "12 months"), and only there.
 */
static void
check_operators(Run *run, Datum a, Datum b)
{
	TypeCacheEntry *operators = run->operators;
	bool		same = is_same(run, a, b);
	bool		equal = DatumGetBool(FunctionCall2Coll(&operators->eq_opr_finfo, InvalidOid, a, b));

	if (same && !equal)
		elog(ERROR, "a value is not equal to itself");
	if (OidIsValid(operators->cmp_proc_finfo.fn_oid))
	{
		int			order = DatumGetInt32(FunctionCall2Coll(&operators->cmp_proc_finfo, InvalidOid, a, b));
		int			reverse = DatumGetInt32(FunctionCall2Coll(&operators->cmp_proc_finfo, InvalidOid, b, a));

		if ((order == 0) != same || equal != same || (order < 0) != (reverse > 0))
			elog(ERROR, "the order does not agree with the values");
	}
	if (OidIsValid(operators->hash_proc_finfo.fn_oid) && equal &&
		FunctionCall1Coll(&operators->hash_proc_finfo, InvalidOid, a) !=
		FunctionCall1Coll(&operators->hash_proc_finfo, InvalidOid, b))
		elog(ERROR, "equal values have two hashes");
}

static void
attempt_type(Run *run)
{
	Datum		value = run->binary ? receive(run, run->input.data, run->input.len)
		: InputFunctionCall(&run->in, run->input.data, run->io_param, -1);

	check_forms(run, value);
	check_operators(run, value, value);
	if (run->has_before)
		check_operators(run, value, run->before);
	/* kept until the next one */
	if (run->number % 16 == 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(run->kept);

		if (run->has_before && !run->by_value)
			pfree(DatumGetPointer(run->before));
		run->before = datumCopy(value, run->by_value, run->length);
		run->has_before = true;
		MemoryContextSwitchTo(caller);
	}
}

/* Bytes: the binary form of a word of the grammar, damaged. */
static void
make_bytes(Run *run, Random *random)
{
	MemoryContext caller = MemoryContextSwitchTo(run->each);
	StringInfo	strings[2] = {&run->input, &run->other};
	int			i;

	for (i = 0; i < 2; i++)
	{
		StringInfoData word;
		bytea	   *bytes;

		initStringInfo(&word);
		grammar_word(run->grammar, random, &word);
		bytes = SendFunctionCall(&run->send, InputFunctionCall(&run->in, word.data, run->io_param, -1));
		resetStringInfo(strings[i]);
		appendBinaryStringInfo(strings[i], VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	}
	if (random_below(random, 8) != 0)
		mutate_bytes(random, &run->input, &run->other);
	MemoryContextSwitchTo(caller);
}

/*
 * fuzz_type(type, binary, grammar, seed, first, inputs): the words of the grammar
 * must be values of the type if the binary form is meant.
 */
Datum
fuzz_type(PG_FUNCTION_ARGS)
{
	Run			run;
	int64		first = PG_GETARG_INT64(4);
	int64		inputs = PG_GETARG_INT64(5);
	Oid			function;
	bool		is_varlena;
	char		align;

	run_start(&run, PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_INT64(3));
	run.type = PG_GETARG_OID(0);
	run.binary = PG_GETARG_BOOL(1);
	get_typlenbyvalalign(run.type, &run.length, &run.by_value, &align);
	getTypeInputInfo(run.type, &function, &run.io_param);
	fmgr_info(function, &run.in);
	getTypeOutputInfo(run.type, &function, &is_varlena);
	fmgr_info(function, &run.out);
	getTypeBinaryInputInfo(run.type, &function, &run.io_param);
	fmgr_info(function, &run.recv);
	getTypeBinaryOutputInfo(run.type, &function, &is_varlena);
	fmgr_info(function, &run.send);
	run.operators = lookup_type_cache(run.type, TYPECACHE_EQ_OPR_FINFO | TYPECACHE_CMP_PROC_FINFO | TYPECACHE_HASH_PROC_FINFO);

	for (run.number = first; run.number < first + inputs; run.number++)
	{
		Random		random = random_start(run.seed, run.number);

		if (run.binary)
			make_bytes(&run, &random);
		else
			make_text(&run, &random, 3);
		try_input(&run, attempt_type);
		MemoryContextReset(run.each);
	}
	return run_result(fcinfo, &run);
}

/* ----------
 * Statements
 * ----------
 */

static void
execute(const char *statement, const char *input)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(input ? input : "")};
	int			result = SPI_execute_with_args(statement, strstr(statement, "$1") != NULL, types, values, NULL, false, 0);

	/* COMMIT and COPY are not for functions. */
	if (result < 0 && result != SPI_ERROR_TRANSACTION && result != SPI_ERROR_COPY)
		elog(ERROR, "SPI: %s", SPI_result_code_string(result));
	SPI_freetuptable(SPI_tuptable);
}

/* Each line by itself: one that is refused does not end the others. */
static void
execute_lines(const Run *run, char *lines)
{
	char	   *rest;
	char	   *line;
	bool		refused = true;

	for (line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
	{
		MemoryContext caller = CurrentMemoryContext;
		ResourceOwner owner = CurrentResourceOwner;

		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(caller);
		PG_TRY();
		{
			execute(line, NULL);
			ReleaseCurrentSubTransaction();
			refused = false;
		}
		PG_CATCH();
		{
			ErrorData  *error;

			MemoryContextSwitchTo(caller);
			error = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			if (!is_refusal(run, error->sqlerrcode))
				ReThrowError(error);
		}
		PG_END_TRY();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	if (refused)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("all of it was refused")));
}

static void
attempt_statement(Run *run)
{
	int			i;

	SPI_connect();
	for (i = 0; i < run->nstatements; i++)
	{
		if (run->statements[i][0] == '\0')
			execute_lines(run, pstrdup(run->input.data));
		else
			execute(run->statements[i], run->input.data);
	}
	SPI_finish();
}

/*
 * fuzz_statement(statements, damaged, grammar, seed, first, inputs): each word of
 * the grammar is $1 of the statements, one after the other; an empty one stands for
 * the word's own lines.
 */
Datum
fuzz_statement(PG_FUNCTION_ARGS)
{
	Run			run;
	int			damaged = PG_GETARG_INT32(1);
	int64		first = PG_GETARG_INT64(4);
	int64		inputs = PG_GETARG_INT64(5);
	Datum	   *statements;
	bool	   *nulls;
	int			i;

	run_start(&run, PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_INT64(3));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &statements, &nulls, &run.nstatements);
	run.statements = palloc(sizeof(char *) * run.nstatements);
	for (i = 0; i < run.nstatements; i++)
		run.statements[i] = TextDatumGetCString(statements[i]);

	for (run.number = first; run.number < first + inputs; run.number++)
	{
		Random		random = random_start(run.seed, run.number);

		make_text(&run, &random, damaged);
		try_input(&run, attempt_statement);
		MemoryContextReset(run.each);
	}
	return run_result(fcinfo, &run);
}

/* fuzz_word(damaged, grammar, seed, number): an input, for whoever looks at a finding. */
Datum
fuzz_word(PG_FUNCTION_ARGS)
{
	Run			run;
	Random		random;

	run_start(&run, PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_INT64(2));
	random = random_start(run.seed, PG_GETARG_INT64(3));
	make_text(&run, &random, PG_GETARG_INT32(0));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(run.input.data, run.input.len));
}

/* fuzz_assert(truth, what): a finding unless it is true. */
Datum
fuzz_assert(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || !PG_GETARG_BOOL(0))
		elog(ERROR, "not so: %s", PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}
