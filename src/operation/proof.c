/*
 * proof.c
 *		What proves to others that a member's history is under a seal.
 *
 * Only the leaves of the member's part are read; the roots of the other parts
 * are kept with the seal.  A proof that would not hold is refused, since then
 * somebody has changed the seal or its leaves.
 *
 * The proof names neither the member's ref nor anything that he did.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/json.h"
#include "ledger/access.h"
#include "ledger/chain.h"
#include "ledger/forgotten.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "operation/proof.h"
#include "operation/seals.h"
#include "operation/verify.h"
#include "types/merkle.h"

PG_FUNCTION_INFO_V1(loyalty_proof);
PG_FUNCTION_INFO_V1(loyalty_history);

/* A member's place under a seal. */
typedef struct Place
{
	int64		member_id;
	int64		seq;
	uint8		head[HASH_LENGTH];
	bool		has_head;
	int64		index;			/* among all leaves */
	int			nsteps;
	MerkleStep	steps[2 * MERKLE_LEVELS];
} Place;

/* The member whom the first argument means; LY002 when there is none. */
static int64
known_member(Config *config, const Program *program, const text *ref)
{
	int64		member_id = member_resolve(config, program, ref);
	Store	   *store = store_open(config, false);
	MemberRow	row;
	bool		known;

	store_begin_read(store, GetActiveSnapshot());
	known = store_find_member(store, member_id, &row) && member_is(config, program, &row, ref);
	store_end_read(store);
	store_close(store);
	if (!known)
		member_unknown(program, ref);
	return member_id;
}

/*
 * The leaves of a part
 */

/* The part in which the member's leaf would be; -1 for none. */
static int
find_part(const StoredSeal *seal, int64 member_id)
{
	int			low = 0;
	int			high = seal->nparts;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (seal->part_members[middle] <= member_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/*
 * Hash the leaves of the part into "leaves"; returns how many there are, and
 * puts the member's own, if he has one, into the place.
 */
static int
read_leaves(const StoredSeal *seal, int part, Place *place, bool *found, uint8 *leaves)
{
	bool		last = part == seal->nparts - 1;
	Oid			types[4] = {INT4OID, INT4OID, INT8OID, INT8OID};
	Datum		values[4] = {Int32GetDatum(seal->row.program_id), Int32GetDatum(seal->row.seal),
		Int64GetDatum(seal->part_members[part]), Int64GetDatum(last ? 0 : seal->part_members[part + 1])};
	char		nulls[4] = {' ', ' ', ' ', last ? 'n' : ' '};
	Cursor		rows;
	int			count = 0;

	*found = false;
	cursor_open(&rows, InvalidOid,
				"SELECT DISTINCT ON (member_id) member_id, seq, head FROM loyalty.seal_leaf"
				" WHERE member_id >= $3 AND ($4 IS NULL OR member_id < $4) AND program_id = $1 AND seal <= $2"
				" ORDER BY member_id, seal DESC", lengthof(types), types, values, nulls);
	while (count < SEAL_PART && cursor_next(&rows))
	{
		int64		member_id = DatumGetInt64(rows.values[0]);
		int64		seq = DatumGetInt64(rows.values[1]);
		uint8		head[HASH_LENGTH];
		bool		has_head;

		(void) seals_hash(rows.values[2], head, &has_head);
		seal_leaf(member_id, seq, head, has_head ? HASH_LENGTH : 0, leaves + (Size) count * HASH_LENGTH);
		if (member_id == place->member_id)
		{
			*found = true;
			place->seq = seq;
			memcpy(place->head, head, HASH_LENGTH);
			place->has_head = has_head;
			place->index = (int64) part * SEAL_PART + count;
		}
		count++;
	}
	cursor_close(&rows);
	return count;
}

/* The way from the member's leaf to the root; false when he was no member yet. */
static bool
find_place(const StoredSeal *seal, Place *place)
{
	uint8	   *leaves = palloc((Size) HASH_LENGTH * SEAL_PART);
	int			part = find_part(seal, place->member_id);
	int			count;
	bool		found;

	if (part < 0)
		return false;
	count = read_leaves(seal, part, place, &found, leaves);
	if (!found)
		return false;
	place->nsteps = merkle_path(leaves, count, place->index % SEAL_PART, place->steps);
	place->nsteps += merkle_path(seal->part_roots, seal->nparts, part, place->steps + place->nsteps);
	return true;
}

/* XX001 for a seal that does not agree with its leaves, or with itself. */
static void
check_holds(const StoredSeal *seal, const Place *place)
{
	uint8		hash[HASH_LENGTH];
	bool		holds;

	seal_leaf(place->member_id, place->seq, place->head, place->has_head ? HASH_LENGTH : 0, hash);
	holds = !seal->damaged &&
		merkle_follow(hash, place->index, seal->row.members, place->steps, place->nsteps, hash) &&
		memcmp(hash, seal->row.root, HASH_LENGTH) == 0;
	if (holds)
	{
		seal_hash(&seal->row, hash);
		holds = memcmp(hash, seal->row.hash, HASH_LENGTH) == 0;
	}
	if (!holds)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("seal %d of program \"%s\" does not hold", seal->row.seal, seal->row.program),
				 errdetail("It, or the leaves under it, were changed since it was made."),
				 errhint("loyalty.verify() says more.")));
}

/*
 * The proof as JSON
 */

static void
push_text(JsonbParseState **state, const char *name, const char *value)
{
	json_push_key(state, name);
	json_push_string(state, WJB_VALUE, value, strlen(value));
}

static void
push_int(JsonbParseState **state, const char *name, int64 value)
{
	json_push_key(state, name);
	json_push_numeric(state, WJB_VALUE, int64_to_numeric(value));
}

static void
push_hash(JsonbParseState **state, const char *name, const uint8 *hash, bool present)
{
	char	   *hex = palloc(2 * HASH_LENGTH + 1);

	hex[hex_encode((const char *) hash, present ? HASH_LENGTH : 0, hex)] = '\0';
	push_text(state, name, hex);
}

/* In UTC, with all the digits that the hash covers. */
static char *
time_text(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		microseconds;

	if (timestamp2tm(at, NULL, &tm, &microseconds, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) microseconds);
}

static Jsonb *
proof_json(const StoredSeal *seal, const Place *place)
{
	const SealRow *row = &seal->row;
	JsonbParseState *state = NULL;
	int			i;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, PROOF_FIELD_FORMAT, PROOF_FORMAT);
	push_text(&state, PROOF_FIELD_PROGRAM, row->program);
	push_int(&state, PROOF_FIELD_PROGRAM_ID, row->program_id);
	push_text(&state, PROOF_FIELD_MEMBER, psprintf(INT64_FORMAT, place->member_id));
	push_int(&state, PROOF_FIELD_SEQ, place->seq);
	push_hash(&state, PROOF_FIELD_HEAD, place->head, place->has_head);
	push_int(&state, PROOF_FIELD_SEAL, row->seal);
	push_text(&state, PROOF_FIELD_SEALED_AT, time_text(row->sealed_at));
	push_int(&state, PROOF_FIELD_MEMBERS, row->members);
	push_int(&state, PROOF_FIELD_INDEX, place->index);
	json_push_key(&state, PROOF_FIELD_PATH);
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < place->nsteps; i++)
	{
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		push_text(&state, PROOF_FIELD_SIDE, place->steps[i].left ? PROOF_LEFT : PROOF_RIGHT);
		push_hash(&state, PROOF_FIELD_HASH, place->steps[i].sibling, true);
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	push_hash(&state, PROOF_FIELD_ROOT, row->root, true);
	push_hash(&state, PROOF_FIELD_PREVIOUS, row->previous, row->has_previous);
	push_hash(&state, PROOF_FIELD_HASH, row->hash, true);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* LY031 when there is no such seal. */
static void
find_seal(const Program *program, int32 number, StoredSeal *seal)
{
	if (seals_find(program, number, seal))
		return;
	if (number == 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SEAL),
				 errmsg("program \"%s\" has no seal yet", program->name),
				 errhint("SELECT * FROM loyalty.seal() makes one.")));
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_UNKNOWN_SEAL),
			 errmsg("program \"%s\" has no seal %d", program->name, number),
			 errhint("loyalty.seals lists those there are.")));
}

/* proof(member, seal, program) → jsonb */
Datum
loyalty_proof(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	Program    *program = access_program_for(config, text_argument(fcinfo, 2), ACCESS_READ, ref);
	Place	   *place = palloc0(sizeof(Place));
	EngineScope scope;
	StoredSeal	seal;
	bool		found;

	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_SEAL),
				 errmsg("there is no seal %d", PG_GETARG_INT32(1)),
				 errhint("Seals are numbered from 1; NULL is the last one.")));
	engine_enter(&scope, config->owner);
	place->member_id = known_member(config, program, ref);
	SPI_connect();
	MemoryContextSwitchTo(caller);
	find_seal(program, PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1), &seal);
	found = find_place(&seal, place);
	SPI_finish();
	engine_leave(&scope);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_MEMBER),
				 errmsg("member \"%s\" is not under seal %d of program \"%s\"",
						text_to_cstring(ref), seal.row.seal, program->name),
				 errdetail("He was no member yet when it was made."),
				 errhint("The next seal has him.")));
	check_holds(&seal, place);
	PG_RETURN_JSONB_P(proof_json(&seal, place));
}

/* history(member, program) → setof (seq, bytes, hash) */
Datum
loyalty_history(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *result = result_begin(fcinfo, &desc);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row_context = AllocSetContextCreate(caller, "loyalty entry", ALLOCSET_DEFAULT_SIZES);
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	Program    *program = access_program_for(config, text_argument(fcinfo, 1), ACCESS_READ, ref);
	Oid			types[1] = {INT8OID};
	Datum		values[1];
	EngineScope scope;
	Cursor		entries;
	bool		forgotten;

	engine_enter(&scope, config->owner);
	values[0] = Int64GetDatum(known_member(config, program, ref));
	forgotten = forgotten_has(config, NULL, DatumGetInt64(values[0]));
	SPI_connect();
	cursor_open(&entries, InvalidOid, "SELECT " ENTRY_COLUMNS " FROM loyalty.entry WHERE member_id = $1 ORDER BY seq",
				lengthof(types), types, values, NULL);
	MemoryContextSwitchTo(row_context);
	while (cursor_next(&entries))
	{
		EntryRow	entry;
		StringInfoData bytes;
		Datum		columns[3];
		bool		nulls[3] = {false};

		cursor_entry(&entries, &entry);
		initStringInfo(&bytes);
		appendStringInfoSpaces(&bytes, VARHDRSZ);
		chain_bytes(&entry, forgotten, &bytes);
		SET_VARSIZE(bytes.data, bytes.len);
		columns[0] = Int64GetDatum(entry.seq);
		columns[1] = PointerGetDatum(bytes.data);
		columns[2] = entries.values[16];
		tuplestore_putvalues(result, desc, columns, nulls);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	cursor_close(&entries);
	SPI_finish();
	engine_leave(&scope);
	MemoryContextDelete(row_context);
	PG_RETURN_NULL();
}
