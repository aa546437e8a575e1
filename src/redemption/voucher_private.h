/*
 * voucher_private.h
 *		What the files voucher*.c share.
 */
#ifndef LOYALTY_VOUCHER_PRIVATE_H
#define LOYALTY_VOUCHER_PRIVATE_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "executor/spi.h"

#include "loyalty.h"
#include "redemption/voucher.h"
#include "types/sha256.h"

#define VOUCHER_HINT_LENGTH 4

/*
 * Amounts (voucher_amount.c)
 */

extern Numeric amount_add(Numeric a, Numeric b);
extern Numeric amount_sub(Numeric a, Numeric b);
extern Numeric amount_least(Numeric a, Numeric b);
extern int	amount_cmp(Numeric a, Numeric b);
extern bool amount_is_positive(Numeric amount);
extern bool amount_same(Numeric a, Numeric b);	/* NULL is the same as NULL only */
extern char *amount_text(Numeric amount);	/* NULL: "none" */

/* percent of an amount, rounded down to its own decimals, and at least to 2. */
extern Numeric amount_percent(Numeric amount, Numeric percent);

/* amount x part / whole */
extern Numeric amount_share(Numeric amount, int part, int whole);

/* An argument that is an amount; 22023 unless finite and greater than zero.  NULL where it is null. */
extern Numeric amount_argument(FunctionCallInfo fcinfo, int argno);

/*
 * Codes (voucher_text.c)
 */

/*
 * Take a code as somebody gives it: its hash, its hint, and the text without the
 * blanks around it, in UTF-8.  22023 when it is empty, 22001 when it is too long.
 * "which" (0: none) says which of a list it is, in messages: they never repeat
 * a code.
 */
typedef struct CodeText
{
	uint8		hash[SHA256_LENGTH];
	char	   *utf8;
	int			length;
} CodeText;

extern void code_read(const text *code, int which, CodeText *result);

/* A function's argument "code"; 22004 when it is null. */
extern void code_argument(FunctionCallInfo fcinfo, int argno, CodeText *result);

/* What people call a voucher; it is made of the hash, and says nothing about the code. */
extern char *code_hint(const uint8 *hash);
extern char *code_hex(const uint8 *hash);

/*
 * Rows (voucher_row.c)
 */

/* A row of voucher; all that it points to is in the context of the operation. */
typedef struct VoucherRow
{
	uint8		hash[SHA256_LENGTH];
	int64		member_id;
	bool		has_member;
	int64		redeemer_id;
	int64		seq;			/* of the redemption; 0: none */
	int32		program_id;
	VoucherTerms terms;
	Numeric		remaining;		/* NULL: nothing is stored */
	int			used;
	int			last_use;
	int			last_return;
	bool		issued;			/* else in its pool still */
	TimestampTz issued_at;
	bool		is_void;
	TimestampTz void_at;
	text	   *void_reason;
	char	   *hint;
	bytea	   *code;			/* NULL: none is kept */
	bool		sealed;
	text	   *key;
	text	   *note;
	bytea	   *nonce;			/* NULL: its code was not derived */
} VoucherRow;

/* Statements on the engine's tables, with its rights, between begin and finish. */
typedef struct VoucherWork
{
	Config	   *config;
	EngineScope scope;
	MemoryContext caller;
} VoucherWork;

#define VOUCHER_MAX_PARAMS 26

typedef struct VoucherStatement
{
	const char *sql;
	int			nargs;
	Oid			types[VOUCHER_MAX_PARAMS];
	SPIPlanPtr	plan;			/* kept */
} VoucherStatement;

extern void voucher_begin(VoucherWork *work, Config *config);
extern void voucher_finish(VoucherWork *work);

/* Run a statement; the result is in SPI_tuptable.  Returns the number of rows. */
extern uint64 voucher_run(VoucherWork *work, VoucherStatement *statement, Datum *values,
						  const char *nulls, bool read_only);

/* A column of row "row" of the result. */
extern Datum voucher_result(uint64 row, int column, bool *isnull);

/* The terms, as columns and as parameters of statements. */
#define TERMS_COLUMNS \
	"kind, value, stored, percent, maximum, product, points, uses, per_member, min_amount, valid_from, valid_until"
#define NTERMS 12
#define TERMS_TYPES \
	TEXTOID, NUMERICOID, BOOLOID, NUMERICOID, NUMERICOID, TEXTOID, NUMERICOID, INT4OID, INT4OID, NUMERICOID, \
	TIMESTAMPTZOID, TIMESTAMPTZOID

extern void voucher_terms_read(HeapTuple tuple, TupleDesc desc, int first, VoucherTerms *terms);
extern void voucher_terms_values(const VoucherTerms *terms, Datum *values, char *nulls);
extern bool voucher_terms_same(const VoucherTerms *a, const VoucherTerms *b);

#define VOUCHER_COLUMNS \
	"hash, member_id, redeemer_id, seq, program_id, bearer, " TERMS_COLUMNS ", remaining, used, last_use, last_return," \
	" issued_at, void_at, void_reason, pool, hint, code, sealed, key, note, nonce"

extern void voucher_row_read(HeapTuple tuple, TupleDesc desc, VoucherRow *row);

/* The voucher of a code; LY024 when the program has none. */
extern void voucher_lock(VoucherWork *work, const Program *program, const CodeText *code, VoucherRow *row);
extern void voucher_look(VoucherWork *work, const Program *program, const CodeText *code, VoucherRow *row, bool read_only);

/* The voucher of a redemption, or of a key of issue_voucher; false when there is none. */
extern bool voucher_of_redemption(VoucherWork *work, int64 redeemer_id, int64 seq, bool lock, VoucherRow *row);
extern bool voucher_of_key(VoucherWork *work, const Program *program, const text *key, VoucherRow *row);

/* Write what a use, a return or a cancellation changes of it. */
extern void voucher_write(VoucherWork *work, const VoucherRow *row);

/* The hash as a bytea. */
/* Numbers of a member and of whoever is merged into him, as bigint[]. */
extern Datum voucher_person(Config *config, const Program *program, int64 member_id);

extern Datum voucher_hash_datum(const uint8 *hash);

/*
 * Codes that can be shown again (voucher_again.c)
 */

/*
 * What a code is derived from: what it is for, and random bytes of its own.
 * NULL for a code that is for nothing that has a name, and is random.
 */
extern char *voucher_derivation(const Program *program, int64 redeemer_id, int64 seq, const text *key, const bytea *nonce);

#define VOUCHER_NONCE_BYTES 16

/* The voucher's code; NULL when it cannot be shown again, and why. */
extern char *voucher_code_again(const Program *program, const VoucherRow *row, const char **why);

/* A code that is kept, opened; NULL when that takes another secret. */
extern char *voucher_open_code(const VoucherRow *row);

/*
 * Issuing (voucher_issue.c, voucher_pool.c)
 */

typedef struct VoucherOrder
{
	const VoucherTerms *terms;
	bool		has_member;
	int64		member_id;
	int64		seq;			/* of his redemption; 0: none */
	text	   *key;			/* NULL: none; likewise the next one */
	text	   *note;
	TimestampTz at;
} VoucherOrder;

/* The code; NULL when the key has been used. */
extern char *voucher_make(VoucherWork *work, const Program *program, const VoucherOrder *order, char **hint);
extern char *voucher_hand_out(VoucherWork *work, const Program *program, const VoucherOrder *order, char **hint);

/*
 * Using (voucher_usable.c)
 */

/* What a voucher is to be used for. */
typedef struct VoucherCase
{
	const Program *program;
	bool		has_member;
	int64		member_id;
	const text *member;			/* his ref */
	Numeric		amount;			/* NULL: unknown */
	TimestampTz at;
	int			used_by_member; /* uses of his that stand */
} VoucherCase;

/* "once", "2 times" */
extern const char *voucher_times(int number);

/* What keeps it from being used, as a DETAIL; NULL: nothing does.  Then "taken" is what it takes (NULL: unknown). */
extern char *voucher_refusal(const VoucherRow *row, const VoucherCase *case_, Numeric *taken);

/* usable, used up, void, expired, not yet valid, in its pool */
extern const char *voucher_state(const VoucherRow *row, TimestampTz at);

/* An argument "purchase"; NULL where it is null, 22023 when it is empty, 22001 when it is too long. */
extern text *voucher_purchase_argument(FunctionCallInfo fcinfo, int argno);

/* LY025 */
extern void voucher_unusable(const VoucherRow *row, const char *detail);

/* The source_key of the entry of a points voucher's use, or of a return (0: of the use). */
extern text *voucher_entry_key(const uint8 *hash, int use_no, int return_no);

#endif							/* LOYALTY_VOUCHER_PRIVATE_H */
