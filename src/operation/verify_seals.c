/*
 * verify_seals.c
 *		Proving that seals are what was sealed, and that history still is that.
 *
 * I3 seals	the seals of a program count 1..n without gaps, each names the hash
 *			of the one before and is not older; its hash covers it; its root, its
 *			members and who had changed are what its leaves say; so are the roots
 *			of its parts.  Each leaf belongs to a seal.  That it is what a
 *			member's entries say is checked with these, in verify_members.c.
 *
 * The leaves are read once for as many seals as work_mem has room for: sorted by
 * member and seal each adds its member to the trees of all seals for which it
 * stands, which grow side by side.
 *
 * Who rewrites history, leaves and seals alike is found only by who has a hash
 * from outside: proof() and check_proof() are for that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "operation/seals.h"
#include "operation/verify.h"
#include "types/merkle.h"

static const char *const leaves_query =
	"SELECT 'I3 seals', p.name, coalesce(m.ref, format('member_id %s', l.member_id)),"
	"  format('there is no seal %s of a leaf', l.seal), NULL, NULL"
	" FROM loyalty.seal_leaf l"
	" LEFT JOIN loyalty.member m USING (member_id)"
	" LEFT JOIN loyalty.program p ON p.program_id = l.program_id"
	" WHERE ($1 IS NULL OR p.name = $1)"
	"  AND NOT EXISTS (SELECT FROM loyalty.seal s WHERE s.program_id = l.program_id AND s.seal = l.seal)";

/* A seal whose tree grows again. */
typedef struct Regrown
{
	StoredSeal	seal;
	Merkle		tree;
	int64		changed;		/* leaves that it has */
	bool		misplaced;		/* a part does not begin with its member */
} Regrown;

/* Seals of one program that are proven together. */
typedef struct SealProof
{
	Verification *verification;
	int32		program_id;
	const char *program;		/* its name; NULL: it is gone */
	int			count;
	int			capacity;
	Regrown   **seals;
	Size		size;			/* of what they take */
	/* The seal before the one at hand, if any of the program was read. */
	bool		any;
	SealRow		before;
	/* the leaf at hand */
	int64		member_id;
	bool		has_leaf;
	int32		since;
	uint8		leaf[HASH_LENGTH];
} SealProof;

static char *
hash_text(const uint8 *hash)
{
	char	   *hex = palloc(2 * HASH_LENGTH + 1);

	hex[hex_encode((const char *) hash, HASH_LENGTH, hex)] = '\0';
	return hex;
}

static void
report(SealProof *proof, char *problem, const char *expected, const char *actual)
{
	Violation	violation = {.invariant = "I3 seals", .program = proof->program,
	.problem = problem, .expected = expected, .actual = actual};

	verify_report(proof->verification, &violation);
}

/*
 * Seals by themselves
 */

/* What a seal says of itself and of the one before. */
static void
check_row(SealProof *proof, const StoredSeal *seal)
{
	const SealRow *row = &seal->row;
	const SealRow *before = &proof->before;
	int32		number = proof->any ? before->seal + 1 : 1;
	uint8		hash[HASH_LENGTH];

	if (seal->damaged)
		report(proof, psprintf("a hash or a part of seal %d is none", row->seal), NULL, NULL);
	if (row->seal != number)
		report(proof, psprintf("seal %d does not follow the seal before it", row->seal),
			   psprintf("%d", number), psprintf("%d", row->seal));
	if (row->has_previous != (row->seal > 1) ||
		(proof->any && row->seal == number && memcmp(row->previous, before->hash, HASH_LENGTH) != 0))
		report(proof, psprintf("seal %d does not name the seal before it", row->seal),
			   proof->any ? hash_text(before->hash) : "", row->has_previous ? hash_text(row->previous) : "");
	if (proof->any && row->sealed_at < before->sealed_at)
		report(proof, psprintf("seal %d is older than the seal before it", row->seal),
			   pstrdup(timestamptz_to_str(before->sealed_at)), pstrdup(timestamptz_to_str(row->sealed_at)));
	if (proof->program != NULL)
	{
		seal_hash(row, hash);
		if (memcmp(hash, row->hash, HASH_LENGTH) != 0)
			report(proof, psprintf("hash of seal %d does not cover it", row->seal),
				   hash_text(hash), hash_text(row->hash));
	}
	merkle_root_of(seal->part_roots, seal->nparts, hash);
	if (memcmp(hash, row->root, HASH_LENGTH) != 0)
		report(proof, psprintf("root of seal %d is not that of its parts", row->seal),
			   hash_text(hash), hash_text(row->root));
}

/*
 * Their leaves
 */

/* The first of the seals that has this number or a greater one. */
static int
find_seal(const SealProof *proof, int32 number)
{
	int			low = 0;
	int			high = proof->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (proof->seals[middle]->seal.row.seal < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Add a member to the trees of the seals with these numbers. */
static void
grow(SealProof *proof, int32 first, int32 last)
{
	int			i;

	for (i = find_seal(proof, first); i < proof->count && proof->seals[i]->seal.row.seal <= last; i++)
	{
		Regrown    *seal = proof->seals[i];
		int64		part = seal->tree.count / SEAL_PART;

		if (seal->tree.count % SEAL_PART == 0)
			seal->misplaced |= part >= seal->seal.nparts || seal->seal.part_members[part] != proof->member_id;
		merkle_add(&seal->tree, proof->leaf);
	}
}

static void
add_leaf(SealProof *proof, const Cursor *leaves)
{
	int64		member_id = DatumGetInt64(leaves->values[0]);
	int32		number = DatumGetInt32(leaves->values[1]);
	uint8		head[HASH_LENGTH];
	bool		has_head;
	int			i;

	if (proof->has_leaf)
		grow(proof, proof->since, member_id == proof->member_id ? number - 1 : PG_INT32_MAX);
	(void) seals_hash(leaves->values[3], head, &has_head);
	proof->has_leaf = true;
	proof->member_id = member_id;
	proof->since = number;
	seal_leaf(member_id, DatumGetInt64(leaves->values[2]), head, has_head ? HASH_LENGTH : 0, proof->leaf);
	i = find_seal(proof, number);
	if (i < proof->count && proof->seals[i]->seal.row.seal == number)
		proof->seals[i]->changed++;
}

static void
check_tree(SealProof *proof, const Regrown *seal)
{
	const SealRow *row = &seal->seal.row;
	uint8		root[HASH_LENGTH];

	merkle_root(&seal->tree, root);
	if (memcmp(root, row->root, HASH_LENGTH) != 0)
		report(proof, psprintf("root of seal %d is not that of its leaves", row->seal),
			   hash_text(root), hash_text(row->root));
	if (seal->tree.count != row->members)
		report(proof, psprintf("members under seal %d are not its leaves", row->seal),
			   psprintf(INT64_FORMAT, (int64) seal->tree.count), psprintf(INT64_FORMAT, row->members));
	if (seal->changed != seal->seal.changed)
		report(proof, psprintf("changed members of seal %d are not the leaves that it made", row->seal),
			   psprintf(INT64_FORMAT, seal->changed), psprintf(INT64_FORMAT, seal->seal.changed));
	if (seal->misplaced || seal->seal.nparts != (seal->tree.count + SEAL_PART - 1) / SEAL_PART)
		report(proof, psprintf("parts of seal %d do not begin with their members", row->seal), NULL, NULL);
}

/* Grow the trees of the seals that were gathered, and forget them. */
static void
check_leaves(SealProof *proof)
{
	Oid			types[2] = {INT4OID, INT4OID};
	Datum		values[2] = {Int32GetDatum(proof->program_id), 0};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context;
	Cursor		leaves;
	int			i;

	if (proof->count == 0)
		return;
	row_context = AllocSetContextCreate(caller, "loyalty leaf", ALLOCSET_SMALL_SIZES);
	values[1] = Int32GetDatum(proof->seals[proof->count - 1]->seal.row.seal);
	proof->has_leaf = false;
	cursor_open(&leaves, InvalidOid,
				"SELECT member_id, seal, seq, head FROM loyalty.seal_leaf WHERE program_id = $1 AND seal <= $2"
				" ORDER BY member_id, seal", lengthof(types), types, values, NULL);
	while (cursor_next(&leaves))
	{
		MemoryContextSwitchTo(row_context);
		add_leaf(proof, &leaves);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	cursor_close(&leaves);
	MemoryContextDelete(row_context);
	if (proof->has_leaf)
		grow(proof, proof->since, PG_INT32_MAX);
	for (i = 0; i < proof->count; i++)
	{
		check_tree(proof, proof->seals[i]);
		pfree(proof->seals[i]->seal.part_members);
		pfree(proof->seals[i]);
	}
	proof->count = 0;
	proof->size = 0;
}

/* The seal at the cursor. */
static void
add_seal(SealProof *proof, const Cursor *seals, MemoryContext row_context)
{
	MemoryContext caller = MemoryContextSwitchTo(row_context);
	StoredSeal	seal;
	Regrown    *regrown;

	seals_unpack(seals->values, &seal);
	seal.row.program = proof->program;
	check_row(proof, &seal);
	proof->any = true;
	proof->before = seal.row;
	MemoryContextSwitchTo(caller);

	if (proof->count == proof->capacity)
	{
		proof->capacity = Max(64, proof->capacity * 2);
		proof->seals = proof->seals == NULL ? palloc(sizeof(Regrown *) * proof->capacity)
			: repalloc(proof->seals, sizeof(Regrown *) * proof->capacity);
	}
	regrown = palloc0(sizeof(Regrown));
	regrown->seal = seal;
	regrown->seal.part_roots = NULL;
	regrown->seal.part_members = palloc(sizeof(int64) * Max(seal.nparts, 1));
	memcpy(regrown->seal.part_members, seal.part_members, sizeof(int64) * seal.nparts);
	merkle_init(&regrown->tree);
	proof->seals[proof->count++] = regrown;
	proof->size += sizeof(Regrown) + sizeof(int64) * seal.nparts;
	MemoryContextReset(row_context);
}

static void
check_seals(Verification *verification)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "loyalty seal", ALLOCSET_DEFAULT_SIZES);
	SealProof	proof;
	Cursor		seals;

	memset(&proof, 0, sizeof(proof));
	proof.verification = verification;
	if (verification->only != NULL)
		values[0] = Int32GetDatum(verification->only->program_id);
	cursor_open(&seals, InvalidOid,
				"SELECT " SEAL_COLUMNS " FROM loyalty.seal WHERE $1 IS NULL OR program_id = $1 ORDER BY program_id, seal",
				lengthof(types), types, values, nulls);
	while (cursor_next(&seals))
	{
		int32		program_id = DatumGetInt32(seals.values[0]);

		if (program_id != proof.program_id || proof.size > work_mem * (Size) 1024)
			check_leaves(&proof);
		if (program_id != proof.program_id)
		{
			Program    *program = config_program_by_id(verification->config, program_id);

			proof.program_id = program_id;
			proof.program = program == NULL ? NULL : program->name;
			proof.any = false;
		}
		add_seal(&proof, &seals, row_context);
	}
	check_leaves(&proof);
	cursor_close(&seals);
	MemoryContextDelete(row_context);
}

void
verify_seals(Verification *verification)
{
	check_seals(verification);
	verify_rows(verification, leaves_query);
}
