/*
 * check_proof.c
 *		Holding a proof against a hash from outside.
 *
 * The proof comes from somebody else, and so may say anything: whatever is not
 * of the form that loyalty.proof() gives it is refused with what is wrong, and
 * what is of that form is worked out again from the leaf to the seal.  Nothing
 * is read but the arguments.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "loyalty.h"
#include "operation/proof.h"
#include "ledger/seal.h"
#include "types/merkle.h"

PG_FUNCTION_INFO_V1(loyalty_check_proof);
PG_FUNCTION_INFO_V1(loyalty_check_proof_bytes);

/* A proof as it was read. */
typedef struct Proof
{
	SealRow		seal;
	int64		member_id;
	int64		seq;
	uint8		head[HASH_LENGTH];
	bool		has_head;
	int64		index;
	int			nsteps;
	MerkleStep	steps[2 * MERKLE_LEVELS];
} Proof;

static void
malformed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("proof is malformed"),
			 errdetail_internal("%s", detail),
			 errhint("A proof is what loyalty.proof() answers, unchanged.")));
}

static JsonbValue *
field(JsonbContainer *object, const char *name, enum jbvType type, const char *what)
{
	JsonbValue	key;
	JsonbValue *value;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	value = findJsonbValueFromContainer(object, JB_FOBJECT, &key);
	if (value == NULL)
		malformed(psprintf("It has no \"%s\".", name));
	if (value->type != type)
		malformed(psprintf("Its \"%s\" is not %s.", name, what));
	return value;
}

static char *
text_field(JsonbContainer *object, const char *name)
{
	JsonbValue *value = field(object, name, jbvString, "a string");

	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A whole number from zero to "most", in plain digits. */
static int64
parse_int(const char *digits, const char *name, int64 most)
{
	char	   *end;
	int64		value;

	errno = 0;
	value = strtoi64(digits, &end, 10);
	if (digits[0] < '0' || digits[0] > '9' || *end != '\0' || errno != 0 || value > most)
		malformed(psprintf("Its \"%s\" is not a whole number from 0 to " INT64_FORMAT ".", name, most));
	return value;
}

static int64
int_field(JsonbContainer *object, const char *name, int64 most)
{
	JsonbValue *value = field(object, name, jbvNumeric, "a number");

	return parse_int(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))), name, most);
}

/* The value of a hexadecimal digit; -1 for anything else. */
static int
hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool
parse_hash(const char *hex, Size length, uint8 *hash)
{
	int			i;

	if (length != 2 * HASH_LENGTH)
		return false;
	for (i = 0; i < HASH_LENGTH; i++)
	{
		int			high = hex_digit(hex[2 * i]);
		int			low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = high << 4 | low;
	}
	return true;
}

/* A hash, or where there may be none an empty string; returns whether there is one. */
static bool
hash_field(JsonbContainer *object, const char *name, uint8 *hash, bool may_be_empty)
{
	JsonbValue *value = field(object, name, jbvString, "a string");

	if (may_be_empty && value->val.string.len == 0)
		return false;
	if (!parse_hash(value->val.string.val, value->val.string.len, hash))
		malformed(psprintf("Its \"%s\" is not a hash of %d hexadecimal digits.", name, 2 * HASH_LENGTH));
	return true;
}

/* As proof() writes it: 2026-01-31T23:59:59.123456Z. */
static TimestampTz
time_field(JsonbContainer *object, const char *name)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
	char	   *value = text_field(object, name);
	struct pg_tm tm;
	int			microseconds;
	TimestampTz at;
	bool		fits = strlen(value) == strlen(form);
	int			i;

	for (i = 0; fits && form[i] != '\0'; i++)
		fits = form[i] == 'd' ? value[i] >= '0' && value[i] <= '9' : value[i] == form[i];
	memset(&tm, 0, sizeof(tm));
	fits = fits && sscanf(value, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
						  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &microseconds) == 7;
	fits = fits && tm.tm_year > 0 && tm.tm_mon >= 1 && tm.tm_mon <= MONTHS_PER_YEAR && tm.tm_mday >= 1 &&
		tm.tm_mday <= day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] &&
		tm.tm_hour < HOURS_PER_DAY && tm.tm_min < MINS_PER_HOUR && tm.tm_sec < SECS_PER_MINUTE &&
		tm2timestamp(&tm, microseconds, NULL, &at) == 0;
	if (!fits)
		malformed(psprintf("Its \"%s\" is not a time as 2026-01-31T23:59:59.123456Z.", name));
	return at;
}

static void
read_path(Proof *proof, JsonbContainer *object)
{
	JsonbValue *path = field(object, PROOF_FIELD_PATH, jbvBinary, "an array");
	JsonbContainer *array = path->val.binary.data;
	uint32		i;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		malformed("Its \"" PROOF_FIELD_PATH "\" is not an array.");
	if (JsonContainerSize(array) > lengthof(proof->steps))
		malformed("Its \"" PROOF_FIELD_PATH "\" is longer than any path can be.");
	proof->nsteps = JsonContainerSize(array);
	for (i = 0; i < proof->nsteps; i++)
	{
		JsonbValue *step = getIthJsonbValueFromContainer(array, i);
		char	   *side;

		if (step->type != jbvBinary || !JsonContainerIsObject(step->val.binary.data))
			malformed(psprintf("Step %u of its \"" PROOF_FIELD_PATH "\" is not an object.", i + 1));
		side = text_field(step->val.binary.data, PROOF_FIELD_SIDE);
		if (strcmp(side, PROOF_LEFT) != 0 && strcmp(side, PROOF_RIGHT) != 0)
			malformed(psprintf("The \"" PROOF_FIELD_SIDE "\" of step %u of its \"" PROOF_FIELD_PATH "\" is neither left nor right.", i + 1));
		proof->steps[i].left = strcmp(side, PROOF_LEFT) == 0;
		hash_field(step->val.binary.data, PROOF_FIELD_HASH, proof->steps[i].sibling, false);
	}
}

static void
read_proof(Proof *proof, Jsonb *json)
{
	JsonbContainer *object = &json->root;
	SealRow    *seal = &proof->seal;
	char	   *format;

	if (!JsonContainerIsObject(object))
		malformed("It is not a JSON object.");
	format = text_field(object, PROOF_FIELD_FORMAT);
	if (strcmp(format, PROOF_FORMAT) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("proof has an unknown format"),
				 errdetail("Its \"%s\" is \"%s\"; known is \"%s\".", PROOF_FIELD_FORMAT,
						   pnstrdup(format, pg_mbcliplen(format, strlen(format), 64)), PROOF_FORMAT)));
	seal->program = text_field(object, PROOF_FIELD_PROGRAM);
	seal->program_id = int_field(object, PROOF_FIELD_PROGRAM_ID, PG_INT32_MAX);
	seal->seal = int_field(object, PROOF_FIELD_SEAL, PG_INT32_MAX);
	seal->sealed_at = time_field(object, PROOF_FIELD_SEALED_AT);
	seal->members = int_field(object, PROOF_FIELD_MEMBERS, PG_INT64_MAX);
	hash_field(object, PROOF_FIELD_ROOT, seal->root, false);
	seal->has_previous = hash_field(object, PROOF_FIELD_PREVIOUS, seal->previous, true);
	hash_field(object, PROOF_FIELD_HASH, seal->hash, false);
	proof->member_id = parse_int(text_field(object, PROOF_FIELD_MEMBER), PROOF_FIELD_MEMBER, PG_INT64_MAX);
	proof->seq = int_field(object, PROOF_FIELD_SEQ, PG_INT64_MAX);
	proof->has_head = hash_field(object, PROOF_FIELD_HEAD, proof->head, true);
	proof->index = int_field(object, PROOF_FIELD_INDEX, PG_INT64_MAX);
	read_path(proof, object);
}

/* Whether what the proof says leads to that hash of a seal, or to that root. */
static bool
holds(Jsonb *json, const uint8 *published)
{
	Proof	   *proof = palloc0(sizeof(Proof));
	uint8		root[HASH_LENGTH];
	uint8		hash[HASH_LENGTH];

	read_proof(proof, json);
	seal_leaf(proof->member_id, proof->seq, proof->head, proof->has_head ? HASH_LENGTH : 0, root);
	if (!merkle_follow(root, proof->index, proof->seal.members, proof->steps, proof->nsteps, root) ||
		memcmp(root, proof->seal.root, HASH_LENGTH) != 0)
		return false;
	seal_hash(&proof->seal, hash);
	return memcmp(hash, proof->seal.hash, HASH_LENGTH) == 0 &&
		(memcmp(hash, published, HASH_LENGTH) == 0 || memcmp(root, published, HASH_LENGTH) == 0);
}

static void
no_hash(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("root is not a hash"),
			 errdetail("A hash is %d bytes, %d hexadecimal digits.", HASH_LENGTH, 2 * HASH_LENGTH),
			 errhint("It is the hash of a seal, or its root, as loyalty.seals has them.")));
}

/* check_proof(proof, root text) → boolean */
Datum
loyalty_check_proof(PG_FUNCTION_ARGS)
{
	text	   *given = PG_GETARG_TEXT_PP(1);
	const char *hex = VARDATA_ANY(given);
	Size		length = VARSIZE_ANY_EXHDR(given);
	uint8		published[HASH_LENGTH];

	/* As psql shows a bytea. */
	if (length >= 2 && hex[0] == '\\' && hex[1] == 'x')
	{
		hex += 2;
		length -= 2;
	}
	if (!parse_hash(hex, length, published))
		no_hash();
	PG_RETURN_BOOL(holds(PG_GETARG_JSONB_P(0), published));
}

/* check_proof(proof, root bytea) → boolean */
Datum
loyalty_check_proof_bytes(PG_FUNCTION_ARGS)
{
	bytea	   *given = PG_GETARG_BYTEA_PP(1);

	if (VARSIZE_ANY_EXHDR(given) != HASH_LENGTH)
		no_hash();
	PG_RETURN_BOOL(holds(PG_GETARG_JSONB_P(0), (const uint8 *) VARDATA_ANY(given)));
}
