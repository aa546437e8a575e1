/*
 * chain.c
 *		The hash chain that ties a member's entries together.
 *
 * Canonical bytes: the columns in the order of the code below, integers as
 * 64-bit big-endian, text as its length and UTF-8 bytes, lots as the packed
 * purse, amount as its text, NULL as length -1.  Of context and note only the
 * sha256 goes in, so that they can be blanked when a person is forgotten and
 * the chain still holds.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

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

/* Text in UTF-8, so that a dump into another encoding keeps its hashes. */
void
chain_append_text(StringInfo bytes, const char *value, int length)
{
	char	   *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, value), length,
														  GetDatabaseEncoding(), PG_UTF8);

	append_bytes(bytes, utf8, utf8 == value ? length : (int) strlen(utf8));
}

/* The sha256 of what may be blanked later, in UTF-8 too. */
static void
append_digest(StringInfo bytes, const char *value)
{
	const char *utf8 = pg_server_to_any(value, strlen(value), PG_UTF8);
	uint8		digest[HASH_LENGTH];

	sha256(utf8, strlen(utf8), digest);
	append_bytes(bytes, (char *) digest, HASH_LENGTH);
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
		append_digest(bytes, JsonbToCString(NULL, &entry->context->root, VARSIZE(entry->context)));

	if (entry->note == NULL)
		chain_append_int(bytes, -1);
	else
		append_digest(bytes, text_to_cstring(entry->note));
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
