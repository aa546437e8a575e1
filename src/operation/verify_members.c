/*
 * verify_members.c
 *		Proving that members are what their entries say.
 *
 * Members, entries and leaves of seals of a range come from cursors in the order
 * of member_id, and are merged.
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
 * I3 seals	each leaf of a seal belongs to a member of its program, and its head is the
 *		  hash of the member's entry with that number.  The seals themselves are
 *		  verify_seals.c's.
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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "loyalty.h"
#include "operation/verify_walk.h"

extern Datum loyalty_member_id(PG_FUNCTION_ARGS);
extern Datum loyalty_purse_out(PG_FUNCTION_ARGS);

/* Columns of the cursor over members. */
#define MEMBER_COLUMNS \
	"member_id, seq, lifetime, enrolled_at, last_activity, program_id, next_expiry, ref, status, purse, head, purchases, held"

#define IN_RANGE \
	" WHERE ($1 IS NULL OR program_id = $1) AND member_id >= $2 AND member_id <= $3"

void
walk_report(Walk *walk, const char *invariant, const char *problem, const char *expected, const char *actual)
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

char *
walk_int_text(int64 value)
{
	return psprintf(INT64_FORMAT, value);
}

char *
walk_hex_text(const void *bytes, Size length)
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

/* Whether the cursor stands at a row of the member. */
static bool
at_member(bool more, const Cursor *cursor, int64 member_id)
{
	return more && DatumGetInt64(cursor->values[0]) == member_id;
}

/* Start with the member, who has a row, or only entries or leaves. */
static void
begin_walk(Walk *walk, Round *round, int64 member_id)
{
	memset(walk, 0, sizeof(*walk));
	walk->round = round;
	round->moved = 0;
	walk->member_id = member_id;
	walk->known = at_member(round->more_members, &round->members, member_id);
	purse_init(&walk->state.purse);
	walk->state.last_activity = DT_NOBEGIN;
	if (walk->known)
	{
		read_member(walk, &round->members);
		walk->program = program_name(round, walk->row.program_id);
		walk->violation.member = text_to_cstring(walk->row.ref);
	}
	else
	{
		if (at_member(round->more_entries, &round->entries, member_id))
			walk->program = program_name(round, DatumGetInt32(round->entries.values[5]));
		else
			walk->program = program_name(round, DatumGetInt32(round->leaves.values[4]));
		walk->violation.member = psprintf("member_id " INT64_FORMAT, member_id);
	}
	walk->violation.program = walk->program;
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
		walk_report(walk, "I1", "purse is not the sum of the entries' lots",
			   purse_text(&state->purse), purse_text(&row->purse));
	if (row->lifetime != state->lifetime)
		walk_report(walk, "I1", "lifetime points are not what the entries say",
			   points_to_cstring(state->lifetime), points_to_cstring(row->lifetime));
	if (row->held != state->held)
		walk_report(walk, "I1", "held points are not what the entries say",
			   points_to_cstring(state->held), points_to_cstring(row->held));
	if (row->last_activity != state->last_activity)
		walk_report(walk, "I1", "last activity is not what the entries say",
			   time_text(state->last_activity), time_text(row->last_activity));
}

/* I2 and I3: the row knows the last entry, and how many purchases there are. */
static void
check_end(Walk *walk)
{
	Size		length = VARSIZE_ANY_EXHDR(walk->head);

	if (walk->row.seq != walk->seq)
		walk_report(walk, "I2", "number of the last entry is not the row's",
			   walk_int_text(walk->seq), walk_int_text(walk->row.seq));
	if (walk->row.purchases < walk->purchases ||
		walk->row.purchases > walk->purchases + walk->maybe_purchases)
		walk_report(walk, "I2", "number of purchases is not what the entries say",
			   walk_int_text(walk->purchases), walk_int_text(walk->row.purchases));
	if (length != (walk->nentries == 0 ? 0 : HASH_LENGTH) ||
		memcmp(VARDATA_ANY(walk->head), walk->hash, length) != 0)
		walk_report(walk, "I3", "head is not the hash of the last entry",
			   walk->nentries == 0 ? "" : walk_hex_text(walk->hash, HASH_LENGTH),
			   walk_hex_text(VARDATA_ANY(walk->head), length));
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
			walk_report(walk, "I5", "a lot that is no debt is below zero", "0",
				   psprintf("%s that end on %s", points_to_cstring(lot->points), date_text(lot->ends)));
		if (lot->points > 0 && lot->ends < row->next_expiry && bounded)
		{
			walk_report(walk, "member", "points end before next_expiry",
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
		walk_report(walk, "member", "program does not exist", NULL, walk_int_text(walk->row.program_id));
		return;
	}
	/* His is a pseudonym: verify_forgotten.c looks at it. */
	if (walk->forgotten)
		return;
	computed = DatumGetInt64(DirectFunctionCall2(loyalty_member_id, PointerGetDatum(walk->row.ref),
												 CStringGetTextDatum(walk->program)));
	if (computed != walk->member_id &&
		alias_of(walk->round, walk->row.program_id, walk->row.ref) != walk->member_id)
		walk_report(walk, "member", "ref does not lead to the member",
			   walk_int_text(computed), walk_int_text(walk->member_id));
}

static void
end_walk(Walk *walk)
{
	walk_check_leaves(walk, NULL);
	if (!walk->known)
	{
		if (walk->nentries > 0)
			walk_report(walk, "I2", "entries whose member is not there", "0", walk_int_text(walk->nentries));
		return;
	}
	check_sums(walk);
	check_end(walk);
	check_lots(walk);
	check_ref(walk);
	if (strcmp(walk->status, "active") != 0 && strcmp(walk->status, "suspended") != 0 &&
		strcmp(walk->status, "closed") != 0 && strcmp(walk->status, "merged") != 0 && !walk->forgotten)
		walk_report(walk, "member", "status is not known", "active, suspended, closed, merged or forgotten", walk->status);
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

static void
open_cursors(Round *round, const MemberRange *range)
{
	Oid			types[3] = {INT4OID, INT8OID, INT8OID};
	Datum		values[3] = {Int32GetDatum(range->program_id), Int64GetDatum(range->first), Int64GetDatum(range->last)};
	char		nulls[3] = {range->program_id == 0 ? 'n' : ' ', ' ', ' '};

	cursor_open(&round->members, InvalidOid,
				"SELECT " MEMBER_COLUMNS " FROM loyalty.member" IN_RANGE " ORDER BY member_id",
				lengthof(types), types, values, nulls);
	cursor_open(&round->entries, InvalidOid,
				"SELECT " ENTRY_COLUMNS " FROM loyalty.entry" IN_RANGE " ORDER BY member_id, seq",
				lengthof(types), types, values, nulls);
	cursor_open(&round->leaves, InvalidOid,
				"SELECT member_id, seq, seal, head, program_id FROM loyalty.seal_leaf" IN_RANGE " ORDER BY member_id, seq, seal",
				lengthof(types), types, values, nulls);
	round->more_members = cursor_next(&round->members);
	round->more_entries = cursor_next(&round->entries);
	round->more_leaves = cursor_next(&round->leaves);
}

/* The member of whom the next row is. */
static int64
next_member(const Round *round)
{
	int64		member_id = PG_INT64_MAX;

	if (round->more_members)
		member_id = DatumGetInt64(round->members.values[0]);
	if (round->more_entries)
		member_id = Min(member_id, DatumGetInt64(round->entries.values[0]));
	if (round->more_leaves)
		member_id = Min(member_id, DatumGetInt64(round->leaves.values[0]));
	return member_id;
}

/* The next member, with all that is his. */
static void
go_through_member(Round *round, MemoryContext member_context, MemoryContext entry_context)
{
	Walk		walk;

	MemoryContextReset(member_context);
	MemoryContextSwitchTo(member_context);
	begin_walk(&walk, round, next_member(round));
	while (at_member(round->more_entries, &round->entries, walk.member_id))
	{
		MemoryContextReset(entry_context);
		MemoryContextSwitchTo(entry_context);
		cursor_entry(&round->entries, &walk.entry);
		walk_check_entry(&walk);
		walk_check_leaves(&walk, &walk.entry);
		round->more_entries = cursor_next(&round->entries);
	}
	MemoryContextSwitchTo(member_context);
	end_walk(&walk);
	if (walk.known)
		round->more_members = cursor_next(&round->members);
}

bool
verify_range(Verification *verification, const MemberRange *range)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext member_context = AllocSetContextCreate(caller, "loyalty member", ALLOCSET_DEFAULT_SIZES);
	MemoryContext entry_context = AllocSetContextCreate(caller, "loyalty entry", ALLOCSET_DEFAULT_SIZES);
	Round		round = {.verification = verification, .sound = true};

	read_programs(&round);
	open_cursors(&round, range);
	while ((round.more_members || round.more_entries || round.more_leaves) &&
		   (round.sound || verification != NULL))
	{
		go_through_member(&round, member_context, entry_context);
		MemoryContextSwitchTo(caller);
	}
	cursor_close(&round.members);
	cursor_close(&round.entries);
	cursor_close(&round.leaves);
	MemoryContextDelete(entry_context);
	MemoryContextDelete(member_context);
	return round.sound;
}
