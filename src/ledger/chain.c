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
#include "utils/resowner.h"

#if PG_VERSION_NUM >= 140000
#include "common/cryptohash.h"
#include "common/sha2.h"
#else
#include "common/sha2.h"
#endif

#include "ledger/chain.h"
#include "loyalty.h"

/* sha256 of two pieces, the first of which may be empty. */
static void
sha256(const uint8 *first, Size first_length,
	   const uint8 *second, Size second_length, uint8 *digest)
{
#if PG_VERSION_NUM >= 140000
	/*
	 * One context for the life of the backend: making one costs more than
	 * hashing an entry.  It belongs to a resource owner of its own, so that
	 * the end of a transaction does not free it.
	 */
	static pg_cryptohash_ctx *hasher = NULL;

	if (hasher == NULL)
	{
		ResourceOwner caller = CurrentResourceOwner;

		CurrentResourceOwner = ResourceOwnerCreate(NULL, "loyalty hash chain");
		hasher = pg_cryptohash_create(PG_SHA256);
		CurrentResourceOwner = caller;
	}
	if (hasher == NULL ||
		pg_cryptohash_init(hasher) < 0 ||
		pg_cryptohash_update(hasher, first, first_length) < 0 ||
		pg_cryptohash_update(hasher, second, second_length) < 0 ||
		pg_cryptohash_final(hasher, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute %s hash", "SHA256")));
#else
	pg_sha256_ctx hasher;

	pg_sha256_init(&hasher);
	pg_sha256_update(&hasher, first, first_length);
	pg_sha256_update(&hasher, second, second_length);
	pg_sha256_final(&hasher, digest);
#endif
}

void
chain_sha256(const void *bytes, Size length, uint8 *digest)
{
	sha256(NULL, 0, bytes, length, digest);
}

static void
append_int(StringInfo bytes, int64 value)
{
	uint64		big_endian = pg_hton64((uint64) value);

	appendBinaryStringInfo(bytes, (const char *) &big_endian, sizeof(big_endian));
}

static void
append_bytes(StringInfo bytes, const char *value, int length)
{
	append_int(bytes, length);
	appendBinaryStringInfo(bytes, value, length);
}

/* Text in UTF-8, so that a dump into another encoding keeps its hashes. */
static void
append_text(StringInfo bytes, const char *value, int length)
{
	char	   *utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, value), length,
														  GetDatabaseEncoding(), PG_UTF8);

	append_bytes(bytes, utf8, utf8 == value ? length : (int) strlen(utf8));
}

/* The sha256 of what may be blanked later. */
static void
append_digest(StringInfo bytes, const char *value)
{
	uint8		digest[HASH_LENGTH];

	sha256(NULL, 0, (const uint8 *) value, strlen(value), digest);
	append_bytes(bytes, (char *) digest, HASH_LENGTH);
}

void
chain_hash(EntryRow *entry, const uint8 *previous)
{
	StringInfoData bytes;
	struct varlena *lots = PG_DETOAST_DATUM_PACKED(entry->lots);

	initStringInfo(&bytes);
	append_int(&bytes, entry->member_id);
	append_int(&bytes, entry->seq);
	append_int(&bytes, entry->points);
	append_int(&bytes, entry->occurred_at);
	append_int(&bytes, entry->posted_at);
	append_int(&bytes, entry->program_id);
	append_int(&bytes, entry->rule_id);
	append_int(&bytes, entry->source_id);
	append_int(&bytes, entry->revision);
	append_int(&bytes, entry->rule_horizon);
	append_bytes(&bytes, entry->kind, strlen(entry->kind));
	append_text(&bytes, VARDATA_ANY(entry->source_key), VARSIZE_ANY_EXHDR(entry->source_key));
	append_bytes(&bytes, VARDATA_ANY(lots), VARSIZE_ANY_EXHDR(lots));

	if (entry->amount == NULL)
		append_int(&bytes, -1);
	else
	{
		char	   *amount = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(entry->amount)));

		append_bytes(&bytes, amount, strlen(amount));
		pfree(amount);
	}

	if (entry->context == NULL)
		append_int(&bytes, -1);
	else
		append_digest(&bytes, JsonbToCString(NULL, &entry->context->root, VARSIZE(entry->context)));

	if (entry->note == NULL)
		append_int(&bytes, -1);
	else
		append_digest(&bytes, text_to_cstring(entry->note));

	sha256(previous, previous == NULL ? 0 : HASH_LENGTH,
		   (uint8 *) bytes.data, bytes.len, entry->hash);
	pfree(bytes.data);
}
