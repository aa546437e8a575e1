/*
 * export.c
 *		All that is known of one member, for himself.
 *
 * One query under one snapshot, with the engine's rights: whoever may see the
 * member as a person may have it, and he himself.  A person is a member and all
 * who stand merged into him; each row names the ledger that it is of.
 *
 * Rows have the columns of their tables, under their names, but for numbers that
 * say nothing outside: so a new column is exported by itself.  What is other
 * members' is left out: whom points came from or went to, who brought him, who
 * else is in his household.  So is what would let his vouchers be used by whoever
 * reads the file.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "ledger/member.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_export_member);

/* What a query gives, as an array. */
#define ARRAY_OF(query) "coalesce((SELECT jsonb_agg(x.row ORDER BY x.place) FROM (" query ") x (row, place)), '[]')"

/* Rows of a table with member_id: without some columns (each after a comma), with others, in an order. */
#define ROWS(table, without, with, joins, place) \
	ARRAY_OF("SELECT jsonb_build_object('ledger', l.ref) || (to_jsonb(t) - '{member_id,program_id" without "}'::text[]) || jsonb_build_object(" with ")," \
			 " row_number() OVER (ORDER BY " place ") FROM loyalty." table " t JOIN ledgers l ON l.member_id = t.member_id " joins)

#define WITH_SOURCE "LEFT JOIN sources s ON s.source_id = t.source_id"
#define WITH_RULE "LEFT JOIN loyalty.rule r ON r.rule_id = t.rule_id"
#define WITH_REWARD "LEFT JOIN loyalty.reward w ON w.reward_id = t.reward_id"

static const char *const export_query =
	"WITH RECURSIVE person (member_id) AS (SELECT $1"
	"  UNION SELECT g.member_id FROM person p JOIN loyalty.member_merge g ON g.into_member_id = p.member_id AND g.undone_at IS NULL),"
	" ledgers AS (SELECT m.* FROM person p JOIN loyalty.member m USING (member_id)),"
	" refs (ref) AS (SELECT ref FROM ledgers UNION"
	"  SELECT a.ref FROM loyalty.member_alias a JOIN ledgers l ON l.member_id = a.member_id AND l.program_id = a.program_id),"
	" sources (source_id, name) AS (SELECT source_id, name FROM loyalty.source UNION ALL SELECT 0, 'api')"
	" SELECT jsonb_build_object('format', 1, 'exported_at', now(), 'program', $2,"
	"  'member', (SELECT to_jsonb(m) - '{program_id,head,ref,purse}'::text[] || jsonb_build_object('ref', m.ref, 'head', encode(m.head, 'hex'))"
	"   FROM loyalty.member m WHERE m.member_id = $1),"
	"  'refs', (SELECT jsonb_agg(ref ORDER BY ref) FROM refs),"
	/* Who was merged into him has a ledger of his own still. */
	"  'ledgers', " ARRAY_OF("SELECT jsonb_build_object('ledger', l.ref, 'member_id', l.member_id, 'status', l.status,"
							 " 'enrolled_at', l.enrolled_at), row_number() OVER (ORDER BY l.member_id <> $1, l.ref) FROM ledgers l") ","
	"  'profile', " ROWS("profile", ",referred_by", "'referred', t.referred_by IS NOT NULL", "", "l.ref") ","
	"  'has_referred', (SELECT count(*) FROM loyalty.profile t JOIN person p ON p.member_id = t.referred_by"
	"   WHERE t.member_id NOT IN (SELECT member_id FROM person)),"
	"  'consents', " ROWS("consent", "", "", "", "t.purpose, t.at, t.consent_no, l.ref") ","
	"  'feedback', " ROWS("feedback", "", "", "", "t.at, l.ref, t.feedback_no") ","
	"  'balance', (SELECT to_jsonb(b) FROM loyalty.balance($3, NULL, $2) b),"
	"  'lots', " ARRAY_OF("SELECT to_jsonb(t), row_number() OVER (ORDER BY t.ends, t.starts) FROM loyalty.lots($3, NULL, $2) t") ","
	"  'entries', " ROWS("entry", ",rule_id,source_id,rule_horizon,source_key,context,hash",
						 "'rule', r.name, 'source', s.name, 'hash', encode(t.hash, 'hex'),"
						 " 'source_key', CASE WHEN t.kind = 'transfer' AND t.source_key ~ '^transfer (from|to) ' THEN NULL ELSE t.source_key END,"
						 " 'context', nullif(t.context - '{to_member_id,from_member_id,by}'::text[], '{}')",
						 WITH_RULE " " WITH_SOURCE, "l.member_id <> $1, l.ref, t.seq") ","
	"  'holds', " ROWS("hold", "", "", "", "l.ref, t.seq") ","
	/* Not who of the staff they were. */
	"  'proposals', " ROWS("proposal", ",entry_member_id,proposed_by,proposed_session,decided_by,decided_session", "", "", "l.ref, t.number") ","
	"  'confirmations', " ROWS("confirmation", ",rule_id,source_id", "'rule', r.name, 'source', s.name",
							   WITH_RULE " " WITH_SOURCE, "l.ref, t.seq") ","
	"  'redemptions', " ROWS("redemption", ",reward_id", "'reward', w.name", WITH_REWARD, "l.ref, t.seq") ","
	"  'choices', " ROWS("reward_choice", ",reward_id", "'reward', w.name", WITH_REWARD, "l.ref") ","
	"  'vouchers', " ROWS("voucher", ",hash,code,nonce,sealed,redeemer_id,delivery", "", "", "t.issued_at, t.hint, t.hash") ","
	"  'voucher_uses', " ROWS("voucher_use", ",hash", "'voucher', v.hint", "LEFT JOIN loyalty.voucher v ON v.hash = t.hash", "t.at, v.hint, t.hash, t.use_no") ","
	"  'voucher_returns', " ARRAY_OF("SELECT jsonb_build_object('ledger', l.ref, 'voucher', v.hint) || (to_jsonb(t) - '{hash,program_id}'::text[]),"
									 " row_number() OVER (ORDER BY t.at, v.hint, t.hash, t.return_no)"
									 " FROM loyalty.voucher_use u JOIN ledgers l USING (member_id)"
									 " JOIN loyalty.voucher_return t ON t.hash = u.hash AND t.use_no = u.use_no"
									 " LEFT JOIN loyalty.voucher v ON v.hash = t.hash") ","
	/* The engine writes refs into notes of merges that may be somebody else's since. */
	"  'tier_changes', " ROWS("tier_change", ",note", "'note', CASE WHEN t.note ~ '^(merged|parted) from member ' THEN NULL ELSE t.note END", "", "l.ref, t.change_no") ","
	"  'limits', " ROWS("rule_usage", ",rule_id", "'rule', r.name", WITH_RULE, "l.ref, r.name, t.period") ","
	"  'merges', " ROWS("member_merge", ",into_member_id,into_seq,ref,refs,had_enrolled_at,had_tier,had_tier_until,had_floor,had_floor_until",
						"'ref', t.ref", "", "t.merged_at, l.ref") ","
	"  'households', " ROWS("household_member", ",household_id", "'household', h.name, 'head', h.head_member_id = t.member_id",
							"LEFT JOIN loyalty.household h ON h.household_id = t.household_id AND t.left_at IS NULL", "l.ref") ","
	"  'query_purchases', " ROWS("purchase", ",source_id", "'source', s.name", WITH_SOURCE, "s.name, t.source_key") ","
	"  'seals', " ROWS("seal_leaf", ",head", "'head', encode(t.head, 'hex')", "", "l.ref, t.seal") ","
	"  'deferred', " ARRAY_OF("SELECT to_jsonb(t) - '{source_id,program_id,member_ids,detail,hint,context}'::text[] || jsonb_build_object('source', s.name),"
							  " row_number() OVER (ORDER BY s.name, t.source_key)"
							  " FROM loyalty.deferred t " WITH_SOURCE " WHERE t.member_ids && ARRAY(SELECT member_id FROM person)") ","
	"  'maintenance_failures', " ROWS("maintenance_failure", "", "", "", "l.ref") ","
	"  'import_failures', " ARRAY_OF("SELECT to_jsonb(t) - 'program_id', row_number() OVER (ORDER BY t.failed_at, t.ref)"
									 " FROM loyalty.import_failure t JOIN refs USING (ref)"
									 " WHERE t.program_id = (SELECT program_id FROM loyalty.program WHERE name = $2)")
	")";

/*
 * Who may: whoever may see him as a person.
 */
static Program *
exported_program(FunctionCallInfo fcinfo, Config *config, const text *ref)
{
	Program    *program = access_program_for(config, text_argument(fcinfo, 1), ACCESS_READ, ref);

	if (!access_sees_person(config, program))
		access_require(config, program, ACCESS_OPERATE);
	return program;
}

/* export_member(member, program) → jsonb */
Datum
loyalty_export_member(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	text	   *ref = member_argument(fcinfo, 0);
	Program    *program = exported_program(fcinfo, config, ref);
	Oid			types[3] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[3] = {Int64GetDatum(member_resolve(config, program, ref)), CStringGetTextDatum(program->name), PointerGetDatum(ref)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	Store	   *store = store_open(config, false);
	MemberRow	row;
	EngineScope scope;
	Datum		exported;
	bool		known;
	bool		isnull;

	row.status = MEMBER_ACTIVE;
	store_begin_read(store, GetActiveSnapshot());
	known = store_find_member(store, DatumGetInt64(values[0]), &row) && member_is(config, program, &row, ref);
	store_end_read(store);
	store_close(store);
	if (!known && row.status == MEMBER_FORGOTTEN)
		member_forgotten(program, ref);
	if (!known)
		member_unknown(program, ref);

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(export_query, lengthof(types), types, values, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not export a member");
	spi = MemoryContextSwitchTo(caller);
	exported = PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	MemoryContextSwitchTo(spi);
	SPI_finish();
	engine_leave(&scope);
	PG_RETURN_DATUM(exported);
}
