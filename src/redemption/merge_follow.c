/*
 * merge_follow.c
 *		What other tables hold about members, when these are merged or parted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "ledger/households.h"
#include "loyalty.h"
#include "redemption/merge_follow.h"
#include "redemption/redemption.h"

/* Whoever is in a household has rules to keep when he leaves it. */
static void
check_household(Config *config, const Program *program, const MemberRow *from)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	Household	household;

	if (household_of(config, snapshot, from->member_id, &household))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MERGE),
				 errmsg("member \"%s\" is in a household", text_to_cstring(from->ref)),
				 errdetail("Member \"%s\" of program \"%s\" is in household \"%s\".",
						   text_to_cstring(from->ref), program->name, text_to_cstring(household.name)),
				 errhint("He can leave it with loyalty.leave_household.")));
	UnregisterSnapshot(snapshot);
}

/* What he redeemed stays in his ledger, where nobody could confirm or fulfill it any more. */
static void
check_redemptions(Config *config, const Program *program, const MemberRow *from)
{
	Snapshot	snapshot = RegisterSnapshot(config_snapshot());
	RedemptionRow row;

	if (redemption_find_open(config, snapshot, from->member_id, &row))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MERGE),
				 errmsg("member \"%s\" has not got all that he redeemed", text_to_cstring(from->ref)),
				 errdetail("Redemption " INT64_FORMAT " of him in program \"%s\" is %s%s.", row.seq, program->name,
						   redemption_status_name(row.status),
						   row.voucher == VOUCHER_DUE ? ", and its voucher is not issued" : ""),
				 errhint("Confirm and fulfill, or cancel, what he redeemed first; loyalty.redemptions lists it.")));
	UnregisterSnapshot(snapshot);
}

void
members_check_merge(Config *config, const Program *program, const MemberRow *from, const MemberRow *into)
{
	if (from->awaiting != 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MERGE),
				 errmsg("points of member \"%s\" await confirmation", text_to_cstring(from->ref)),
				 errdetail("%s points of him in program \"%s\" await confirmation.",
						   points_to_cstring(from->awaiting), program->name),
				 errhint("Decide on them first, with loyalty.accept or loyalty.reject; loyalty.awaiting lists them.")));
	if (from->held != 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_MERGE),
				 errmsg("points of member \"%s\" are held", text_to_cstring(from->ref)),
				 errdetail("%s points of him in program \"%s\" are held.",
						   points_to_cstring(from->held), program->name),
				 errhint("Capture or release them first; the table loyalty.hold has the holds.")));
	check_household(config, program, from);
	check_redemptions(config, program, from);
}

/* Let vouchers have another owner: all of one member, or those with a condition. */
static void
pass_vouchers(Config *config, int64 from, int64 to, const char *condition)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(from), Int64GetDatum(to)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args(psprintf("UPDATE loyalty.voucher SET member_id = $2 WHERE member_id = $1%s", condition),
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not pass on vouchers");
	SPI_finish();
	engine_leave(&scope);
}

/* What he has chosen to be redeemed by itself becomes the other one's choice, unless that one has chosen himself. */
static void
pass_choice(Config *config, int64 from, int64 into)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(from), Int64GetDatum(into)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.reward_choice SET member_id = $2 WHERE member_id = $1"
							  " AND NOT EXISTS (SELECT FROM loyalty.reward_choice WHERE member_id = $2)",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_UPDATE ||
		SPI_execute_with_args("DELETE FROM loyalty.reward_choice WHERE member_id = $1",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not pass on what a member has chosen");
	SPI_finish();
	engine_leave(&scope);
}

/* What the one who goes has agreed to and withdrawn is what the other one has said, too. */
static void
pass_consents(Config *config, int64 from, int64 into)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(from), Int64GetDatum(into)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.consent (member_id, purpose, consent_no, granted, at, recorded_at, program_id, source, role)"
							  " SELECT $2, c.purpose, coalesce((SELECT pg_catalog.max(o.consent_no) FROM loyalty.consent o"
							  "  WHERE o.member_id = $2 AND o.purpose = c.purpose), 0)"
							  " + pg_catalog.row_number() OVER (PARTITION BY c.purpose ORDER BY c.consent_no),"
							  " c.granted, c.at, c.recorded_at, c.program_id, c.source, c.role"
							  " FROM loyalty.consent c WHERE c.member_id = $1",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not pass on consents");
	SPI_finish();
	engine_leave(&scope);
}

/* What is known of them as persons becomes one; of two values the one of who stays. */
static void
unite_profiles(Config *config, int64 from, int64 into)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(from), Int64GetDatum(into)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO loyalty.profile AS p (member_id, program_id, birthday, segments, referred_by, data)"
							  " SELECT $2, f.program_id, f.birthday, f.segments, nullif(f.referred_by, $2), f.data"
							  " FROM loyalty.profile f WHERE f.member_id = $1"
							  " ON CONFLICT (member_id) DO UPDATE SET"
							  " birthday = coalesce(p.birthday, excluded.birthday),"
							  " segments = ARRAY(SELECT s FROM (SELECT s, 1 AS place, n FROM pg_catalog.unnest(p.segments) WITH ORDINALITY AS a (s, n)"
							  "  UNION ALL SELECT s, 2, n FROM pg_catalog.unnest(excluded.segments) WITH ORDINALITY AS b (s, n)"
							  "  WHERE s <> ALL (p.segments)) u ORDER BY place, n),"
							  " referred_by = coalesce(p.referred_by, excluded.referred_by),"
							  " data = excluded.data || p.data",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not unite profiles");
	/*
	 * Whom the one who went had brought, was brought by the other one.  Who turns
	 * out to have brought himself stays so on record, for loyalty.suspicious.
	 */
	SPI_execute_with_args("UPDATE loyalty.profile SET referred_by = $2 WHERE referred_by = $1",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	engine_leave(&scope);
}

/* Who had brought the other one is somebody else again, unless there are others who could have been. */
static void
part_referrals(Config *config, int64 from, int64 into)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(from), Int64GetDatum(into)};
	EngineScope scope;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("UPDATE loyalty.profile SET referred_by = $1 WHERE member_id = $2 AND referred_by = $2 AND NOT EXISTS"
							  " (SELECT FROM loyalty.member_merge WHERE into_member_id = $2 AND member_id <> $1 AND undone_at IS NULL)",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not part referrals");
	SPI_finish();
	engine_leave(&scope);
}

void
members_merged(Config *config, const Program *program, const MemberRow *from, const MemberRow *into, TimestampTz at)
{
	unite_profiles(config, from->member_id, into->member_id);
	pass_consents(config, from->member_id, into->member_id);
	pass_vouchers(config, from->member_id, into->member_id, "");
	pass_choice(config, from->member_id, into->member_id);
}

void
members_unmerged(Config *config, const Program *program, const MemberRow *from, const MemberRow *into, TimestampTz at)
{
	/* Of vouchers that came from no redemption nobody knows any more whose they were. */
	pass_vouchers(config, into->member_id, from->member_id, " AND redeemer_id = $2");
	part_referrals(config, from->member_id, into->member_id);
	/* Else profiles stay as they are: his has been kept, and what it gave to the other one may have been changed since. */
}
