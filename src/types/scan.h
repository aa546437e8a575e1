/*
 * scan.h
 *		Reading the text forms of types.
 *
 * A scanner walks over one NUL-terminated string.  Blanks between tokens never
 * matter, letters match in any case, and words are ASCII.  Whoever parses
 * raises the errors, because only he knows the type and its forms.
 */
#ifndef LOYALTY_SCAN_H
#define LOYALTY_SCAN_H

#include "postgres.h"

typedef struct Scanner
{
	const char *at;				/* what is still to be read */
} Scanner;

typedef enum ScanResult
{
	SCAN_OK,
	SCAN_NOTHING,				/* no number here; nothing was read */
	SCAN_NEGATIVE,				/* a number, but below zero */
	SCAN_TOO_LARGE,				/* a number, but beyond the bound given */
	SCAN_TOO_FINE				/* a number with too many decimals */
} ScanResult;

/* Decimals that scan_decimal keeps: its result is in millionths. */
#define SCAN_DECIMALS 6
#define SCAN_UNIT INT64CONST(1000000)

/* Each consumes the token and returns true only if it comes next. */
extern bool scan_end(Scanner *scanner);
extern bool scan_char(Scanner *scanner, char wanted);
extern bool scan_word(Scanner *scanner, const char *wanted);	/* a whole word */

/* A decimal number from 0 to "most" (whole units, below 10^12), in millionths. */
extern ScanResult scan_decimal(Scanner *scanner, int64 most, int64 *millionths);

/* A whole number from 0 to "most". */
extern ScanResult scan_integer(Scanner *scanner, int most, int *value);

/* What is wrong with a text, for the caller to raise or to hand back. */
typedef struct ScanFault
{
	int			sqlstate;
	char	   *detail;
} ScanFault;

/* The start of a text that may be long, cut between characters. */
extern char *scan_shown(const char *text, int length);

/* 22P02: the text goes on with something else than what was expected.  Answers false. */
extern bool scan_unexpected(ScanFault *fault, const char *expected, const char *at);

/* What stands between "from" and "to" is read well, but will not do.  Answers false. */
extern bool scan_refused(ScanFault *fault, int sqlstate, const char *what, const char *from, const char *to);

/*
 * PostgreSQL 16 lets input functions hand back an error instead of raising it
 * (pg_input_is_valid, COPY ... ON_ERROR); older servers raise.
 */
#if PG_VERSION_NUM < 160000
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#endif

#endif							/* LOYALTY_SCAN_H */
