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

/* The sha256 of what may be blanked later. */
static void
append_digest(StringInfo bytes, const char *utf8, int length)
{
	uint8		digest[HASH_LENGTH];

	sha256(utf8, length, digest);
	append_bytes(bytes, (char *) digest, HASH_LENGTH);
}

static void
append_context(StringInfo bytes, Jsonb *context)
{
	int			length;
	const char *utf8 = canonical_json(context, &length);

	append_digest(bytes, utf8, length);
}

static void
append_note(StringInfo bytes, const text *note)
{
	int			length = VARSIZE_ANY_EXHDR(note);
	const char *utf8 = canonical_text(VARDATA_ANY(note), &length);

	append_digest(bytes, utf8, length);
}

void
chain_bytes(const EntryRow *entry, StringInfo bytes)
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

	if (entry->context == NULL)
		chain_append_int(bytes, -1);
	else
		append_context(bytes, entry->context);

	if (entry->note == NULL)
		chain_append_int(bytes, -1);
	else
		append_note(bytes, entry->note);
}

void
chain_hash(EntryRow *entry, const uint8 *previous)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	chain_bytes(entry, &bytes);
	sha256_joined(previous, previous == NULL ? 0 : HASH_LENGTH,
				  bytes.data, bytes.len, entry->hash);
	pfree(bytes.data);
}
