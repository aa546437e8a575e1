/*
 * chain.c
 *		The hash chain that ties a member's entries together.
 *
 * Canonical bytes: the columns in the order of the code below, integers as
 * 64-bit big-endian, text as its length and UTF-8 bytes, lots as the packed
 * purse, amount as its text, NULL as length -1.  Of context and note only the
 * sha256 of their UTF-8 goes in, so that they can be blanked when a person is
 * forgotten and the chain still holds.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

#include "ledger/canonical.h"
#include "ledger/chain.h"
#include "ledger/context_field.h"
#include "ledger/forgotten.h"
#include "loyalty.h"
#include "types/sha256.h"

void
chain_append_int(StringInfo bytes, int64 value)
{
	uint64		big_endian = pg_hton64((uint64) value);

	appendBinaryStringInfo(bytes, (const char *) &big_endian, sizeof(big_endian));
}

static void
append_bytes(StringInfo bytes, const char *value, int length)
{
	chain_append_int(bytes, length);
	appendBinaryStringInfo(bytes, value, length);
}

/* So that a dump into another encoding keeps its hashes. */
void
chain_append_text(StringInfo bytes, const char *value, int length)
{
	const char *utf8 = canonical_text(value, &length);

	append_bytes(bytes, utf8, length);
}

const uint8 *
chain_context_digest(const Jsonb *context, uint8 *room)
{
	int			length;
	const char *utf8;

	if (context == NULL)
		return NULL;
	utf8 = canonical_json(unconstify(Jsonb *, context), &length);
	sha256(utf8, length, room);
	return room;
}

const uint8 *
chain_note_digest(const text *note, uint8 *room)
{
	int			length;
	const char *utf8;

	if (note == NULL)
		return NULL;
	length = VARSIZE_ANY_EXHDR(note);
	utf8 = canonical_text(VARDATA_ANY(note), &length);
	sha256(utf8, length, room);
	return room;
}

/* What goes in of what may be blanked later; NULL: there is none. */
static void
append_digest(StringInfo bytes, const uint8 *digest)
{
	if (digest == NULL)
		chain_append_int(bytes, -1);
	else
		append_bytes(bytes, (const char *) digest, HASH_LENGTH);
}

/* Context and note by their digests, which stand in the context where they have been blanked. */
static void
append_digests(StringInfo bytes, const EntryRow *entry, bool may_be_blanked)
{
	uint8		context[HASH_LENGTH];
	uint8		note[HASH_LENGTH];
	JsonbValue	blanked;

	if (!may_be_blanked || !context_field_of(entry->context, FIELD_SHA256, jbvBinary, &blanked))
	{
		append_digest(bytes, chain_context_digest(entry->context, context));
		append_digest(bytes, chain_note_digest(entry->note, note));
		return;
	}
	append_digest(bytes, forgotten_digest(entry->context, "context", context) ? context : NULL);
	append_digest(bytes, entry->note != NULL ? chain_note_digest(entry->note, note)
				  : forgotten_digest(entry->context, "note", note) ? note : NULL);
}

void
chain_bytes(const EntryRow *entry, bool may_be_blanked, StringInfo bytes)
{
	struct varlena *lots = PG_DETOAST_DATUM_PACKED(entry->lots);

	chain_append_int(bytes, entry->member_id);
	chain_append_int(bytes, entry->seq);
	chain_append_int(bytes, entry->points);
	chain_append_int(bytes, entry->occurred_at);
	chain_append_int(bytes, entry->posted_at);
	chain_append_int(bytes, entry->program_id);
	chain_append_int(bytes, entry->rule_id);
	chain_append_int(bytes, entry->source_id);
	chain_append_int(bytes, entry->revision);
	chain_append_int(bytes, entry->rule_horizon);
	append_bytes(bytes, entry->kind, strlen(entry->kind));
	chain_append_text(bytes, VARDATA_ANY(entry->source_key), VARSIZE_ANY_EXHDR(entry->source_key));
	append_bytes(bytes, VARDATA_ANY(lots), VARSIZE_ANY_EXHDR(lots));

	if (entry->amount == NULL)
		chain_append_int(bytes, -1);
	else
	{
		char	   *amount = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(entry->amount)));

		append_bytes(bytes, amount, strlen(amount));
		pfree(amount);
	}

	append_digests(bytes, entry, may_be_blanked);
}

void
chain_hash(EntryRow *entry, const uint8 *previous, bool may_be_blanked)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	chain_bytes(entry, may_be_blanked, &bytes);
	sha256_joined(previous, previous == NULL ? 0 : HASH_LENGTH,
				  bytes.data, bytes.len, entry->hash);
	pfree(bytes.data);
}
