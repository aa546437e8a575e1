/*
 * scan.c
 *		Reading the text forms of award and expiry.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "types/scan.h"

/* How much of an input an error message shows. */
#define SHOWN_BYTES 60

/* The blanks that PostgreSQL's own scanner skips, whatever the locale. */
static void
skip_blanks(Scanner *scanner)
{
	while (*scanner->at == ' ' || (*scanner->at >= '\t' && *scanner->at <= '\r'))
		scanner->at++;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* True when only blanks are left. */
bool
scan_end(Scanner *scanner)
{
	skip_blanks(scanner);
	return *scanner->at == '\0';
}

/* One punctuation character. */
bool
scan_char(Scanner *scanner, char wanted)
{
	skip_blanks(scanner);
	if (*scanner->at != wanted)
		return false;
	scanner->at++;
	return true;
}

/* One word; the run of letters must be exactly the one wanted. */
bool
scan_word(Scanner *scanner, const char *wanted)
{
	size_t		length = 0;

	skip_blanks(scanner);
	while (is_letter(scanner->at[length]))
		length++;
	if (length != strlen(wanted) || pg_strncasecmp(scanner->at, wanted, length) != 0)
		return false;
	scanner->at += length;
	return true;
}

/*
 * A decimal number such as 2, 2.50 or .5, in millionths.  The sign is read
 * only to tell a negative number from garbage.  Reads all digits whatever
 * their number, but never computes beyond "most".
 */
ScanResult
scan_decimal(Scanner *scanner, int64 most, int64 *millionths)
{
	const char *at;
	bool		negative = false;
	bool		digits = false;
	bool		too_fine = false;
	int64		whole = 0;
	int64		fraction = 0;
	int64		place = SCAN_UNIT;

	skip_blanks(scanner);
	at = scanner->at;
	if (*at == '-')
	{
		negative = true;
		at++;
	}
	for (; is_digit(*at); at++)
	{
		digits = true;
		if (whole <= most)
			whole = whole * 10 + (*at - '0');
	}
	if (*at == '.')
	{
		at++;
		for (; is_digit(*at); at++)
		{
			digits = true;
			place /= 10;
			fraction += (*at - '0') * place;
			if (place == 0 && *at != '0')
				too_fine = true;
		}
	}
	if (!digits)
		return SCAN_NOTHING;
	scanner->at = at;

	if (negative)
		return SCAN_NEGATIVE;
	if (whole > most || (whole == most && (fraction > 0 || too_fine)))
		return SCAN_TOO_LARGE;
	if (too_fine)
		return SCAN_TOO_FINE;
	*millionths = whole * SCAN_UNIT + fraction;
	return SCAN_OK;
}

/* A whole number; saturates while reading, so that any number of digits is safe. */
ScanResult
scan_integer(Scanner *scanner, int most, int *value)
{
	const char *at;
	bool		negative = false;
	int64		number = 0;

	skip_blanks(scanner);
	at = scanner->at;
	if (*at == '-')
	{
		negative = true;
		at++;
	}
	if (!is_digit(*at))
		return SCAN_NOTHING;
	for (; is_digit(*at); at++)
	{
		if (number <= most)
			number = number * 10 + (*at - '0');
	}
	scanner->at = at;

	if (negative)
		return SCAN_NEGATIVE;
	if (number > most)
		return SCAN_TOO_LARGE;
	*value = (int) number;
	return SCAN_OK;
}

char *
scan_shown(const char *text, int length)
{
	if (length <= SHOWN_BYTES)
		return pnstrdup(text, length);
	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES), text);
}

bool
scan_unexpected(ScanFault *fault, const char *expected, const char *at)
{
	fault->sqlstate = ERRCODE_INVALID_TEXT_REPRESENTATION;
	if (*at == '\0')
		fault->detail = psprintf("Expected %s, but the text ends.", expected);
	else
		fault->detail = psprintf("Expected %s at \"%s\".", expected, scan_shown(at, strlen(at)));
	return false;
}

bool
scan_refused(ScanFault *fault, int sqlstate, const char *what, const char *from, const char *to)
{
	fault->sqlstate = sqlstate;
	fault->detail = psprintf("\"%s\" %s.", scan_shown(from, to - from), what);
	return false;
}
