/*
 * verify_entry.c
 *		Proving one entry after the other of a member.
 *
 * What is wrong with the entry at hand itself is reported here; what they add
 * up to is held against the member's row in verify_members.c.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "earning/attempt.h"
#include "earning/request.h"
#include "ledger/chain.h"
#include "ledger/posting.h"
#include "operation/verify_walk.h"
#include "redemption/transfer.h"

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

void
walk_check_entry(Walk *walk)
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
		walk_report(walk, "I2", psprintf("entry " INT64_FORMAT " is not of its member's program", entry->seq),
			   walk_int_text(walk->row.program_id), walk_int_text(entry->program_id));
	if (walk->known && entry->seq != walk->seq + 1)
		walk_report(walk, "I2", psprintf("entry " INT64_FORMAT " does not follow the entry before it", entry->seq),
			   walk_int_text(walk->seq + 1), walk_int_text(entry->seq));
	if (error != NULL)
	{
		walk->broken = true;
		walk_report(walk, "I1", psprintf("entry " INT64_FORMAT " cannot be added up: %s", entry->seq, error->message), NULL, NULL);
	}
	else
	{
		if (walk->known && memcmp(walk->computed, entry->hash, HASH_LENGTH) != 0)
			walk_report(walk, "I3", psprintf("hash of entry " INT64_FORMAT " does not cover it and the hash before it", entry->seq),
				   walk_hex_text(walk->computed, HASH_LENGTH), walk_hex_text(entry->hash, HASH_LENGTH));
		if (entry->points != walk->total)
			walk_report(walk, "I1", psprintf("points of entry " INT64_FORMAT " are not the total of its lots", entry->seq),
				   points_to_cstring(walk->total), points_to_cstring(entry->points));
		/* What is captured was released just before; what pays under another key was given back. */
		allowed = strcmp(entry->kind, KIND_REDEEM) == 0 ? Min(debt, walk->debt_before) : debt;
		if (debt_so_far(walk) < allowed && strcmp(entry->kind, KIND_CLAWBACK) != 0 &&
			strcmp(entry->kind, KIND_IMPORT) != 0 && !came_with_debt(entry))
			walk_report(walk, "I5", psprintf("entry " INT64_FORMAT " makes a debt though it is no clawback", entry->seq),
				   points_to_cstring(allowed), points_to_cstring(debt_so_far(walk)));
	}
	walk->debt_before = entry->points > 0 &&
		(strcmp(entry->kind, KIND_RELEASE) == 0 || strcmp(entry->kind, KIND_REFUND) == 0) ? debt : 0;
	count_purchase(walk);
	walk->nentries++;
	walk->seq = entry->seq;
	memcpy(walk->hash, entry->hash, HASH_LENGTH);
}

void
walk_check_leaves(Walk *walk, const EntryRow *entry)
{
	Round	   *round = walk->round;
	Cursor	   *leaves = &round->leaves;

	for (; round->more_leaves && DatumGetInt64(leaves->values[0]) == walk->member_id; round->more_leaves = cursor_next(leaves))
	{
		int64		seq = DatumGetInt64(leaves->values[1]);
		int32		seal = DatumGetInt32(leaves->values[2]);
		int32		program_id = DatumGetInt32(leaves->values[4]);
		bool		found = entry != NULL && entry->seq == seq;
		const uint8 *hash = found ? entry->hash : NULL;
		struct varlena *head;
		Size		length;

		if (entry != NULL && seq > entry->seq)
			break;
		head = PG_DETOAST_DATUM_PACKED(leaves->values[3]);
		length = VARSIZE_ANY_EXHDR(head);
		if (!walk->known)
			walk_report(walk, "I3 seals", psprintf("a member under seal %d is not there", seal), NULL, NULL);
		else if (walk->row.program_id != program_id)
			walk_report(walk, "I3 seals", psprintf("a member under seal %d is another program's", seal),
				   walk_int_text(program_id), walk_int_text(walk->row.program_id));
		if (seq != 0 && !found)
			walk_report(walk, "I3 seals", psprintf("the entry that seal %d found last is not there", seal),
				   psprintf("entry " INT64_FORMAT, seq), NULL);
		else if (length != (found ? HASH_LENGTH : 0) || (found && memcmp(VARDATA_ANY(head), hash, HASH_LENGTH) != 0))
			walk_report(walk, "I3 seals", psprintf("head under seal %d is not the hash of entry " INT64_FORMAT, seal, seq),
				   walk_hex_text(VARDATA_ANY(head), length), found ? walk_hex_text(hash, HASH_LENGTH) : "");
	}
}
