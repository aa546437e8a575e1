/*
 * verify.c
 *		Proving that the ledger is sound.
 *
 * verify() reads everything under one snapshot, writes nothing (it runs on a
 * standby), and returns one row for each violation.  Members and entries come
 * from two cursors in the order of member_id, sorted within work_mem, and are
 * merged; so memory does not grow with the ledger.
 *
 * Here is what is checked of members and entries:
 *
 * I1	  each entry's points are the total of its lots; the member's purse is
 *		  the sum of his entries' lots, his lifetime points, the points held
 *		  for him and his last activity what his entries say.
 * I2	  his entries count 1..n without gaps, his row says n; an entry's program
 *		  is its member's; no entry is without a member; his row counts the
 *		  purchases that have a first posting.
 * I3	  each entry's hash covers it and the hash before it; the row has the
 *		  last.  A wrong hash is reported once: the next one is held against
 *		  what is stored.  Of forgotten members alone the digests that were
 *		  left of context and note are taken for these.
 * I5	  no lot of the purse is below zero but a debt, which is the lot that
 *		  starts at once and never ends; so nobody has less than zero available
 *		  otherwise.  The program's policy of today does not tell whether a debt
 *		  was allowed when it was made, the entries do: only a clawback may
 *		  make a debt or deepen it, and an import or a merge bring one along.  What
 *		  a hold releases to be captured leaves a debt as it was before.
 * member his ref leads to his row, his program exists, his status is known, and
 *		  no points end before next_expiry.
 *
 * Seals (I3) are in verify_seals.c, purchases (I4) in verify_purchases.c, limits
 * in verify_limits.c, what awaits confirmation in verify_confirm.c; who was
 * forgotten in verify_forgotten.c; transfers, holds, cancellations, redemptions,
 * vouchers, merges and households (I6) in verify_transfers.c, verify_holds.c,
 * verify_cancel.c, verify_redemptions.c, verify_vouchers.c and verify_people.c;
 * tiers (I7) in verify_tiers.c; access (I8) in verify_access.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "earning/request.h"
#include "ledger/access.h"
#include "ledger/balance.h"
#include "ledger/chain.h"
#include "ledger/member.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "operation/verify.h"
#include "redemption/transfer.h"

PG_FUNCTION_INFO_V1(loyalty_verify);

extern Datum loyalty_member_id(PG_FUNCTION_ARGS);
extern Datum loyalty_purse_out(PG_FUNCTION_ARGS);

/* Rows fetched at a time. */
#define FETCH_SIZE 1000

void
verify_report(Verification *verification, const Violation *violation)
{
	const char *texts[7] = {violation->invariant, violation->program, violation->member,
		violation->purchase, violation->problem, violation->expected, violation->actual};
	Datum		values[7];
	bool		nulls[7];
	int			i;

	for (i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(verification->result, verification->desc, values, nulls);
}

/*
 * Cursors
 */

/* What reads a shop's table may run the shop's functions. */
static void
enter(const Cursor *cursor, EngineScope *scope)
{
	if (cursor->foreign)
		owner_enter(scope, cursor->user_id);
	else
		engine_enter(scope, cursor->user_id);
}

void
cursor_open(Cursor *cursor, Oid user_id, const char *sql, int nargs,
			Oid *types, Datum *values, const char *nulls)
{
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;

	memset(cursor, 0, sizeof(*cursor));
	cursor->foreign = OidIsValid(user_id);
	cursor->user_id = cursor->foreign ? user_id : GetUserId();
	enter(cursor, &scope);
	cursor->portal = SPI_cursor_open_with_args(NULL, sql, nargs, types, values, nulls, true, 0);
	engine_leave(&scope);
	MemoryContextSwitchTo(caller);
	cursor->values = palloc(sizeof(Datum) * cursor->portal->tupDesc->natts);
	cursor->nulls = palloc(sizeof(bool) * cursor->portal->tupDesc->natts);
}

bool
cursor_next(Cursor *cursor)
{
	CHECK_FOR_INTERRUPTS();
	if (cursor->next == cursor->count)
	{
		MemoryContext caller = CurrentMemoryContext;
		EngineScope scope;

		if (cursor->table != NULL)
			SPI_freetuptable(cursor->table);
		enter(cursor, &scope);
		SPI_cursor_fetch(cursor->portal, true, FETCH_SIZE);
		engine_leave(&scope);
		MemoryContextSwitchTo(caller);
		cursor->table = SPI_tuptable;
		cursor->count = SPI_processed;
		cursor->next = 0;
	}
	cursor->tuple = cursor->next < cursor->count ? cursor->table->vals[cursor->next++] : NULL;
	if (cursor->tuple == NULL)
		return false;
	heap_deform_tuple(cursor->tuple, cursor->table->tupdesc, cursor->values, cursor->nulls);
	return true;
}

void
cursor_close(Cursor *cursor)
{
	if (cursor->table != NULL)
		SPI_freetuptable(cursor->table);
	SPI_cursor_close(cursor->portal);
}

void
cursor_entry(const Cursor *cursor, EntryRow *entry)
{
	const Datum *values = cursor->values;
	const bool *nulls = cursor->nulls;
	struct varlena *hash = PG_DETOAST_DATUM_PACKED(values[16]);

	memset(entry, 0, sizeof(*entry));
	entry->member_id = DatumGetInt64(values[0]);
	entry->seq = DatumGetInt64(values[1]);
	entry->points = DatumGetPoints(values[2]);
	entry->occurred_at = DatumGetTimestampTz(values[3]);
	entry->posted_at = DatumGetTimestampTz(values[4]);
	entry->program_id = DatumGetInt32(values[5]);
	entry->rule_id = DatumGetInt32(values[6]);
	entry->source_id = DatumGetInt32(values[7]);
	entry->revision = DatumGetInt32(values[8]);
	entry->rule_horizon = DatumGetInt32(values[9]);
	entry->kind = TextDatumGetCString(values[10]);
	entry->source_key = DatumGetTextPP(values[11]);
	entry->lots = values[12];
	entry->amount = nulls[13] ? NULL : DatumGetNumeric(values[13]);
	entry->context = nulls[14] ? NULL : DatumGetJsonbP(values[14]);
	entry->note = nulls[15] ? NULL : DatumGetTextPP(values[15]);
	/* A hash of another length stays zero, which no entry's is. */
	if (VARSIZE_ANY_EXHDR(hash) == HASH_LENGTH)
		memcpy(entry->hash, VARDATA_ANY(hash), HASH_LENGTH);
}

/*
 * Members
 */

/* Columns of the cursor over members. */
#define MEMBER_COLUMNS \
	"member_id, seq, lifetime, enrolled_at, last_activity, program_id, next_expiry, ref, status, purse, head, purchases, held"

/* A member on the way through his entries. */
typedef struct Walk
{
	Verification *verification;
	int64		member_id;
	bool		known;			/* his row is there */
	bool		forgotten;		/* what was personal has been blanked */
	MemberRow	row;			/* then; but for status and head */
	const char *status;
	struct varlena *head;
	Program    *program;		/* NULL: none has his number */
	Violation	violation;		/* program and member are filled in */
	int64		nentries;
	int64		seq;			/* of the last entry */
	int			purchases;		/* that begin with one of them */
	int			maybe_purchases;	/* events of which nobody can tell any more */
	Points		debt_before;	/* the last entry, if that released held points or gave back what was spent; else 0 */
	uint8		hash[HASH_LENGTH];	/* its hash, as stored */
	MemberState state;			/* what the entries add up to */
	bool		broken;			/* they cannot be added up */
	/* the entry at hand */
	EntryRow	entry;
	uint8		computed[HASH_LENGTH];
	Points		total;
} Walk;

static void
report(Walk *walk, const char *invariant, const char *problem, const char *expected, const char *actual)
{
	walk->violation.invariant = invariant;
	walk->violation.problem = problem;
	walk->violation.expected = expected;
	walk->violation.actual = actual;
	verify_report(walk->verification, &walk->violation);
}

static char *
int_text(int64 value)
{
	return psprintf(INT64_FORMAT, value);
}

static char *
hex_text(const void *bytes, Size length)
{
	char	   *hex = palloc(length * 2 + 1);

	hex[hex_encode(bytes, length, hex)] = '\0';
	return hex;
}

static char *
purse_text(const Purse *purse)
{
	return DatumGetCString(DirectFunctionCall1(loyalty_purse_out, purse_pack(purse)));
}

static char *
date_text(DateADT day)
{
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));
}

static char *
time_text(TimestampTz at)
{
	return TIMESTAMP_IS_NOBEGIN(at) ? pstrdup("none")
		: DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(at)));
}

/* Unpack the member's row, as far as that cannot fail. */
static void
read_member(Walk *walk, const Cursor *members)
{
	MemberRow  *row = &walk->row;
	const Datum *values = members->values;
	const bool *nulls = members->nulls;

	row->member_id = walk->member_id;
	row->seq = DatumGetInt64(values[1]);
	row->lifetime = DatumGetPoints(values[2]);
	row->enrolled_at = DatumGetTimestampTz(values[3]);
	row->last_activity = nulls[4] ? DT_NOBEGIN : DatumGetTimestampTz(values[4]);
	row->program_id = DatumGetInt32(values[5]);
	row->next_expiry = nulls[6] ? DATEVAL_NOEND : DatumGetDateADT(values[6]);
	row->ref = DatumGetTextPP(values[7]);
	walk->status = TextDatumGetCString(values[8]);
	walk->forgotten = strcmp(walk->status, "forgotten") == 0;
	purse_init(&row->purse);
	purse_read(&row->purse, values[9]);
	walk->head = PG_DETOAST_DATUM_PACKED(values[10]);
	row->purchases = DatumGetInt32(values[11]);
	row->held = DatumGetPoints(values[12]);
}

/* Start with the member; "members" is NULL when there are only entries of his. */
static void
begin_walk(Walk *walk, Verification *verification, int64 member_id,
		   const Cursor *members, const Cursor *entries)
{
	memset(walk, 0, sizeof(*walk));
	walk->verification = verification;
	walk->member_id = member_id;
	walk->known = members != NULL;
	purse_init(&walk->state.purse);
	walk->state.last_activity = DT_NOBEGIN;
	if (walk->known)
	{
		read_member(walk, members);
		walk->program = config_program_by_id(verification->config, walk->row.program_id);
		walk->violation.member = text_to_cstring(walk->row.ref);
	}
	else
	{
		walk->program = config_program_by_id(verification->config, DatumGetInt32(entries->values[5]));
		walk->violation.member = psprintf("member_id " INT64_FORMAT, member_id);
	}
	if (walk->program != NULL)
		walk->violation.program = walk->program->name;
}

static bool
has_prefix(const text *key, const char *prefix)
{
	return VARSIZE_ANY_EXHDR(key) >= strlen(prefix) &&
		memcmp(VARDATA_ANY(key), prefix, strlen(prefix)) == 0;
}

/* A field of a JSON object, of the given type; NULL when there is none. */
static JsonbValue *
json_field(JsonbContainer *object, const char *name, enum jbvType type)
{
	JsonbValue	key;
	JsonbValue *value;

	if (!JsonContainerIsObject(object))
		return NULL;
	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	value = findJsonbValueFromContainer(object, JB_FOBJECT, &key);
	return value == NULL || value->type != type ? NULL : value;
}

/* Whether the entry was asked for as a purchase; false in "known" when it does not say. */
static bool
asked_for_purchase(const EntryRow *entry, bool *known)
{
	JsonbValue *request = entry->context == NULL ? NULL
		: json_field(&entry->context->root, "request", jbvBinary);
	JsonbValue *event = request == NULL ? NULL
		: json_field(request->val.binary.data, "event", jbvString);

	*known = event != NULL;
	return *known && event->val.string.len == strlen(PURCHASE_EVENT) &&
		memcmp(event->val.string.val, PURCHASE_EVENT, strlen(PURCHASE_EVENT)) == 0;
}

/* Count the purchase that begins with the entry. */
static void
count_purchase(Walk *walk)
{
	const EntryRow *entry = &walk->entry;
	bool		known = true;

	if (entry->revision != 1 || entry->amount == NULL)
		return;
	if (entry->source_id != SOURCE_API || has_prefix(entry->source_key, PURCHASE_EVENT ":"))
		walk->purchases++;
	else if (has_prefix(entry->source_key, "#"))
	{
		/* An event without a key of its own.  Its context may have been blanked. */
		walk->purchases += asked_for_purchase(entry, &known);
		walk->maybe_purchases += !known &&
			(strcmp(entry->kind, KIND_EARN) == 0 || strcmp(entry->kind, KIND_CLAWBACK) == 0);
	}
}

/* Compute the entry's hash, and add it to what the member's entries say. */
static void
add_entry(void *arg)
{
	Walk	   *walk = arg;
	EntryRow   *entry = &walk->entry;
	EntryRow	rehashed = *entry;
	Purse		lots;

	chain_hash(&rehashed, walk->nentries == 0 ? NULL : walk->hash, walk->forgotten);
	memcpy(walk->computed, rehashed.hash, HASH_LENGTH);
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	walk->total = purse_total(&lots);
	if (walk->broken)
		return;
	purse_add(&walk->state.purse, &lots);
	posting_count(entry, &walk->state.lifetime, &walk->state.held, &walk->state.last_activity);
}

/* The debt that the entries so far make; zero or below. */
static Points
debt_so_far(const Walk *walk)
{
	return walk->broken ? 0
		: Min(purse_lot(&walk->state.purse, DATEVAL_NOBEGIN, DATEVAL_NOEND), 0);
}

/* Whether the entry is what another member brought by a merge, who may have had a debt. */
static bool
came_with_debt(const EntryRow *entry)
{
	return strcmp(entry->kind, KIND_TRANSFER) == 0 && has_prefix(entry->source_key, TRANSFER_RECEIVED);
}

static void
check_entry(Walk *walk)
{
	EntryRow   *entry = &walk->entry;
	char	   *name = psprintf("entry " INT64_FORMAT, entry->seq);
	Points		debt = debt_so_far(walk);
	Points		allowed;
	ErrorData  *error = attempt(add_entry, walk);

	if (walk->known && entry->program_id != walk->row.program_id)
		report(walk, "I2", psprintf("%s is not of its member's program", name),
			   int_text(walk->row.program_id), int_text(entry->program_id));
	if (walk->known && entry->seq != walk->seq + 1)
		report(walk, "I2", psprintf("%s does not follow the entry before it", name),
			   int_text(walk->seq + 1), int_text(entry->seq));
	if (error != NULL)
	{
		walk->broken = true;
		report(walk, "I1", psprintf("%s cannot be added up: %s", name, error->message), NULL, NULL);
	}
	else
	{
		if (walk->known && memcmp(walk->computed, entry->hash, HASH_LENGTH) != 0)
			report(walk, "I3", psprintf("hash of %s does not cover it and the hash before it", name),
				   hex_text(walk->computed, HASH_LENGTH), hex_text(entry->hash, HASH_LENGTH));
		if (entry->points != walk->total)
			report(walk, "I1", psprintf("points of %s are not the total of its lots", name),
				   points_to_cstring(walk->total), points_to_cstring(entry->points));
		/* What is captured was released just before; what pays under another key was given back. */
		allowed = strcmp(entry->kind, KIND_REDEEM) == 0 ? Min(debt, walk->debt_before) : debt;
		if (debt_so_far(walk) < allowed && strcmp(entry->kind, KIND_CLAWBACK) != 0 &&
			strcmp(entry->kind, KIND_IMPORT) != 0 && !came_with_debt(entry))
			report(walk, "I5", psprintf("%s makes a debt though it is no clawback", name),
				   points_to_cstring(allowed), points_to_cstring(debt_so_far(walk)));
	}
	walk->debt_before = entry->points > 0 &&
		(strcmp(entry->kind, KIND_RELEASE) == 0 || strcmp(entry->kind, KIND_REFUND) == 0) ? debt : 0;
	count_purchase(walk);
	walk->nentries++;
	walk->seq = entry->seq;
	memcpy(walk->hash, entry->hash, HASH_LENGTH);
}

static bool
same_purse(const Purse *a, const Purse *b)
{
	int			i;

	if (a->nlots != b->nlots)
		return false;
	for (i = 0; i < a->nlots; i++)
		if (a->lots[i].starts != b->lots[i].starts || a->lots[i].ends != b->lots[i].ends ||
			a->lots[i].points != b->lots[i].points)
			return false;
	return true;
}

/* I1: what the row says is what the entries say. */
static void
check_sums(Walk *walk)
{
	const MemberRow *row = &walk->row;
	const MemberState *state = &walk->state;

	if (walk->broken)
		return;
	if (!same_purse(&row->purse, &state->purse))
		report(walk, "I1", "purse is not the sum of the entries' lots",
			   purse_text(&state->purse), purse_text(&row->purse));
	if (row->lifetime != state->lifetime)
		report(walk, "I1", "lifetime points are not what the entries say",
			   points_to_cstring(state->lifetime), points_to_cstring(row->lifetime));
	if (row->held != state->held)
		report(walk, "I1", "held points are not what the entries say",
			   points_to_cstring(state->held), points_to_cstring(row->held));
	if (row->last_activity != state->last_activity)
		report(walk, "I1", "last activity is not what the entries say",
			   time_text(state->last_activity), time_text(row->last_activity));
}

/* I2 and I3: the row knows the last entry, and how many purchases there are. */
static void
check_end(Walk *walk)
{
	Size		length = VARSIZE_ANY_EXHDR(walk->head);

	if (walk->row.seq != walk->seq)
		report(walk, "I2", "number of the last entry is not the row's",
			   int_text(walk->seq), int_text(walk->row.seq));
	if (walk->row.purchases < walk->purchases ||
		walk->row.purchases > walk->purchases + walk->maybe_purchases)
		report(walk, "I2", "number of purchases is not what the entries say",
			   int_text(walk->purchases), int_text(walk->row.purchases));
	if (length != (walk->nentries == 0 ? 0 : HASH_LENGTH) ||
		memcmp(VARDATA_ANY(walk->head), walk->hash, length) != 0)
		report(walk, "I3", "head is not the hash of the last entry",
			   walk->nentries == 0 ? "" : hex_text(walk->hash, HASH_LENGTH),
			   hex_text(VARDATA_ANY(walk->head), length));
}

/* I5 and next_expiry: no lot is where none may be. */
static void
check_lots(Walk *walk)
{
	const MemberRow *row = &walk->row;
	bool		bounded = true;
	int			i;

	for (i = 0; i < row->purse.nlots; i++)
	{
		const Lot  *lot = &row->purse.lots[i];

		if (lot->points < 0 && !(DATE_IS_NOBEGIN(lot->starts) && DATE_IS_NOEND(lot->ends)))
			report(walk, "I5", "a lot that is no debt is below zero", "0",
				   psprintf("%s that end on %s", points_to_cstring(lot->points), date_text(lot->ends)));
		if (lot->points > 0 && lot->ends < row->next_expiry && bounded)
		{
			report(walk, "member", "points end before next_expiry",
				   date_text(lot->ends), date_text(row->next_expiry));
			bounded = false;
		}
	}
}

/* The ref leads to the row, by computation or by member_alias. */
static void
check_ref(Walk *walk)
{
	int64		computed;

	if (walk->program == NULL)
	{
		report(walk, "member", "program does not exist", NULL, int_text(walk->row.program_id));
		return;
	}
	/* His is a pseudonym: verify_forgotten.c looks at it. */
	if (walk->forgotten)
		return;
	computed = DatumGetInt64(DirectFunctionCall2(loyalty_member_id, PointerGetDatum(walk->row.ref),
												 CStringGetTextDatum(walk->program->name)));
	if (computed != walk->member_id &&
		member_resolve(walk->verification->config, walk->program, walk->row.ref) != walk->member_id)
		report(walk, "member", "ref does not lead to the member",
			   int_text(computed), int_text(walk->member_id));
}

static void
end_walk(Walk *walk)
{
	if (!walk->known)
	{
		report(walk, "I2", "entries whose member is not there", "0", int_text(walk->nentries));
		return;
	}
	check_sums(walk);
	check_end(walk);
	check_lots(walk);
	check_ref(walk);
	if (strcmp(walk->status, "active") != 0 && strcmp(walk->status, "suspended") != 0 &&
		strcmp(walk->status, "closed") != 0 && strcmp(walk->status, "merged") != 0 && !walk->forgotten)
		report(walk, "member", "status is not known", "active, suspended, closed, merged or forgotten", walk->status);
}

void
verify_members(Verification *verification)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext member_context = AllocSetContextCreate(caller, "loyalty member", ALLOCSET_DEFAULT_SIZES);
	MemoryContext entry_context = AllocSetContextCreate(caller, "loyalty entry", ALLOCSET_DEFAULT_SIZES);
	Cursor		members;
	Cursor		entries;
	bool		more_members;
	bool		more_entries;

	if (verification->only != NULL)
		values[0] = Int32GetDatum(verification->only->program_id);
	cursor_open(&members, InvalidOid,
				"SELECT " MEMBER_COLUMNS " FROM loyalty.member"
				" WHERE $1 IS NULL OR program_id = $1 ORDER BY member_id", 1, types, values, nulls);
	cursor_open(&entries, InvalidOid,
				"SELECT " ENTRY_COLUMNS " FROM loyalty.entry"
				" WHERE $1 IS NULL OR program_id = $1 ORDER BY member_id, seq", 1, types, values, nulls);
	more_members = cursor_next(&members);
	more_entries = cursor_next(&entries);
	while (more_members || more_entries)
	{
		int64		of_members = more_members ? DatumGetInt64(members.values[0]) : PG_INT64_MAX;
		int64		of_entries = more_entries ? DatumGetInt64(entries.values[0]) : PG_INT64_MAX;
		int64		member_id = Min(of_members, of_entries);
		bool		known = more_members && of_members == member_id;
		Walk		walk;

		MemoryContextReset(member_context);
		MemoryContextSwitchTo(member_context);
		begin_walk(&walk, verification, member_id, known ? &members : NULL, &entries);
		while (more_entries && DatumGetInt64(entries.values[0]) == member_id)
		{
			MemoryContextReset(entry_context);
			MemoryContextSwitchTo(entry_context);
			cursor_entry(&entries, &walk.entry);
			check_entry(&walk);
			more_entries = cursor_next(&entries);
		}
		MemoryContextSwitchTo(member_context);
		end_walk(&walk);
		if (known)
			more_members = cursor_next(&members);
		MemoryContextSwitchTo(caller);
	}
	cursor_close(&members);
	cursor_close(&entries);
	MemoryContextDelete(entry_context);
	MemoryContextDelete(member_context);
}

/* verify(program) → setof violation */
Datum
loyalty_verify(PG_FUNCTION_ARGS)
{
	Verification verification;
	EngineScope scope;

	verification.config = config_get();
	verification.only = PG_ARGISNULL(0) && access_is_owner(verification.config) ? NULL
		: access_program(verification.config, text_argument(fcinfo, 0), ACCESS_READ);
	verification.result = result_begin(fcinfo, &verification.desc);
	engine_enter(&scope, verification.config->owner);
	SPI_connect();
	verify_members(&verification);
	verify_purchases(&verification);
	verify_limits(&verification);
	verify_confirm(&verification);
	verify_transfers(&verification);
	verify_holds(&verification);
	verify_cancel(&verification);
	verify_redemptions(&verification);
	verify_vouchers(&verification);
	verify_people(&verification);
	verify_proposals(&verification);
	verify_seals(&verification);
	verify_tiers(&verification);
	verify_forgotten(&verification);
	verify_access(&verification);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_NULL();
}
