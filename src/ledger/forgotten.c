/*
 * forgotten.c
 *		Members of whom nothing personal is left.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/act.h"
#include "ledger/chain.h"
#include "ledger/context_field.h"
#include "ledger/forgotten.h"
#include "ledger/probe.h"
#include "loyalty.h"

/*
 * Fields of contexts that stay: figures, names of tiers and rewards, and what
 * other entries, holds, vouchers and purchases are called, and who adjusted.  What is not in this
 * list is blanked, so that a field which is added later is not forgotten here:
 * facts of the member that rules read, what a recorded event said, keys.
 */
static const char *const kept_fields[] = {
	"status", "barred", "rates", "shortfall", "wanted", "awaiting", "decision",
	"entry", "points", "hold", "released", "left", "shared", "expires", "act", "new_ends", "ends", "within", "reinstates",
	"to_member_id", "to_entry", "from_member_id", "from_entry",
	"lots", "undated", "lifetime", "last_activity", "tally", "tier", "tier_since", "tier_until", "until",
	"reward", "option", "quantity", "pays", "price", "purchase", "amount", "value",
	"voucher", "use", "return", "by", FIELD_EVENT,
	FIELD_FORGOTTEN
};

static bool
stays(const JsonbValue *name)
{
	int			i;

	for (i = 0; i < lengthof(kept_fields); i++)
		if (name->val.string.len == strlen(kept_fields[i]) &&
			memcmp(name->val.string.val, kept_fields[i], name->val.string.len) == 0)
			return true;
	return false;
}

/* Copy the fields that stay into the object under way; returns whether all do. */
static bool
copy_kept(const Jsonb *context, JsonbParseState **state)
{
	JsonbIterator *iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &context->root));
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		all = true;
	bool		copies = false;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			copies = stays(&value);
			all &= copies;
		}
		if (copies && (token == WJB_KEY || token == WJB_VALUE))
			(void) pushJsonbValue(state, token, &value);
	}
	return all;
}

/* Whether the context is that of a recorded purchase. */
static bool
is_purchase(const Jsonb *context)
{
	JsonbValue	request;
	JsonbValue	event;

	return context_field_of(context, "request", jbvBinary, &request) &&
		JsonContainerIsObject(request.val.binary.data) &&
		getKeyJsonValueFromContainer(request.val.binary.data, FIELD_EVENT, strlen(FIELD_EVENT), &event) != NULL &&
		event.type == jbvString && event.val.string.len == strlen(FIELD_EVENT_PURCHASE) &&
		memcmp(event.val.string.val, FIELD_EVENT_PURCHASE, strlen(FIELD_EVENT_PURCHASE)) == 0;
}

static void
push_digest(JsonbParseState **state, const char *name, const uint8 *digest)
{
	char		hex[HASH_LENGTH * 2 + 1];

	if (digest == NULL)
		return;
	hex[hex_encode((const char *) digest, HASH_LENGTH, hex)] = '\0';
	act_push_text(state, name, hex);
}

bool
forgotten_blank(const Jsonb *context, const text *note, Jsonb **blanked)
{
	JsonbParseState *state = NULL;
	uint8		digest[HASH_LENGTH];
	bool		all = true;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (context != NULL)
		all = copy_kept(context, &state);
	if (all && note == NULL)
		return false;
	if (is_purchase(context))
		act_push_text(&state, FIELD_EVENT, FIELD_EVENT_PURCHASE);
	act_push_key(&state, FIELD_SHA256);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_digest(&state, "context", chain_context_digest(context, digest));
	push_digest(&state, "note", chain_note_digest(note, digest));
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	*blanked = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return true;
}

bool
forgotten_digest(const Jsonb *context, const char *name, uint8 *digest)
{
	JsonbValue	digests;
	JsonbValue	room;
	JsonbValue *value;

	if (!context_field_of(context, FIELD_SHA256, jbvBinary, &digests) ||
		!JsonContainerIsObject(digests.val.binary.data))
		return false;
	value = getKeyJsonValueFromContainer(digests.val.binary.data, name, strlen(name), &room);
	if (value == NULL || value->type != jbvString || value->val.string.len != HASH_LENGTH * 2 ||
		strspn(value->val.string.val, "0123456789abcdef") < HASH_LENGTH * 2)
		return false;
	hex_decode(value->val.string.val, HASH_LENGTH * 2, (char *) digest);
	return true;
}

bool
forgotten_has(Config *config, Snapshot given, int64 member_id)
{
	Snapshot	snapshot = RegisterSnapshot(given == NULL ? config_snapshot() : given);
	Probe		probe;
	ScanKeyData key;
	bool		found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	found = probe_begin(&probe, config->forgotten_rel, snapshot, &key, 1) != NULL;
	probe_end(&probe);
	UnregisterSnapshot(snapshot);
	return found;
}

bool
forgotten_purchase(Config *config, Snapshot given, int32 source_id, const text *key)
{
	Snapshot	snapshot = RegisterSnapshot(given == NULL ? config_snapshot() : given);
	Probe		probe;
	ScanKeyData keys[2];
	bool		found;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(key));
	found = probe_begin(&probe, config->forgotten_purchase_rel, snapshot, keys, lengthof(keys)) != NULL;
	probe_end(&probe);
	UnregisterSnapshot(snapshot);
	return found;
}

void
forgotten_keep_purchase(Config *config, const Program *program, int32 source_id, const text *key, int64 member_id)
{
	Oid			types[4] = {INT4OID, TEXTOID, INT8OID, INT4OID};
	Datum		values[4] = {Int32GetDatum(source_id), PointerGetDatum(key), Int64GetDatum(member_id),
	Int32GetDatum(program->program_id)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.forgotten_purchase (source_id, source_key, member_id, program_id)"
							  " VALUES ($1, $2, $3, $4) ON CONFLICT (source_id, source_key) DO NOTHING",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not keep a purchase of a forgotten member");
	SPI_finish();
	engine_leave(&scope);
	if (!program->has_forgotten_purchases)
		config_invalidate(config);
}
