/*
 * generate.h
 *		Inputs for fuzzing: words of a grammar, and damaged copies of them.
 *
 * Each input follows from a seed and a number alone, so that any one of them
 * can be made again.
 */
#ifndef FUZZ_GENERATE_H
#define FUZZ_GENERATE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/array.h"

typedef struct Rule
{
	const char *symbol;
	const char **alternatives;
	int			nalternatives;
} Rule;

/* Rules "symbol=alternative"; <symbol> in an alternative stands for any of its own. */
typedef struct Grammar
{
	Rule	   *rules;
	int			nrules;
} Grammar;

typedef struct Random
{
	uint64		state;
} Random;

extern Grammar *grammar_read(ArrayType *lines);

/* The random numbers of one input. */
extern Random random_start(int64 seed, int64 number);
extern uint32 random_below(Random *random, uint32 limit);

/* A word of the grammar, from its first symbol. */
extern void grammar_word(const Grammar *grammar, Random *random, StringInfo word);

/* Damages a text, which stays one in the server's encoding; "other" lends parts. */
extern void mutate_text(Random *random, StringInfo text, const StringInfo other);

/* Damages bytes. */
extern void mutate_bytes(Random *random, StringInfo bytes, const StringInfo other);

#endif							/* FUZZ_GENERATE_H */
