/*
 * verify_members.c
 *		Proving that members are what their entries say.
 *
 * Members and entries of a range come from two cursors in the order of
 * member_id, and are merged.
 *
 * I1	  each entry's points are the total of its lots; the member's purse is
 *		  the sum of his entries' lots, his lifetime points, the points held
 *		  for him and his last activity what his entries say.
 * I2	  his entries count 1..n without gaps, his row says n; an entry's program
 *		  is its member's; no entry is without a member; his row counts the
 *		  purchases that have a first posting.
 * I3	  each entry's hash covers it and the hash before it; the row has the
 *		  last.  A wrong hash is reported once: the next one is held against
 *		  what is stored.
 * I5	  no lot of the purse is below zero but a debt, which is the lot that
 *		  starts at once and never ends; so nobody has less than zero available
 *		  otherwise.  The program's policy of today does not tell whether a debt
 *		  was allowed when it was made, the entries do: only a clawback may
 *		  make a debt or deepen it, and an import or a merge bring one along.  What
 *		  a hold releases to be captured leaves a debt as it was before.
 * member his ref leads to his row, his program exists, his status is known, and
 *		  no points end before next_expiry.
 *
 * A range that is to be sound is gone through quietly, up to its first
 * violation.  That needs no subtransactions, and so can be done side by side.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "earning/attempt.h"
#include "earning/request.h"
#include "ledger/balance.h"
#include "ledger/chain.h"
#include "ledger/posting.h"
#include "loyalty.h"
#include "operation/verify.h"
#include "redemption/transfer.h"

extern Datum loyalty_member_id(PG_FUNCTION_ARGS);
extern Datum loyalty_purse_out(PG_FUNCTION_ARGS);

/* Columns of the cursor over members. */
#define MEMBER_COLUMNS \
	"member_id, seq, lifetime, enrolled_at, last_activity, program_id, next_expiry, ref, status, purse, head, purchases, held"

/* One way through a range of members. */
typedef struct Round
{
	Verification *verification; /* NULL: quietly */
	bool		sound;			/* so far */
	int			nprograms;
	int32	   *program_ids;
	const char **program_names;
	SPIPlanPtr	alias;			/* where a ref leads; NULL until it is asked for */
	uint64		moved;			/* points that the member's entries have moved, without their sign */
} Round;

/* A member on the way through his entries. */
typedef struct Walk
{
	Round	   *round;
	int64		member_id;
	bool		known;			/* his row is there */
	MemberRow	row;			/* then; but for status and head */
	const char *status;
	struct varlena *head;
	const char *program;		/* its name; NULL: none has his number */
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
	walk->round->sound = false;
	if (walk->round->verification == NULL)
		return;
	walk->violation.invariant = invariant;
	walk->violation.problem = problem;
	walk->violation.expected = expected;
	walk->violation.actual = actual;
	verify_report(walk->round->verification, &walk->violation);
}

static const char *
program_name(const Round *round, int32 program_id)
{
	int			i;

	for (i = 0; i < round->nprograms; i++)
		if (round->program_ids[i] == program_id)
			return round->program_names[i];
	return NULL;
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
	purse_init(&row->purse);
	purse_read(&row->purse, values[9]);
	walk->head = PG_DETOAST_DATUM_PACKED(values[10]);
	row->purchases = DatumGetInt32(values[11]);
	row->held = DatumGetPoints(values[12]);
}

/* Start with the member; "members" is NULL when there are only entries of his. */
static void
begin_walk(Walk *walk, Round *round, int64 member_id,
		   const Cursor *members, const Cursor *entries)
{
	memset(walk, 0, sizeof(*walk));
	walk->round = round;
	round->moved = 0;
	walk->member_id = member_id;
	walk->known = members != NULL;
	purse_init(&walk->state.purse);
	walk->state.last_activity = DT_NOBEGIN;
	if (walk->known)
	{
		read_member(walk, members);
		walk->program = program_name(round, walk->row.program_id);
		walk->violation.member = text_to_cstring(walk->row.ref);
	}
	else
	{
		walk->program = program_name(round, DatumGetInt32(entries->values[5]));
		walk->violation.member = psprintf("member_id " INT64_FORMAT, member_id);
	}
	walk->violation.program = walk->program;
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

	chain_hash(&rehashed, walk->nentries == 0 ? NULL : walk->hash);
	memcpy(walk->computed, rehashed.hash, HASH_LENGTH);
	purse_init(&lots);
	purse_read(&lots, entry->lots);
	walk->total = purse_total(&lots);
	if (walk->broken)
		return;
	purse_add(&walk->state.purse, &lots);
	posting_count(entry, &walk->state.lifetime, &walk->state.held, &walk->state.last_activity);
}

static bool
count_moved(Round *round, Points points)
{
	uint64		more = points < 0 ? -(uint64) points : (uint64) points;

	return !pg_add_u64_overflow(round->moved, more, &round->moved) && round->moved <= PG_INT64_MAX;
}

/* The same where no error may be caught: false when sums might be too great. */
static bool
add_entry_quietly(Walk *walk)
{
	Purse		lots;
	int			i;

	purse_init(&lots);
	purse_read(&lots, walk->entry.lots);
	if (!count_moved(walk->round, walk->entry.points))
		return false;
	for (i = 0; i < lots.nlots; i++)
		if (!count_moved(walk->round, lots.lots[i].points))
			return false;
	add_entry(walk);
	return true;
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
	Points		debt = debt_so_far(walk);
	Points		allowed;
	ErrorData  *error = NULL;

	if (walk->round->verification != NULL)
		error = attempt(add_entry, walk);
	else if (!add_entry_quietly(walk))
	{
		walk->round->sound = false;
		return;
	}
	if (walk->known && entry->program_id != walk->row.program_id)
		report(walk, "I2", psprintf("entry " INT64_FORMAT " is not of its member's program", entry->seq),
			   int_text(walk->row.program_id), int_text(entry->program_id));
	if (walk->known && entry->seq != walk->seq + 1)
		report(walk, "I2", psprintf("entry " INT64_FORMAT " does not follow the entry before it", entry->seq),
			   int_text(walk->seq + 1), int_text(entry->seq));
	if (error != NULL)
	{
		walk->broken = true;
		report(walk, "I1", psprintf("entry " INT64_FORMAT " cannot be added up: %s", entry->seq, error->message), NULL, NULL);
	}
	else
	{
		if (walk->known && memcmp(walk->computed, entry->hash, HASH_LENGTH) != 0)
			report(walk, "I3", psprintf("hash of entry " INT64_FORMAT " does not cover it and the hash before it", entry->seq),
				   hex_text(walk->computed, HASH_LENGTH), hex_text(entry->hash, HASH_LENGTH));
		if (entry->points != walk->total)
			report(walk, "I1", psprintf("points of entry " INT64_FORMAT " are not the total of its lots", entry->seq),
				   points_to_cstring(walk->total), points_to_cstring(entry->points));
		/* What is captured was released just before; what pays under another key was given back. */
		allowed = strcmp(entry->kind, KIND_REDEEM) == 0 ? Min(debt, walk->debt_before) : debt;
		if (debt_so_far(walk) < allowed && strcmp(entry->kind, KIND_CLAWBACK) != 0 &&
			strcmp(entry->kind, KIND_IMPORT) != 0 && !came_with_debt(entry))
			report(walk, "I5", psprintf("entry " INT64_FORMAT " makes a debt though it is no clawback", entry->seq),
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

/* Where member_alias leads a ref; -1: nowhere. */
static int64
alias_of(Round *round, int32 program_id, text *ref)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2] = {Int32GetDatum(program_id), PointerGetDatum(ref)};
	MemoryContext caller = CurrentMemoryContext;
	int64		member_id = -1;
	bool		isnull;

	if (round->alias == NULL)
		round->alias = SPI_prepare("SELECT member_id FROM loyalty.member_alias WHERE program_id = $1 AND ref = $2",
								   lengthof(types), types);
	SPI_execute_plan(round->alias, values, NULL, true, 1);
	if (SPI_processed > 0)
		member_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(caller);
	return member_id;
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
	computed = DatumGetInt64(DirectFunctionCall2(loyalty_member_id, PointerGetDatum(walk->row.ref),
												 CStringGetTextDatum(walk->program)));
	if (computed != walk->member_id &&
		alias_of(walk->round, walk->row.program_id, walk->row.ref) != walk->member_id)
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
		strcmp(walk->status, "closed") != 0 && strcmp(walk->status, "merged") != 0)
		report(walk, "member", "status is not known", "active, suspended, closed or merged", walk->status);
}

static void
read_programs(Round *round)
{
	MemoryContext caller = CurrentMemoryContext;
	int			i;

	SPI_execute("SELECT program_id, name FROM loyalty.program", true, 0);
	MemoryContextSwitchTo(caller);
	round->nprograms = (int) SPI_processed;
	round->program_ids = palloc(sizeof(int32) * Max(round->nprograms, 1));
	round->program_names = palloc(sizeof(char *) * Max(round->nprograms, 1));
	for (i = 0; i < round->nprograms; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		round->program_ids[i] = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		round->program_names[i] = TextDatumGetCString(SPI_getbinval(row, desc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

bool
verify_range(Verification *verification, const MemberRange *range)
{
	Oid			types[3] = {INT4OID, INT8OID, INT8OID};
	Datum		values[3] = {Int32GetDatum(range->program_id), Int64GetDatum(range->first), Int64GetDatum(range->last)};
	char		nulls[3] = {range->program_id == 0 ? 'n' : ' ', ' ', ' '};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext member_context = AllocSetContextCreate(caller, "loyalty member", ALLOCSET_DEFAULT_SIZES);
	MemoryContext entry_context = AllocSetContextCreate(caller, "loyalty entry", ALLOCSET_DEFAULT_SIZES);
	Round		round = {.verification = verification, .sound = true};
	Cursor		members;
	Cursor		entries;
	bool		more_members;
	bool		more_entries;

	read_programs(&round);
	cursor_open(&members, InvalidOid,
				"SELECT " MEMBER_COLUMNS " FROM loyalty.member"
				" WHERE ($1 IS NULL OR program_id = $1) AND member_id >= $2 AND member_id <= $3"
				" ORDER BY member_id", lengthof(types), types, values, nulls);
	cursor_open(&entries, InvalidOid,
				"SELECT " ENTRY_COLUMNS " FROM loyalty.entry"
				" WHERE ($1 IS NULL OR program_id = $1) AND member_id >= $2 AND member_id <= $3"
				" ORDER BY member_id, seq", lengthof(types), types, values, nulls);
	more_members = cursor_next(&members);
	more_entries = cursor_next(&entries);
	while ((more_members || more_entries) && (round.sound || verification != NULL))
	{
		int64		of_members = more_members ? DatumGetInt64(members.values[0]) : PG_INT64_MAX;
		int64		of_entries = more_entries ? DatumGetInt64(entries.values[0]) : PG_INT64_MAX;
		int64		member_id = Min(of_members, of_entries);
		bool		known = more_members && of_members == member_id;
		Walk		walk;

		MemoryContextReset(member_context);
		MemoryContextSwitchTo(member_context);
		begin_walk(&walk, &round, member_id, known ? &members : NULL, &entries);
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
	return round.sound;
}
