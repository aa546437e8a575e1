/*
 * verify_tiers.c
 *		Proving that members stand where they should (I7), and that maintenance
 *		finds them in time.
 *
 * I7	  the tally of each member is what his entries count for, from the day
 *		  on which it is complete; his changes of tier count 1..n without gaps,
 *		  and lead to the tier that he has, since when and until when; beside a
 *		  floor his tier is the higher one, unless tiers have changed and he is
 *		  still to be reviewed; no change is without a member.
 * member nothing falls due, and no review does anything, up to next_expiry:
 *		  where maintenance has been through all members under the present
 *		  terms, it is worked out for each what it would write now, and when it
 *		  will next.
 *
 * Members are read one after the other, their entries and changes by index.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "earning/attempt.h"
#include "earning/qualify.h"
#include "loyalty.h"
#include "operation/due.h"
#include "operation/verify.h"
#include "tiers/standing.h"
#include "types/calendar.h"

extern Datum loyalty_tally_out(PG_FUNCTION_ARGS);

/* One program being proven, and the member at hand. */
typedef struct TierProof
{
	Verification *verification;
	Program    *program;
	const TierSet *tiers;
	bool		known;			/* maintenance knows all members */
	Store	   *store;			/* that is visited */
	Store	   *reader;			/* another one, to be read in subtransactions */
	Snapshot	snapshot;
	MemoryContext context;		/* of a member */
	TimestampTz now;
	bool		readable;		/* his row is */
	MemberRow	row;
	List	   *found;			/* violations, to be reported outside of subtransactions */
	/* his changes, as far as they were read */
	int			nchanges;
	bool		gap;
	text	   *tier;
	TimestampTz since;
	DateADT		until;			/* of his own tier, if there is no floor */
	bool		has_floor_until;
	DateADT		floor_until;
} TierProof;

static void
report(TierProof *proof, const char *invariant, const char *problem, const char *expected, const char *actual)
{
	Violation  *violation = palloc0(sizeof(Violation));

	violation->invariant = invariant;
	violation->program = proof->program->name;
	violation->member = text_to_cstring(proof->row.ref);
	violation->problem = problem;
	violation->expected = expected;
	violation->actual = actual;
	proof->found = lappend(proof->found, violation);
}

static const char *
tier_text(const text *tier)
{
	return tier == NULL ? "none" : text_to_cstring(tier);
}

static char *
day_text(DateADT day)
{
	return DATE_IS_NOEND(day) ? pstrdup("none")
		: DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(day)));
}

static char *
tally_text(const Tally *tally)
{
	return DatumGetCString(DirectFunctionCall1(loyalty_tally_out, tally_pack(tally)));
}

/* I7: the tally is what the entries count for. */
static void
check_tally(TierProof *proof)
{
	QualifyCounter counter = {proof->program, rule_set(proof->verification->config, proof->program), proof->reader};
	const MemberRow *row = &proof->row;
	Tally		tally;
	Tally		counted;
	char	   *expected;
	char	   *actual;

	if (DATE_IS_NOEND(row->tally_since))
		return;
	tally_init(&tally);
	tally_init(&counted);
	tally_read(&tally, row->tally);
	qualify_count(&counter, row->member_id, &counted);
	if (tally.nperiods > 0 ? tally.resolution == PERIOD_EVER
		: qualification_resolution(proof->program->tier_window) == PERIOD_EVER)
		tally_coarsen(&counted, PERIOD_EVER);
	/* What came back of purchases of dropped days stands there still. */
	if (!DATE_IS_NOBEGIN(row->tally_since))
	{
		tally_prune(&tally, row->tally_since);
		tally_prune(&counted, row->tally_since);
	}
	expected = tally_text(&counted);
	actual = tally_text(&tally);
	if (strcmp(expected, actual) != 0)
		report(proof, "I7", "tally is not what the entries count for", expected, actual);
}

static void
follow_change(const TierChangeRow *change, void *arg)
{
	TierProof  *proof = arg;

	proof->gap |= change->change_no != ++proof->nchanges || change->program_id != proof->row.program_id;
	if (proof->nchanges == 1)
		proof->tier = change->from_tier == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(change->from_tier));
	/* What comes late dates from before the tier of that time, which it leaves. */
	if (change->at < proof->since)
		return;
	proof->until = change->until;
	/* One that is below his own when it is given tells his own's last day. */
	if (strcmp(change->reason, TIER_MANUAL) == 0)
	{
		proof->has_floor_until = same_text(change->to_tier, proof->row.tier_floor);
		proof->floor_until = change->until;
	}
	if (same_text(change->from_tier, change->to_tier))
		return;
	proof->tier = change->to_tier == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(change->to_tier));
	proof->since = change->at;
}

/* I7: the changes lead to the tier that he has. */
static void
check_changes(TierProof *proof)
{
	const MemberRow *row = &proof->row;

	proof->nchanges = 0;
	proof->gap = false;
	proof->tier = row->tier;
	proof->since = DT_NOBEGIN;
	proof->until = DATEVAL_NOEND;
	proof->has_floor_until = false;
	store_visit_tier_changes(proof->reader, row->member_id, follow_change, proof);
	if (proof->gap || proof->nchanges != row->tier_changes)
		report(proof, "I7", "changes of tier do not count up to the row's number",
			   psprintf("%d", row->tier_changes), psprintf("%d", proof->nchanges));
	else if (!same_text(proof->tier, row->tier))
		report(proof, "I7", "tier is not the one that the changes lead to",
			   tier_text(proof->tier), tier_text(row->tier));
	else if (!TIMESTAMP_IS_NOBEGIN(proof->since) && proof->since != row->tier_since)
		report(proof, "I7", "tier_since is not when the last change took effect",
			   pstrdup(timestamptz_to_str(proof->since)), pstrdup(timestamptz_to_str(row->tier_since)));
	else if (row->tier_floor == NULL && proof->until != row->tier_until)
		report(proof, "I7", "tier_until is not what the last change says",
			   day_text(proof->until), day_text(row->tier_until));
}

/* I7: what the row says of a floor fits the changes and the tier that he has. */
static void
check_floor(TierProof *proof)
{
	const MemberRow *row = &proof->row;
	int			own = tier_by_name(proof->tiers, row->tier_own);
	int			lowest = tier_by_name(proof->tiers, row->tier_floor);

	if (row->tier_floor == NULL)
	{
		if (row->tier_own != NULL || !DATE_IS_NOEND(row->tier_floor_until))
			report(proof, "I7", "row tells of a floor that is not there", "none",
				   row->tier_own != NULL ? tier_text(row->tier_own) : day_text(row->tier_floor_until));
		return;
	}
	if (proof->has_floor_until && proof->floor_until != row->tier_floor_until)
		report(proof, "I7", "tier_floor_until is not what its change says",
			   day_text(proof->floor_until), day_text(row->tier_floor_until));
	/* Ranks of today say nothing of who is still to be reviewed by them. */
	if (proof->known && Max(own, lowest) != NO_TIER &&
		!same_text(proof->tiers->tiers[Max(own, lowest)].name, row->tier))
		report(proof, "I7", "tier is not the higher one of the member's own and his floor",
			   tier_text(proof->tiers->tiers[Max(own, lowest)].name), tier_text(row->tier));
}

/* Whether points end before a day, which verify_members reports. */
static bool
ends_before(const Purse *purse, DateADT day)
{
	int			i;

	for (i = 0; i < purse->nlots; i++)
		if (purse->lots[i].points > 0 && purse->lots[i].ends < day)
			return true;
	return false;
}

/* member: next_expiry is a lower bound of when maintenance has something to do. */
static void
check_bound(TierProof *proof)
{
	MemberRow	row = proof->row;
	DateADT		today = calendar_day(proof->now, proof->program->zone);
	Posting		posting;

	if (!proof->known || row.next_expiry < today)
		return;
	(void) due_settle_member(proof->verification->config, proof->program, proof->reader, &row, proof->now, &posting);
	if (posting.nentries > 0)
		report(proof, "member", "something has fallen due before next_expiry",
			   psprintf("nothing up to %s", day_text(proof->row.next_expiry)),
			   psprintf("%s of %s points", posting.entries[0].kind, points_to_cstring(posting.entries[0].points)));
	else if (posting.nchanges > 0)
		report(proof, "member", "tier is to be reviewed before next_expiry",
			   tier_text(posting.changes[posting.nchanges - 1].to_tier), tier_text(proof->row.tier));
	else if (proof->row.next_expiry > row.next_expiry && !ends_before(&row.purse, proof->row.next_expiry))
		report(proof, "member", "something falls due before next_expiry",
			   day_text(row.next_expiry), day_text(proof->row.next_expiry));
}

static void
check_member(void *arg)
{
	TierProof  *proof = arg;

	store_visited_member(proof->store, &proof->row);
	proof->readable = true;
	/* He stands where he stood, and is reviewed no more. */
	if (proof->row.status == MEMBER_FORGOTTEN)
		return;
	store_begin_read(proof->reader, proof->snapshot);
	check_tally(proof);
	check_changes(proof);
	check_floor(proof);
	check_bound(proof);
	store_end_read(proof->reader);
}

/* The same for a row that may be damaged. */
static void
visit_member(Store *store, int64 member_id, void *arg)
{
	TierProof  *proof = arg;
	MemoryContext caller = MemoryContextSwitchTo(proof->context);
	ErrorData  *error;
	ListCell   *cell;

	proof->readable = false;
	proof->found = NIL;
	error = attempt_damaged(check_member, proof);
	if (error != NULL)
	{
		store_abandon_read(proof->reader);
		/* A row that cannot be read is verify_members' to report. */
		if (proof->readable)
			report(proof, "I7", psprintf("member cannot be reviewed: %s", error->message), NULL, NULL);
	}
	foreach(cell, proof->found)
		verify_report(proof->verification, lfirst(cell));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(proof->context);
}

static void
verify_program(Verification *verification, Program *program)
{
	TierProof	proof = {.verification = verification, .program = program};
	Config	   *config = verification->config;

	proof.tiers = tier_set(config, program);
	proof.known = due_is_known(config, program);
	proof.snapshot = GetActiveSnapshot();
	proof.now = GetCurrentTransactionStartTimestamp();
	proof.context = AllocSetContextCreate(CurrentMemoryContext, "loyalty member", ALLOCSET_DEFAULT_SIZES);
	proof.store = store_open(config, false);
	proof.reader = store_open(config, false);
	store_begin_read(proof.store, proof.snapshot);
	store_visit_members(proof.store, program->program_id, DATEVAL_NOEND, visit_member, &proof);
	store_end_read(proof.store);
	store_close(proof.reader);
	store_close(proof.store);
	MemoryContextDelete(proof.context);
}

/* I7: changes whose member is not there. */
static void
check_orphans(Verification *verification)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {(Datum) 0};
	char		nulls[1] = {verification->only == NULL ? 'n' : ' '};
	MemoryContext caller = CurrentMemoryContext;
	Cursor		rows;

	if (verification->only != NULL)
		values[0] = Int32GetDatum(verification->only->program_id);
	cursor_open(&rows, InvalidOid,
				"SELECT p.name, format('member_id %s', c.member_id), count(*)::text"
				" FROM loyalty.tier_change c LEFT JOIN loyalty.program p ON p.program_id = c.program_id"
				" WHERE ($1 IS NULL OR c.program_id = $1)"
				" AND NOT EXISTS (SELECT FROM loyalty.member m WHERE m.member_id = c.member_id)"
				" GROUP BY 1, 2 ORDER BY 2", 1, types, values, nulls);
	MemoryContextSwitchTo(caller);
	while (cursor_next(&rows))
	{
		Violation	violation = {"I7", rows.nulls[0] ? NULL : TextDatumGetCString(rows.values[0]),
			TextDatumGetCString(rows.values[1]), NULL, "changes of tier whose member is not there",
		"0", TextDatumGetCString(rows.values[2])};

		verify_report(verification, &violation);
	}
	cursor_close(&rows);
}

void
verify_tiers(Verification *verification)
{
	Config	   *config = verification->config;
	int			i;

	for (i = 0; i < config->nprograms; i++)
		if (verification->only == NULL || verification->only == &config->programs[i])
			verify_program(verification, &config->programs[i]);
	check_orphans(verification);
}
