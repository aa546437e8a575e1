/*
 * voucher_secret.c
 *		The setting loyalty.voucher_secret, and what is worked out with it.
 *
 * Nobody is told its value, not even who may set it: whoever has it can work
 * out the codes of all vouchers.  So it is refused where everybody can read what
 * is set: for a database, role or function, whose catalogs are open, and in a
 * configuration file when sessions begin without this library, for until it is
 * loaded SHOW knows nothing of secrets.  No message repeats it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "redemption/voucher_secret.h"
#include "types/hmac.h"

/* Shorter ones could be found by trying. */
#define LEAST_BYTES 16

static char *secret = NULL;
static bool preloaded = false;	/* by shared_preload_libraries */

/* Where the value would be there for everybody to read. */
static bool
is_open_source(GucSource source)
{
	return source == PGC_S_TEST || source == PGC_S_GLOBAL || source == PGC_S_DATABASE ||
		source == PGC_S_USER || source == PGC_S_DATABASE_USER;
}

static bool
check_secret(char **value, void **extra, GucSource source)
{
	if (*value == NULL || **value == '\0')
		return true;
	if (is_open_source(source))
	{
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("loyalty.voucher_secret cannot be set for a database, role or function");
		GUC_check_errdetail("Everybody could read it there.");
		GUC_check_errhint("Set it in postgresql.conf.");
		return false;
	}
	if (source == PGC_S_FILE && !preloaded)
	{
		GUC_check_errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
		GUC_check_errmsg("loyalty.voucher_secret is not taken from a configuration file");
		GUC_check_errdetail("Sessions begin without the library loyalty, and everybody could read it there.");
		GUC_check_errhint("Add loyalty to shared_preload_libraries, and take another secret.");
		return false;
	}
	if (strlen(*value) < LEAST_BYTES)
	{
		GUC_check_errmsg("loyalty.voucher_secret is too short");
		GUC_check_errdetail("It has %zu bytes, at least %d are needed.", strlen(*value), LEAST_BYTES);
		GUC_check_errhint("For instance the output of: openssl rand -hex 32");
		return false;
	}
	return true;
}

static const char *
show_secret(void)
{
	return voucher_secret_is_set() ? "********" : "";
}

void
voucher_secret_init(void)
{
	preloaded = process_shared_preload_libraries_in_progress;
	DefineCustomStringVariable("loyalty.voucher_secret",
							   "Secret from which codes of vouchers are derived.",
							   "Without it codes are random and shown once.",
							   &secret,
							   "",
							   PGC_SUSET,
							   GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   check_secret, NULL, show_secret);
}

bool
voucher_secret_is_set(void)
{
	return secret != NULL && secret[0] != '\0';
}

VoucherCode
voucher_secret_derive(const char *message)
{
	uint8		digest[SHA256_LENGTH];

	Assert(voucher_secret_is_set());
	hmac_sha256(secret, strlen(secret), message, strlen(message), digest);
	return voucher_code_from_bytes(digest, sizeof(digest));
}

void
voucher_secret_seal(const uint8 *hash, uint8 *bytes, Size length)
{
	uint8		stream[SHA256_LENGTH];
	Size		i;

	Assert(voucher_secret_is_set());
	for (i = 0; i < length; i++)
	{
		if (i % SHA256_LENGTH == 0)
		{
			char		message[32 + SHA256_LENGTH];
			int			prefix = snprintf(message, 32, "seal %zu ", i / SHA256_LENGTH);

			memcpy(message + prefix, hash, SHA256_LENGTH);
			hmac_sha256(secret, strlen(secret), message, prefix + SHA256_LENGTH, stream);
		}
		bytes[i] ^= stream[i % SHA256_LENGTH];
	}
}
