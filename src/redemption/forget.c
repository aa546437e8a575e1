/*
 * forget.c
 *		Forgetting a person.
 *
 * A person is a member and all who stand merged into him.  Their ledgers stay,
 * since books must be kept and others' points came from there; what makes them
 * a person's goes: profile, consents, refs, notes, what rules read of him.  An
 * entry in each ledger writes off what is left and says that he was forgotten;
 * nothing is posted there after it.
 *
 * His customer ids are recognised though they are stored nowhere: each computes
 * the place of a row whose status says forgotten, or has its digest in
 * member_alias.  So his orders, which the shop may have to keep, neither make
 * him a member again nor earn twice.
 *
 * Locks are taken as for a merge: all members in order of member_id.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/confirm.h"
#include "ledger/access.h"
#include "ledger/act.h"
#include "ledger/forgotten.h"
#include "ledger/households.h"
#include "ledger/member.h"
#include "loyalty.h"
#include "redemption/forget.h"
#include "redemption/held.h"
#include "redemption/redemption.h"

PG_FUNCTION_INFO_V1(loyalty_forget_member);

/* Random bytes of a pseudonym. */
#define PSEUDONYM_BYTES 8

/*
 * Who it is
 */

void
forget_person(Config *config, int64 member_id, MemberIds *person)
{
	MemberIds	family;
	int			i;

	memset(person, 0, sizeof(*person));
	member_ids_add(person, member_id);
	merge_family(config, member_id, &family);
	for (i = 1; i < family.count; i++)
	{
		MemberIds	way;

		CHECK_FOR_INTERRUPTS();
		merge_way(config, family.ids[i], &way);
		if (member_ids_have(&way, member_id))
			member_ids_add(person, family.ids[i]);
	}
}

static int
compare_requests(const void *a, const void *b)
{
	const MemberRequest *x = a;
	const MemberRequest *y = b;

	return x->member_id < y->member_id ? -1 : x->member_id > y->member_id;
}

/* Lock the members of some numbers, in order; "ref" is what the first one is asked for by. */
static MemberRequest *
lock_members(Config *config, Store *store, const Program *program, const MemberIds *person, text *ref)
{
	MemberRequest *requests = palloc0(sizeof(MemberRequest) * person->count);
	int			i;

	for (i = 0; i < person->count; i++)
	{
		requests[i].member_id = person->ids[i];
		requests[i].forgotten_too = true;
	}
	requests[0].ref = ref;
	qsort(requests, person->count, sizeof(MemberRequest), compare_requests);
	members_lock(config, store, program, requests, person->count);
	return requests;
}

static MemberRow *
locked_row(MemberRow **rows, int nrows, int64 member_id)
{
	int			i;

	for (i = 0; i < nrows; i++)
		if (rows[i]->member_id == member_id)
			return rows[i];
	return NULL;
}

/*
 * Lock the person whom a ref means; returns how many rows, he himself first, 0
 * when nobody knows him.  Members may have been merged while we waited: who came
 * in by that is locked then, which can deadlock with a third one who wants both.
 */
static int
lock_person(Config *config, Store *store, const Program *program, text *ref, MemberRow ***rows)
{
	MemberIds	person;
	MemberRequest *requests;
	MemberRow **locked;
	int			nlocked = 0;
	int			nrows;
	int			i;

	forget_person(config, member_resolve(config, program, ref), &person);
	requests = lock_members(config, store, program, &person, ref);
	locked = palloc(sizeof(MemberRow *) * person.count);
	for (i = 0; i < person.count; i++)
		if (requests[i].ref != NULL && requests[i].row != NULL)
			locked[nlocked++] = requests[i].row;
	if (nlocked == 0)
		return 0;
	for (i = 0; i < person.count; i++)
		if (requests[i].row != NULL && locked_row(locked, nlocked, requests[i].row->member_id) == NULL)
			locked[nlocked++] = requests[i].row;

	/* Nobody is merged into him, or parted from him, any more. */
	forget_person(config, locked[0]->member_id, &person);
	*rows = palloc(sizeof(MemberRow *) * person.count);
	nrows = 0;
	for (i = 0; i < person.count; i++)
	{
		MemberRow  *row = locked_row(locked, nlocked, person.ids[i]);

		if (row == NULL)
		{
			MemberIds	late = {1, 1, &person.ids[i]};

			row = lock_members(config, store, program, &late, NULL)[0].row;
		}
		if (row != NULL)
			(*rows)[nrows++] = row;
	}
	return nrows;
}

/*
 * What stands against it
 */

static void
check_household(Config *config, const Program *program, const MemberRow *member)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	Household	household;

	if (household_of(config, snapshot, member->member_id, &household))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_HOUSEHOLD),
				 errmsg("member \"%s\" is in a household", text_to_cstring(member->ref)),
				 errdetail("Member \"%s\" of program \"%s\" is in household \"%s\", which shares his points.",
						   text_to_cstring(member->ref), program->name, text_to_cstring(household.name)),
				 errhint("Take him out of it first, with loyalty.leave_household.")));
	UnregisterSnapshot(snapshot);
}

/* What he is still to get, somebody has to bring to him. */
static void
check_redemptions(Config *config, const Program *program, const MemberRow *member)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	RedemptionRow row;

	if (redemption_find_open(config, snapshot, member->member_id, &row))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_REDEMPTION_STATE),
				 errmsg("member \"%s\" has not got all that he redeemed", text_to_cstring(member->ref)),
				 errdetail("Redemption " INT64_FORMAT " of him in program \"%s\" is %s.", row.seq, program->name,
						   redemption_status_name(row.status)),
				 errhint("Fulfill it, or cancel it; loyalty.redemptions lists what is open.")));
	UnregisterSnapshot(snapshot);
}

static void
consider_time(const EntryRow *entry, void *arg)
{
	TimestampTz *latest = arg;

	*latest = Max(*latest, Min(entry->occurred_at, entry->posted_at));
}

/* All that is left goes: 22023 for a time before something happened to him. */
static void
check_time(Store *store, const MemberRow *member, TimestampTz at)
{
	TimestampTz latest = DT_NOBEGIN;
	Snapshot	snapshot = store_snapshot();

	store_begin_read(store, snapshot);
	store_visit_entries(store, member->member_id, ANY_SOURCE, NULL, consider_time, &latest);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	if (at < latest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a member cannot be forgotten before what he did last"),
				 errdetail("His last entry is of %s, and \"at\" is %s.",
						   pstrdup(timestamptz_to_str(latest)), pstrdup(timestamptz_to_str(at))),
				 errhint("Leave out \"at\".")));
}

/*
 * His ledger
 */

static text *
new_pseudonym(void)
{
	int			prefix = strlen(PSEUDONYM);
	char		name[sizeof(PSEUDONYM) + PSEUDONYM_BYTES * 2];
	char		bytes[PSEUDONYM_BYTES];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random pseudonym")));
	memcpy(name, PSEUDONYM, prefix);
	name[prefix + hex_encode(bytes, sizeof(bytes), name + prefix)] = '\0';
	return cstring_to_text(name);
}

/* What awaits confirmation is rejected: limits and budgets get it back. */
static void
reject_awaiting(Config *config, Store *store, MemberRow *member, TimestampTz at)
{
	Snapshot	snapshot = store_snapshot();
	List	   *rows = awaiting_list_open(config, member->member_id, snapshot, DATEVAL_NOEND);
	Deciding	deciding;
	ListCell   *cell;

	if (rows != NIL)
	{
		store_begin_read(store, snapshot);
		confirm_begin(&deciding, config, store, snapshot, member);
		foreach(cell, rows)
			confirm_decide(&deciding, lfirst(cell), DECISION_REJECTED, at, false, NULL, NULL);
		store_end_read(store);
		confirm_post(&deciding, 1);
		store_flush(store);
		CommandCounterIncrement();
	}
	UnregisterSnapshot(snapshot);
}

static void
release_holds(Store *store, Posting *posting, TimestampTz at)
{
	List	   *holds = held_list(store, posting->member, posting);
	ListCell   *cell;

	foreach(cell, holds)
	{
		HoldRow    *hold = lfirst(cell);
		Purse		lots;

		purse_init(&lots);
		purse_copy(&lots, &hold->lots);
		(void) held_release(posting, holds, hold, &lots, HOLD_RELEASED, Max(at, hold->made_at), NULL, NULL, NULL);
	}
	if (holds != NIL)
		posting_even_out(posting, at);
}

static Jsonb *
forgotten_context(void)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_key(&state, FIELD_FORGOTTEN);
	value.type = jbvBool;
	value.val.boolean = true;
	pushJsonbValue(&state, WJB_VALUE, &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* What he has, or owes, is neither his nor the shop's any more.  The entry stands there also where that is nothing. */
static void
write_off(Posting *posting, TimestampTz at, text *note)
{
	EntryRow	entry;
	Purse		lots;

	purse_init(&lots);
	purse_sub(&lots, &posting->member->purse);
	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_ADJUST;
	entry.source_id = SOURCE_API;
	entry.occurred_at = at;
	entry.context = forgotten_context();
	entry.note = note;
	(void) posting_add_exact(posting, &entry, &lots);
}

/* Close a ledger, and blank what it says of the person; up to which entry there was anything. */
static void
close_ledger(Config *config, Program *program, Store *store, MemberRow *member, TimestampTz at, text *note)
{
	int64		last_seq = member->seq;
	Posting		posting;
	Snapshot	snapshot;

	reject_awaiting(config, store, member, at);
	snapshot = store_snapshot();
	posting_begin(&posting, program, member);
	posting_bring_current(&posting, at);
	store_begin_read(store, snapshot);
	release_holds(store, &posting, at);
	write_off(&posting, at, note);
	store_end_read(store);

	member->ref = new_pseudonym();
	member->status = MEMBER_FORGOTTEN;
	member->next_expiry = DATEVAL_NOEND;
	posting_write(&posting, store);
	store_flush(store);
	store_begin_read(store, snapshot);
	store_blank_entries(store, member->member_id, last_seq);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
}

/*
 * What other tables say of them
 */

/* What is erased and blanked outside of the ledgers. */
enum
{
	ARG_IDS,					/* bigint[]: the members */
	ARG_REFS,					/* text[]: their refs, in the same order */
	ARG_PSEUDONYMS,				/* text[]: what they are called now */
	ARG_ALIASES,				/* text[]: other refs that led to them */
	ARG_DIGESTS,				/* text[]: of these, in the same order */
	ARG_PROGRAM_ID,
	ARG_TIME,
	ARG_ROLE,
	NARGS
};

/* doc/operations.md, "Personal data", says the same in words. */
static const char *const erasures[] = {
	"DELETE FROM loyalty.profile WHERE member_id = ANY ($1)",
	"UPDATE loyalty.profile SET referred_by = NULL WHERE referred_by = ANY ($1)",
	"DELETE FROM loyalty.consent WHERE member_id = ANY ($1)",
	/* What he answered is no person's any more, but still an answer. */
	"UPDATE loyalty.feedback SET comment = NULL, about = NULL, segments = '{}' WHERE member_id = ANY ($1)"
	" AND (comment IS NOT NULL OR about IS NOT NULL OR segments <> '{}')",
	"DELETE FROM loyalty.reward_choice WHERE member_id = ANY ($1)",
	"DELETE FROM loyalty.maintenance_failure WHERE member_id = ANY ($1)",
	"DELETE FROM loyalty.import_failure WHERE program_id = $6 AND ref = ANY ($2 || $4)",
	"DELETE FROM loyalty.deferred WHERE program_id = $6 AND member_ids && $1 AND member_ids <@ $1",
	/* Of a purchase that went from one of them to somebody else, only that one is left. */
	"UPDATE loyalty.deferred SET detail = NULL, context = NULL,"
	" member_ids = ARRAY(SELECT i FROM pg_catalog.unnest(member_ids) i WHERE i <> ALL ($1))"
	" WHERE program_id = $6 AND member_ids && $1",
	"UPDATE loyalty.hold SET note = NULL WHERE member_id = ANY ($1) AND note IS NOT NULL",
	"UPDATE loyalty.proposal SET reason = NULL, decision_reason = NULL"
	" WHERE member_id = ANY ($1) AND (reason IS NOT NULL OR decision_reason IS NOT NULL)",
	/* Nothing can be posted for them any more. */
	"UPDATE loyalty.proposal SET state = 'declined', decided_at = pg_catalog.now(), decided_by = $8, decided_session = session_user"
	" WHERE member_id = ANY ($1) AND state = 'open'",
	"UPDATE loyalty.confirmation SET note = NULL WHERE member_id = ANY ($1) AND note IS NOT NULL",
	"UPDATE loyalty.redemption SET note = NULL, reference = NULL"
	" WHERE member_id = ANY ($1) AND (note IS NOT NULL OR reference IS NOT NULL)",
	"UPDATE loyalty.voucher SET note = NULL, void_at = coalesce(void_at, $7),"
	" void_reason = CASE WHEN void_at IS NULL THEN 'forgotten' END WHERE member_id = ANY ($1)",
	"UPDATE loyalty.voucher_return r SET note = NULL FROM loyalty.voucher_use u"
	" WHERE u.hash = r.hash AND u.use_no = r.use_no AND u.member_id = ANY ($1) AND r.note IS NOT NULL",
	"UPDATE loyalty.voucher_use SET note = NULL WHERE member_id = ANY ($1) AND note IS NOT NULL",
	"UPDATE loyalty.member_alias a SET ref = n.digest FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5)) AS n (ref, digest)"
	" WHERE a.program_id = $6 AND a.ref = n.ref AND a.member_id = ANY ($1)",
	"UPDATE loyalty.member_merge g SET ref = n.pseudonym"
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($3)) AS n (member_id, pseudonym) WHERE g.member_id = n.member_id",
	/* Those that led to relatives, too. */
	"UPDATE loyalty.member_merge g SET refs = ARRAY(SELECT coalesce(n.becomes, r.ref) FROM pg_catalog.unnest(g.refs) WITH ORDINALITY AS r (ref, place)"
	" LEFT JOIN (SELECT DISTINCT ON (ref) ref, becomes FROM ROWS FROM (pg_catalog.unnest($2 || $4), pg_catalog.unnest($3 || $5)) WITH ORDINALITY AS u (ref, becomes, place)"
	"  ORDER BY ref, place) n ON n.ref = r.ref ORDER BY r.place)"
	" WHERE g.program_id = $6 AND g.refs && ($2 || $4)",
	"INSERT INTO loyalty.forgotten (member_id, seq, forgotten_at, program_id, role)"
	" SELECT m.member_id, m.seq, $7, $6, $8 FROM loyalty.member m WHERE m.member_id = ANY ($1)",
};

static Datum
text_array(Datum *values, int count)
{
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The refs that lead to them by member_alias, and their digests. */
static void
read_aliases(Config *config, const Program *program, Datum *args)
{
	Oid			types[2] = {INT8ARRAYOID, INT4OID};
	Datum		values[2] = {args[ARG_IDS], Int32GetDatum(program->program_id)};
	MemoryContext caller = CurrentMemoryContext;
	Datum	   *refs = NULL;
	Datum	   *digests = NULL;
	EngineScope scope;
	int			count;
	int			i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	SPI_execute_with_args("SELECT ref FROM loyalty.member_alias WHERE program_id = $2 AND member_id = ANY ($1)",
						  lengthof(types), types, values, NULL, false, 0);
	count = (int) SPI_processed;
	MemoryContextSwitchTo(caller);
	refs = palloc(sizeof(Datum) * Max(count, 1));
	digests = palloc(sizeof(Datum) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		bool		isnull;

		refs[i] = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
		digests[i] = PointerGetDatum(member_ref_digest(program, DatumGetTextPP(refs[i])));
	}
	SPI_finish();
	engine_leave(&scope);
	args[ARG_ALIASES] = text_array(refs, count);
	args[ARG_DIGESTS] = text_array(digests, count);
}

static void
erase(Config *config, const Program *program, MemberRow **rows, text **refs, int nrows, TimestampTz at)
{
	Oid			types[NARGS] = {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum		args[NARGS];
	Datum	   *ids = palloc(sizeof(Datum) * nrows);
	Datum	   *old_refs = palloc(sizeof(Datum) * nrows);
	Datum	   *pseudonyms = palloc(sizeof(Datum) * nrows);
	EngineScope scope;
	int			i;

	for (i = 0; i < nrows; i++)
	{
		ids[i] = Int64GetDatum(rows[i]->member_id);
		old_refs[i] = PointerGetDatum(refs[i]);
		pseudonyms[i] = PointerGetDatum(rows[i]->ref);
	}
	args[ARG_IDS] = PointerGetDatum(construct_array(ids, nrows, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	args[ARG_REFS] = text_array(old_refs, nrows);
	args[ARG_PSEUDONYMS] = text_array(pseudonyms, nrows);
	read_aliases(config, program, args);
	args[ARG_PROGRAM_ID] = Int32GetDatum(program->program_id);
	args[ARG_TIME] = TimestampTzGetDatum(at);
	args[ARG_ROLE] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	engine_enter(&scope, config->owner);
	SPI_connect();
	for (i = 0; i < lengthof(erasures); i++)
	{
		SPIPlanPtr	plan = SPI_prepare(erasures[i], NARGS, types);

		CHECK_FOR_INTERRUPTS();
		/* What an older snapshot does not see is 40001: an answer or a consent leaves the member's row as it is. */
		if (plan == NULL ||
			SPI_execute_snapshot(plan, args, NULL, GetLatestSnapshot(),
								 IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : InvalidSnapshot, false, true, 0) < 0)
			elog(ERROR, "could not forget a member: %s", erasures[i]);
	}
	SPI_finish();
	engine_leave(&scope);
}

/*
 * Notes of changes of tier
 */

typedef struct Renamed
{
	MemberRow **rows;
	text	  **refs;
	int			nrows;
} Renamed;

static text *
no_note(text *note, void *arg)
{
	return NULL;
}

/* A relative's change of tier may say from whom it came, in the engine's own words (merge.c). */
static text *
note_of_relative(text *note, void *arg)
{
	static const char *const phrases[] = {"merged from member \"%s\"", "parted from member \"%s\""};
	const Renamed *renamed = arg;
	int			i;
	int			j;

	for (i = 0; i < renamed->nrows; i++)
		for (j = 0; j < lengthof(phrases); j++)
			if (same_text(note, cstring_to_text(psprintf(phrases[j], text_to_cstring(renamed->refs[i])))))
				return cstring_to_text(psprintf(phrases[j], text_to_cstring(renamed->rows[i]->ref)));
	return note;
}

static void
blank_tier_notes(Config *config, Store *store, MemberRow **rows, text **refs, int nrows)
{
	Renamed		renamed = {rows, refs, nrows};
	NoteChange	none = {no_note, NULL};
	NoteChange	other = {note_of_relative, &renamed};
	Snapshot	snapshot = store_snapshot();
	int			i;
	int			j;

	store_begin_read(store, snapshot);
	for (i = 0; i < nrows; i++)
	{
		MemberIds	family;

		CHECK_FOR_INTERRUPTS();
		if (rows[i]->tier_changes > 0)
			store_change_tier_notes(store, rows[i]->member_id, &none);
		merge_family(config, rows[i]->member_id, &family);
		for (j = 1; j < family.count; j++)
			if (locked_row(rows, nrows, family.ids[j]) == NULL)
				store_change_tier_notes(store, family.ids[j], &other);
	}
	store_end_read(store);
	UnregisterSnapshot(snapshot);
}

void
forget(Config *config, Program *program, Store *store, MemberRow **rows, int nrows, TimestampTz at, text *note)
{
	text	  **refs = palloc(sizeof(text *) * nrows);
	int			i;

	store_follow_nothing(store);
	for (i = 0; i < nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		refs[i] = rows[i]->ref;
		close_ledger(config, program, store, rows[i], at, note);
	}
	blank_tier_notes(config, store, rows, refs, nrows);
	CommandCounterIncrement();
	erase(config, program, rows, refs, nrows, at);
	if (!program->has_forgotten)
		config_invalidate(config);
}

/* forget_member(member, reason, at, program) → pseudonym */
Datum
loyalty_forget_member(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	text	   *note = text_argument(fcinfo, 1);
	TimestampTz at = act_time(fcinfo, 2);
	Program    *program = access_program(config, text_argument(fcinfo, 3), ACCESS_MANAGE);
	Store	   *store = store_open(config, true);
	MemberRow **rows = NULL;
	text	   *pseudonym;
	int			nrows = lock_person(config, store, program, ref, &rows);
	int			i;

	if (nrows == 0)
		member_unknown(program, ref);
	/* Again it answers the same. */
	if (rows[0]->status != MEMBER_FORGOTTEN)
	{
		for (i = 0; i < nrows; i++)
		{
			check_household(config, program, rows[i]);
			check_redemptions(config, program, rows[i]);
			if (!PG_ARGISNULL(2))
				check_time(store, rows[i], at);
		}
		forget(config, program, store, rows, nrows, at, note);
	}
	pseudonym = rows[0]->ref;
	store_close(store);
	PG_RETURN_TEXT_P(pseudonym);
}
