/*
 * passing.c
 *		What moves from one member to another because they were merged.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "earning/passing.h"
#include "earning/qualify.h"
#include "ledger/act.h"
#include "loyalty.h"
#include "redemption/transfer.h"

void
move_begin(Move *move)
{
	posting_begin(&move->giving, move->program, move->from);
	posting_bring_current(&move->giving, move->at);
	posting_begin(&move->receiving, move->program, move->into);
	posting_bring_current(&move->receiving, move->at);
	purse_init(&move->lots);
	tally_init(&move->moved.tally);
	move->moved.lifetime = 0;
	move->moved.last_activity = DT_NOBEGIN;
}

void
move_everything(Move *move)
{
	const MemberRow *from = move->from;
	QualifyCounter counter = {move->program, rule_set(move->config, move->program), move->store};
	Snapshot	snapshot = store_snapshot();

	purse_copy(&move->lots, &from->purse);
	move->moved.lifetime = from->lifetime;
	move->moved.last_activity = from->last_activity;
	/* From the entries: the row's tally may be short of days, and nobody counts where there are no tiers. */
	store_begin_read(move->store, snapshot);
	qualify_count(&counter, from->member_id, &move->moved.tally);
	store_end_read(move->store);
	UnregisterSnapshot(snapshot);
}

static bool
is_nothing(const Move *move)
{
	return move->lots.nlots == 0 && move->moved.lifetime == 0 && move->moved.tally.nperiods == 0;
}

/* The fields that both sides have: the other one's entry, and what moves beside lots. */
static Jsonb *
move_context(const char *member_field, int64 member_id, const char *entry_field, int64 seq, const Moved *moved)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	act_push_numeric(&state, member_field, int64_to_numeric(member_id));
	act_push_numeric(&state, entry_field, int64_to_numeric(seq));
	moved_push(&state, moved);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The same with the opposite sign; what somebody did, nobody undoes. */
static void
negate(const Moved *moved, Moved *negated)
{
	negated->lifetime = points_sub(0, moved->lifetime);
	negated->last_activity = DT_NOBEGIN;
	tally_init(&negated->tally);
	tally_sub(&negated->tally, &moved->tally);
}

static text *
giver_key(const Move *move, int64 seq)
{
	if (move->key != NULL)
		return act_key(move->keys, move->key);
	return cstring_to_text(psprintf("%s#" INT64_FORMAT, move->keys, seq));
}

/* Count what came or went; whoever was merged is not counted, he has nothing. */
static void
count_moved(Move *move, Posting *posting, const Moved *moved, int64 seq,
			void (*change) (Move *move, Standing *standing))
{
	MemberRow  *member = posting->member;
	RuleSet    *rules = rule_set(move->config, move->program);
	TierSet    *tiers = tier_set(move->config, move->program);
	Standing   *standing;
	int			i;

	if (member->status == MEMBER_MERGED || !qualify_is_asked(rules, tiers))
	{
		if (moved->tally.nperiods > 0)
			standing_forget(member);
		return;
	}
	if (moved->tally.nperiods == 0 && change == NULL)
		return;
	standing = qualify_begin(move->program, rules, tiers, move->store, member);
	if (change != NULL)
		change(move, standing);
	standing_import(standing, &moved->tally, NO_TIER, DATEVAL_NOEND, move->at, move->at);
	standing_store(standing);
	for (i = 0; i < standing->nchanges; i++)
		posting_add_tier_change(posting, &standing->changes[i], seq);
}

void
move_post(Move *move)
{
	Snapshot	snapshot = store_snapshot();
	Moved		negated;
	Purse		taken;
	EntryRow	entry;

	negate(&move->moved, &negated);
	purse_init(&taken);
	purse_sub(&taken, &move->lots);
	move->given_seq = move->from->seq + 1;
	move->received_seq = move->into->seq + 1;

	store_begin_read(move->store, snapshot);
	count_moved(move, &move->giving, &negated, move->given_seq, move->given);
	count_moved(move, &move->receiving, &move->moved, move->received_seq, move->received);
	store_end_read(move->store);
	UnregisterSnapshot(snapshot);

	memset(&entry, 0, sizeof(entry));
	entry.kind = KIND_TRANSFER;
	entry.source_id = SOURCE_API;
	entry.occurred_at = move->at;
	entry.note = move->note;
	entry.source_key = giver_key(move, move->given_seq);
	entry.context = move_context("to_member_id", move->into->member_id, "to_entry", move->received_seq, &negated);
	(void) posting_add(&move->giving, &entry, &taken);
	entry.source_key = transfer_received_key(move->from->member_id, move->given_seq);
	entry.context = move_context("from_member_id", move->from->member_id, "from_entry", move->given_seq, &move->moved);
	(void) posting_add(&move->receiving, &entry, &move->lots);

	/* Nothing falls due for who has nothing and is nobody any more. */
	if (move->from->status == MEMBER_MERGED && move->from->purse.nlots == 0)
		move->from->next_expiry = DATEVAL_NOEND;
	posting_write(&move->giving, move->store);
	posting_write(&move->receiving, move->store);
	store_flush(move->store);
	CommandCounterIncrement();
}

static void
begin_passing(Move *move, Config *config, Program *program, Store *store, MemberRow *from, MemberRow *into)
{
	memset(move, 0, sizeof(*move));
	move->config = config;
	move->program = program;
	move->store = store;
	move->from = from;
	move->into = into;
	move->keys = PASS_KEYS;
	move->at = GetCurrentTransactionStartTimestamp();
	move_begin(move);
}

void
pass_on(Config *config, Program *program, Store *store, MemberRow **way, int nrows)
{
	int			i;

	for (i = 0; i + 1 < nrows; i++)
	{
		Move		move;

		MemberRow	from = *way[i];
		MemberRow	into = *way[i + 1];

		begin_passing(&move, config, program, store, way[i], way[i + 1]);
		move_everything(&move);
		if (!is_nothing(&move))
			move_post(&move);
		else
		{
			/* What fell due is not written down either. */
			*way[i] = from;
			*way[i + 1] = into;
		}
	}
}

void
pass_back(Config *config, Program *program, Store *store, MemberRow **way, int nrows, const Purse *lots)
{
	int			i;

	for (i = nrows - 1; i > 0; i--)
	{
		Move		move;

		begin_passing(&move, config, program, store, way[i], way[i - 1]);
		purse_copy(&move.lots, lots);
		move_post(&move);
	}
}
