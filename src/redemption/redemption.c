/*
 * redemption.c
 *		What was redeemed: the rows, and how they move on.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "ledger/merges.h"
#include "ledger/probe.h"
#include "loyalty.h"
#include "redemption/redemption.h"
#include "redemption/stock.h"
#include "redemption/voucher.h"
#include "redemption/voucher_secret.h"

/* Columns, in order; the first two are its key. */
enum
{
	Anum_redemption_member_id = 1,
	Anum_redemption_seq,
	Anum_redemption_points,
	Anum_redemption_requested_at,
	Anum_redemption_confirmed_at,
	Anum_redemption_fulfilled_at,
	Anum_redemption_cancelled_at,
	Anum_redemption_program_id,
	Anum_redemption_reward_id,
	Anum_redemption_quantity,
	Anum_redemption_returned,
	Anum_redemption_backordered,
	Anum_redemption_stocked,
	Anum_redemption_stock_period,
	Anum_redemption_price,
	Anum_redemption_status,
	Anum_redemption_option,
	Anum_redemption_voucher_issued,
	Anum_redemption_automatic,
	Anum_redemption_purchase,
	Anum_redemption_requested_by,
	Anum_redemption_confirmed_by,
	Anum_redemption_fulfilled_by,
	Anum_redemption_cancelled_by,
	Anum_redemption_reference,
	Anum_redemption_note,
	Natts_redemption = Anum_redemption_note
};

static const char *const status_names[] = {"requested", "confirmed", "fulfilled", "cancelled"};

const char *
redemption_status_name(RedemptionStatus status)
{
	return status_names[status];
}

Config *
redemption_begin(void)
{
	LockRelationOid(config_get()->redemption_rel, RowExclusiveLock);
	/* Of what has changed while we waited. */
	return config_get();
}

void
redemption_keep_others(void)
{
	LockRelationOid(config_get()->redemption_rel, ShareLock);
}

text *
redemption_actor(void)
{
	return cstring_to_text(GetUserNameFromId(GetUserId(), false));
}

/*
 * Reading
 */

static RedemptionStatus
status_from_text(const text *value)
{
	int			i;

	for (i = 0; i < lengthof(status_names); i++)
		if (VARSIZE_ANY_EXHDR(value) == strlen(status_names[i]) &&
			memcmp(VARDATA_ANY(value), status_names[i], strlen(status_names[i])) == 0)
			return (RedemptionStatus) i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("redemption status \"%s\" is not known", text_to_cstring(value))));
}

static void
unpack_row(HeapTuple tuple, TupleDesc desc, RedemptionRow *row)
{
	Datum		values[Natts_redemption + 1];	/* so that columns count from 1 */
	bool		nulls[Natts_redemption + 1];
	text	  **const texts[] = {&row->purchase, &row->requested_by, &row->confirmed_by, &row->fulfilled_by,
	&row->cancelled_by, &row->reference, &row->note};
	TimestampTz *const times[] = {&row->requested_at, &row->confirmed_at, &row->fulfilled_at, &row->cancelled_at};
	int			i;

	heap_deform_tuple(tuple, desc, values + 1, nulls + 1);
	row->member_id = DatumGetInt64(values[Anum_redemption_member_id]);
	row->seq = DatumGetInt64(values[Anum_redemption_seq]);
	row->points = DatumGetPoints(values[Anum_redemption_points]);
	for (i = 0; i < lengthof(times); i++)
		*times[i] = nulls[Anum_redemption_requested_at + i] ? DT_NOBEGIN
			: DatumGetTimestampTz(values[Anum_redemption_requested_at + i]);
	row->program_id = DatumGetInt32(values[Anum_redemption_program_id]);
	row->reward_id = DatumGetInt32(values[Anum_redemption_reward_id]);
	row->quantity = DatumGetInt32(values[Anum_redemption_quantity]);
	row->returned = DatumGetInt32(values[Anum_redemption_returned]);
	row->backordered = DatumGetInt32(values[Anum_redemption_backordered]);
	row->stocked = DatumGetInt32(values[Anum_redemption_stocked]);
	row->stock_period = nulls[Anum_redemption_stock_period] ? DATEVAL_NOEND
		: DatumGetDateADT(values[Anum_redemption_stock_period]);
	row->price = nulls[Anum_redemption_price] ? NULL : DatumGetNumericCopy(values[Anum_redemption_price]);
	row->status = status_from_text(DatumGetTextPP(values[Anum_redemption_status]));
	row->option = DatumGetTextPCopy(values[Anum_redemption_option]);
	row->voucher = nulls[Anum_redemption_voucher_issued] ? VOUCHER_NONE
		: DatumGetBool(values[Anum_redemption_voucher_issued]) ? VOUCHER_ISSUED : VOUCHER_DUE;
	row->automatic = DatumGetBool(values[Anum_redemption_automatic]);
	for (i = 0; i < lengthof(texts); i++)
		*texts[i] = nulls[Anum_redemption_purchase + i] ? NULL
			: DatumGetTextPCopy(values[Anum_redemption_purchase + i]);
}

bool
redemption_find(Config *config, Snapshot snapshot, int64 member_id, int64 seq, RedemptionRow *row)
{
	Probe		probe;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_redemption_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	ScanKeyInit(&keys[1], Anum_redemption_seq, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
	tuple = probe_begin(&probe, config->redemption_rel, snapshot, keys, lengthof(keys));
	if (tuple != NULL)
		unpack_row(tuple, RelationGetDescr(probe.rel), row);
	probe_end(&probe);
	return tuple != NULL;
}

bool
redemption_exists(Config *config, int64 member_id, int64 seq)
{
	Snapshot	snapshot = store_snapshot();
	RedemptionRow row;
	bool		found = redemption_find(config, snapshot, member_id, seq, &row);

	UnregisterSnapshot(snapshot);
	return found;
}

bool
redemption_find_open(Config *config, Snapshot snapshot, int64 member_id, RedemptionRow *row)
{
	Probe		probe;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_redemption_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (tuple = probe_begin(&probe, config->redemption_rel, snapshot, &key, 1); tuple != NULL && !found;
		 tuple = found ? tuple : probe_next(&probe))
	{
		CHECK_FOR_INTERRUPTS();
		unpack_row(tuple, RelationGetDescr(probe.rel), row);
		found = row->status == REDEMPTION_REQUESTED || row->status == REDEMPTION_CONFIRMED ||
			(row->status == REDEMPTION_FULFILLED && row->voucher == VOUCHER_DUE);
	}
	probe_end(&probe);
	return found;
}

/* Of one member's ledger. */
static int64
units_of(Config *config, Snapshot snapshot, const Program *program, int64 member_id,
		 const Reward *reward, TimestampTz at)
{
	DateADT		period = calendar_start_of_period(calendar_day(at, program->zone), reward->cap_period);
	int64		units = 0;
	Probe		probe;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_redemption_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	for (tuple = probe_begin(&probe, config->redemption_rel, snapshot, &key, 1); tuple != NULL; tuple = probe_next(&probe))
	{
		TupleDesc	desc = RelationGetDescr(probe.rel);
		bool		isnull;
		TimestampTz requested_at;

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt32(heap_getattr(tuple, Anum_redemption_reward_id, desc, &isnull)) != reward->reward_id)
			continue;
		requested_at = DatumGetTimestampTz(heap_getattr(tuple, Anum_redemption_requested_at, desc, &isnull));
		if (calendar_start_of_period(calendar_day(requested_at, program->zone), reward->cap_period) != period)
			continue;
		units += DatumGetInt32(heap_getattr(tuple, Anum_redemption_quantity, desc, &isnull)) -
			DatumGetInt32(heap_getattr(tuple, Anum_redemption_returned, desc, &isnull));
	}
	probe_end(&probe);
	return units;
}

int64
redemption_units(Config *config, Snapshot snapshot, const Program *program, int64 member_id,
				 const Reward *reward, TimestampTz at)
{
	int64		units = 0;
	MemberIds	person;
	int			i;

	merge_person(config, program, member_id, &person);
	for (i = 0; i < person.count; i++)
		units += units_of(config, snapshot, program, person.ids[i], reward, at);
	return units;
}

/*
 * Writing
 */

typedef enum Statement
{
	INSERT_ROW,
	UPDATE_ROW,
	NSTATEMENTS
} Statement;

/* Both have a parameter for each column, used or not. */
static const char *const statements[NSTATEMENTS] = {
	[INSERT_ROW] = "INSERT INTO loyalty.redemption VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
	" $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)",
	[UPDATE_ROW] = "UPDATE loyalty.redemption SET confirmed_at = $5, fulfilled_at = $6, cancelled_at = $7, returned = $11,"
	" backordered = $12, stocked = $13, stock_period = $14, status = $16, voucher_issued = $18,"
	" confirmed_by = $22, fulfilled_by = $23, cancelled_by = $24, reference = $25"
	" WHERE member_id = $1 AND seq = $2"
};

static SPIPlanPtr
prepared(Statement statement)
{
	static SPIPlanPtr plans[NSTATEMENTS];

	if (plans[statement] != NULL && !SPI_plan_is_valid(plans[statement]))
	{
		SPIPlanPtr	former = plans[statement];

		plans[statement] = NULL;
		SPI_freeplan(former);
	}
	if (plans[statement] == NULL)
	{
		List	   *name = list_make2(makeString(LOYALTY_SCHEMA), makeString("points"));
		Oid			types[Natts_redemption] = {
			INT8OID, INT8OID, typenameTypeId(NULL, makeTypeNameFromNameList(name)),
			TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, DATEOID, NUMERICOID,
			TEXTOID, TEXTOID, BOOLOID, BOOLOID,
			TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID
		};
		SPIPlanPtr	plan = SPI_prepare_cursor(statements[statement], Natts_redemption, types, CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare to write redemptions");
		plans[statement] = plan;
	}
	return plans[statement];
}

static void
write_row(Config *config, const RedemptionRow *row, Statement statement)
{
	const text *const texts[] = {row->purchase, row->requested_by, row->confirmed_by, row->fulfilled_by,
	row->cancelled_by, row->reference, row->note};
	const TimestampTz times[] = {row->requested_at, row->confirmed_at, row->fulfilled_at, row->cancelled_at};
	Datum		values[Natts_redemption + 1];	/* so that columns count from 1 */
	char		nulls[Natts_redemption + 1];
	EngineScope scope;
	int			i;

	memset(nulls, ' ', sizeof(nulls));
	values[Anum_redemption_member_id] = Int64GetDatum(row->member_id);
	values[Anum_redemption_seq] = Int64GetDatum(row->seq);
	values[Anum_redemption_points] = PointsGetDatum(row->points);
	for (i = 0; i < lengthof(times); i++)
	{
		values[Anum_redemption_requested_at + i] = TimestampTzGetDatum(times[i]);
		if (TIMESTAMP_IS_NOBEGIN(times[i]))
			nulls[Anum_redemption_requested_at + i] = 'n';
	}
	values[Anum_redemption_program_id] = Int32GetDatum(row->program_id);
	values[Anum_redemption_reward_id] = Int32GetDatum(row->reward_id);
	values[Anum_redemption_quantity] = Int32GetDatum(row->quantity);
	values[Anum_redemption_returned] = Int32GetDatum(row->returned);
	values[Anum_redemption_backordered] = Int32GetDatum(row->backordered);
	values[Anum_redemption_stocked] = Int32GetDatum(row->stocked);
	values[Anum_redemption_stock_period] = DateADTGetDatum(row->stock_period);
	if (DATE_IS_NOEND(row->stock_period))
		nulls[Anum_redemption_stock_period] = 'n';
	values[Anum_redemption_price] = NumericGetDatum(row->price);
	if (row->price == NULL)
		nulls[Anum_redemption_price] = 'n';
	values[Anum_redemption_status] = CStringGetTextDatum(status_names[row->status]);
	values[Anum_redemption_option] = PointerGetDatum(row->option);
	values[Anum_redemption_voucher_issued] = BoolGetDatum(row->voucher == VOUCHER_ISSUED);
	if (row->voucher == VOUCHER_NONE)
		nulls[Anum_redemption_voucher_issued] = 'n';
	values[Anum_redemption_automatic] = BoolGetDatum(row->automatic);
	for (i = 0; i < lengthof(texts); i++)
	{
		values[Anum_redemption_purchase + i] = PointerGetDatum(texts[i]);
		if (texts[i] == NULL)
			nulls[Anum_redemption_purchase + i] = 'n';
	}

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_plan(prepared(statement), values + 1, nulls + 1, false, 0) < 0 || SPI_processed != 1)
		elog(ERROR, "could not write a redemption");
	SPI_finish();
	engine_leave(&scope);
}

void
redemption_insert(Config *config, const RedemptionRow *row)
{
	write_row(config, row, INSERT_ROW);
}

void
redemption_update(Config *config, const RedemptionRow *row)
{
	write_row(config, row, UPDATE_ROW);
}

/*
 * Moving on
 */

/* The time so much later, in the program's time zone. */
static TimestampTz
later(const Program *program, TimestampTz at, const Interval *interval)
{
	Timestamp	local = DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
															  TimestampGetDatum(calendar_local(at, program->zone)),
															  IntervalPGetDatum(interval)));

	return calendar_instant(local, program->zone);
}

/* The voucher of as many units as stand: with so much more on it, or for so many more uses. */
static char *
issue_voucher(Config *config, const Program *program, const Reward *reward, const MemberRow *member,
			  const RedemptionRow *row, TimestampTz at)
{
	VoucherTerms terms = reward->voucher;
	int			units = row->quantity - row->returned;

	if (terms.pool == NULL && terms.stored)
		terms.value = DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(terms.value),
														  NumericGetDatum(int64_to_numeric(units))));
	else if (terms.uses > 0)
	{
		int64		uses = (int64) terms.uses * units;

		if (uses > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("a voucher cannot have so many uses")));
		terms.uses = (int) uses;
	}
	if (reward->valid_for != NULL)
		terms.valid_until = later(program, at, reward->valid_for);
	return voucher_issue(config, program, &terms, member, row->seq, at);
}

char *
redemption_advance(Config *config, const Program *program, const Reward *reward, const MemberRow *member,
				   RedemptionRow *row, bool agreed, bool looking, text *actor, TimestampTz at)
{
	char	   *code = NULL;

	if (row->status == REDEMPTION_CANCELLED || row->backordered > 0)
		return NULL;
	if (row->status == REDEMPTION_REQUESTED && (agreed || !reward->needs_confirmation))
	{
		row->status = REDEMPTION_CONFIRMED;
		/* The clock of a transaction that began later may have requested it. */
		row->confirmed_at = Max(at, row->requested_at);
		row->confirmed_by = actor;
		if (reward->has_voucher)
			row->voucher = VOUCHER_DUE;
		if (!reward->needs_fulfillment)
		{
			row->status = REDEMPTION_FULFILLED;
			row->fulfilled_at = row->confirmed_at;
			row->fulfilled_by = actor;
		}
	}
	if (row->voucher == VOUCHER_DUE && reward->has_voucher && (looking || voucher_secret_is_set()))
	{
		code = issue_voucher(config, program, reward, member, row, at);
		row->voucher = VOUCHER_ISSUED;
	}
	return code;
}

const char *
redemption_why(const RedemptionRow *row)
{
	if (row->status == REDEMPTION_CANCELLED)
		return "it was cancelled";
	if (row->backordered > 0)
		return "it waits for stock";
	if (row->status == REDEMPTION_REQUESTED)
		return "it is to be confirmed";
	if (row->status == REDEMPTION_CONFIRMED)
		return "it is to be fulfilled";
	return NULL;
}

/*
 * Going back
 */

void
redemption_give_back(Config *config, Store *store, const Program *program, const MemberRow *member, int64 seq,
					 Points taken, Points before, Points points, const text *reason, TimestampTz at)
{
	Program    *kept = config_program_by_id(config, program->program_id);
	Snapshot	snapshot = store_snapshot();
	RedemptionRow row;
	const Reward *reward;
	int			standing;
	int			units;
	int			waiting = 0;
	int			stocked;

	if (!redemption_find(config, snapshot, member->member_id, seq, &row) ||
		(reward = reward_by_id(reward_set(config, kept), row.reward_id)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry " INT64_FORMAT " of member \"%s\" is no redemption of a reward that there is",
						seq, text_to_cstring(member->ref))));
	UnregisterSnapshot(snapshot);

	/* A unit is back once all its points are. */
	standing = row.quantity - row.returned;
	units = points_add(before, points) >= taken ? standing
		: (int) ((before + points) / (taken / row.quantity)) - row.returned;
	if (units > 0)
	{
		/* Those that wait for stock first. */
		waiting = Min(units, row.backordered);
		stocked = Min(units - waiting, row.stocked);
		row.returned += units;
		row.backordered -= waiting;
		row.stocked -= stocked;
		if (stocked > 0)
			stock_return(config, reward, row.stock_period, stocked);
		if (row.voucher == VOUCHER_ISSUED)
			voucher_take_back(config, program, member->member_id, seq, units, standing, reason, at);
	}
	if (points_add(before, points) >= taken)
	{
		row.status = REDEMPTION_CANCELLED;
		row.cancelled_at = at;
		row.cancelled_by = redemption_actor();
	}
	/* What is left of it may wait for nothing more. */
	if (waiting > 0)
		(void) redemption_advance(config, program, reward, member, &row, false, false, redemption_actor(), at);
	redemption_update(config, &row);
}
