/*
 * generate.c
 *		See generate.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "generate.h"

/* Beyond this depth a symbol is its first alternative, which should end there. */
#define MOST_DEPTH 8
/* No input grows beyond this by mutation or by recursion. */
#define MOST_BYTES 4000

/* What readers of numbers, dates and texts trip over. */
static const char *const tokens[] = {
	"0", "-1", "1", "+", "-", ".", ",", "00", "0.00001", "9999999999", "99999999999999999999999999",
	"922337203685477.5807", "922337203685477.5808", "-922337203685477.5808", "9223372036854775807",
	"2147483647", "-2147483648", "1e309", "NaN", "Infinity", "infinity", "-infinity", "ever", "never",
	"4714-11-24 BC", "5874897-12-31", "5874898-01-01", "294276-12-31", "2024-02-29", "2023-02-29", "1970-01-01",
	" ", "\t", "\n", "\r", "\v", "\f", "'", "\"", "\\", "\\u0000", "$$", "--", "/*", "*/", ";", ":", "::", "{", "}", "[", "]", "(", ")",
	"@", "/", "%", "%s%n", "x", "BC", "null", "NULL", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xe2\x80\xae", "\xc2\xa0", "\x01", "\x7f"
};

/* The ends of what fits into bytes. */
static const char *const ends[] = {
	"\x00", "\x7f", "\x80", "\xff", "\x80\x00", "\x80\x80\x80\x80\x80\x00",
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\x80\x00\x00\x00\x00\x00\x00\x00", "\x7f\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
};
static const int ends_length[] = {1, 1, 1, 1, 2, 6, 10, 9, 8, 8, 14};

/* splitmix64: every state is a good one. */
static uint64
random_next(Random *random)
{
	uint64		z = (random->state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

Random
random_start(int64 seed, int64 number)
{
	Random		random = {(uint64) seed};

	random.state = random_next(&random) ^ (uint64) number;
	(void) random_next(&random);
	return random;
}

uint32
random_below(Random *random, uint32 limit)
{
	return (uint32) ((random_next(random) >> 32) * limit >> 32);
}

Grammar *
grammar_read(ArrayType *lines)
{
	Grammar    *grammar = palloc0(sizeof(Grammar));
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;
	int			j;

	deconstruct_array(lines, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	grammar->rules = palloc0(sizeof(Rule) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		char	   *line = TextDatumGetCString(elements[i]);
		char	   *equals = strchr(line, '=');
		Rule	   *rule;

		if (equals == NULL)
			elog(ERROR, "not a rule of a grammar: \"%s\"", line);
		*equals = '\0';
		for (j = 0; j < grammar->nrules; j++)
			if (strcmp(grammar->rules[j].symbol, line) == 0)
				break;
		rule = &grammar->rules[j];
		if (j == grammar->nrules)
		{
			grammar->nrules++;
			rule->symbol = line;
			rule->alternatives = palloc(sizeof(char *) * count);
		}
		rule->alternatives[rule->nalternatives++] = equals + 1;
	}
	if (grammar->nrules == 0)
		elog(ERROR, "a grammar has rules");
	return grammar;
}

/* The rule that "<symbol>" at "at" names, and its length; NULL when it is none. */
static const Rule *
rule_at(const Grammar *grammar, const char *at, int *length)
{
	const char *end = strchr(at, '>');
	int			i;

	if (*at != '<' || end == NULL)
		return NULL;
	*length = (int) (end - at) + 1;
	for (i = 0; i < grammar->nrules; i++)
		if (strlen(grammar->rules[i].symbol) == *length - 2 &&
			strncmp(grammar->rules[i].symbol, at + 1, *length - 2) == 0)
			return &grammar->rules[i];
	return NULL;
}

static void
expand(const Grammar *grammar, Random *random, const Rule *rule, StringInfo word, int depth)
{
	const char *at;

	check_stack_depth();
	at = rule->alternatives[depth > MOST_DEPTH || word->len > MOST_BYTES ? 0 : random_below(random, rule->nalternatives)];
	while (*at != '\0')
	{
		int			length;
		const Rule *inner = rule_at(grammar, at, &length);

		if (inner != NULL)
		{
			expand(grammar, random, inner, word, depth + 1);
			at += length;
		}
		else
			appendStringInfoCharMacro(word, *at++);
	}
}

void
grammar_word(const Grammar *grammar, Random *random, StringInfo word)
{
	expand(grammar, random, &grammar->rules[0], word, 0);
}

/* Replaces "length" bytes at "at" by others. */
static void
replace(StringInfo string, int at, int length, const char *by, int by_length)
{
	int			rest = string->len - at - length;

	if (by_length > length && string->len + by_length - length > MOST_BYTES)
		return;
	enlargeStringInfo(string, by_length);
	memmove(string->data + at + by_length, string->data + at + length, rest);
	memcpy(string->data + at, by, by_length);
	string->len = at + by_length + rest;
	string->data[string->len] = '\0';
}

/* A place in a string, and how many bytes there: few, as a rule. */
static int
random_span(Random *random, const StringInfo string, int *length)
{
	int			at = (int) random_below(random, string->len + 1);

	*length = (int) random_below(random, random_below(random, 4) == 0 ? 40 : 4);
	*length = Min(*length, string->len - at);
	return at;
}

/* What both kinds of mutation do; false for the kind's own. */
static bool
mutate_once(Random *random, StringInfo string, const StringInfo other)
{
	int			length;
	int			at = random_span(random, string, &length);
	int			other_length;
	int			other_at;

	switch (random_below(random, 6))
	{
		case 0:
			replace(string, at, length, "", 0);
			return true;
		case 1:
			{
				char	   *copy = pnstrdup(string->data + at, length);

				replace(string, at, 0, copy, length);
				pfree(copy);
				return true;
			}
		case 2:
			other_at = random_span(random, other, &other_length);
			replace(string, at, length, other->data + other_at, other_length);
			return true;
		default:
			return false;
	}
}

void
mutate_text(Random *random, StringInfo text, const StringInfo other)
{
	int			times = 1 + (int) random_below(random, 4);
	int			i;

	while (times-- > 0)
	{
		int			length;
		int			at;
		char		byte;

		if (mutate_once(random, text, other))
			continue;
		at = random_span(random, text, &length);
		switch (random_below(random, 3))
		{
			case 0:
				byte = (char) (' ' + random_below(random, 95));
				replace(text, at, Min(length, 1), &byte, 1);
				break;
			case 1:
				/* of the text's own alphabet */
				if (text->len > 0)
				{
					byte = text->data[random_below(random, text->len)];
					replace(text, at, Min(length, 1), &byte, 1);
				}
				break;
			default:
				{
					const char *token = tokens[random_below(random, lengthof(tokens))];

					replace(text, at, length, token, strlen(token));
				}
				break;
		}
	}

	if (pg_verify_mbstr(GetDatabaseEncoding(), text->data, text->len, true))
		return;
	for (i = 0; i < text->len; i++)
		if (text->data[i] == '\0' || IS_HIGHBIT_SET(text->data[i]))
			text->data[i] = '?';
}

void
mutate_bytes(Random *random, StringInfo bytes, const StringInfo other)
{
	int			times = 1 + (int) random_below(random, 3);

	while (times-- > 0)
	{
		int			at;

		if (mutate_once(random, bytes, other) || bytes->len == 0)
			continue;
		at = (int) random_below(random, bytes->len);
		switch (random_below(random, 3))
		{
			case 0:
				bytes->data[at] ^= (char) (1 << random_below(random, 8));
				break;
			case 1:
				bytes->data[at] = (char) random_below(random, 256);
				break;
			default:
				{
					int			end = (int) random_below(random, lengthof(ends));

					replace(bytes, at, Min(ends_length[end], bytes->len - at) * (int) random_below(random, 2),
							ends[end], ends_length[end]);
				}
				break;
		}
	}
}
