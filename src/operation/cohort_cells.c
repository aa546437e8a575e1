/*
 * cohort_cells.c
 *		What became of points by the month of their issue: an aggregate.
 *
 * It goes through what each person did, month by month.  Issued is all that came
 * or was taken but for redemption and expiry: where it falls, what was issued
 * last is gone, so that of a month there is left what the least running sum from
 * there on has above that of the month before.  What goes is matched with that
 * from the oldest on, as the engine spends; within a month what expires goes
 * first.  What is matched before it is issued counts in the month of its issue.
 *
 * A cell is a month of issue and one in which something went.  Cells of all
 * persons are added up as they come, so that millions of persons take no more
 * than the cells do.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "loyalty.h"
#include "types/points.h"

PG_FUNCTION_INFO_V1(loyalty_cohort_cells_accum);
PG_FUNCTION_INFO_V1(loyalty_cohort_cells_final);

/* A cell of what was taken, or redeemed, before there were points for it. */
#define NO_COHORT DATEVAL_NOEND

typedef struct CellKey
{
	DateADT		cohort;
	DateADT		month;
} CellKey;

typedef struct Cell
{
	CellKey		key;
	char		status;			/* of the hash table */
	int128		issued;
	int128		redeemed;
	int128		expired;
} Cell;

#define SH_PREFIX cells
#define SH_ELEMENT_TYPE Cell
#define SH_KEY_TYPE CellKey
#define SH_KEY key
#define SH_HASH_KEY(table, k) (((uint32) (k).cohort * 0x9E3779B9U) ^ ((uint32) (k).month * 0x85EBCA6BU))
#define SH_EQUAL(table, a, b) ((a).cohort == (b).cohort && (a).month == (b).month)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What a person did in a month; the sums are up to its end. */
typedef struct Step
{
	DateADT		month;
	Points		issued;
	Points		redeemed;
	Points		expired;
	int128		issued_lasting; /* the least of the sums from here on, not below zero */
	int128		redeemed_lasting;
} Step;

typedef struct Cells
{
	cells_hash *sums;
	int32		weight;
	int64		person_id;
	Step	   *steps;
	int			nsteps;
	int			room;
} Cells;

static Cells *
new_cells(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	MemoryContext caller;
	Cells	   *cells;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	caller = MemoryContextSwitchTo(context);
	cells = palloc0(sizeof(Cells));
	cells->sums = cells_create(context, 1024, NULL);
	cells->room = 64;
	cells->steps = palloc(sizeof(Step) * cells->room);
	MemoryContextSwitchTo(caller);
	return cells;
}

static Cell *
find_cell(Cells *cells, DateADT cohort, DateADT month)
{
	CellKey		key = {cohort, month};
	bool		found;
	Cell	   *cell = cells_insert(cells->sums, key, &found);

	if (!found)
		cell->issued = cell->redeemed = cell->expired = 0;
	return cell;
}

/* Points that are still there of the months from the oldest on. */
typedef struct Left
{
	int			step;
	int128		points;			/* of that one */
} Left;

static int128
issued_for_good(const Cells *cells, int step)
{
	return cells->steps[step].issued_lasting - (step > 0 ? cells->steps[step - 1].issued_lasting : 0);
}

static void
match(Cells *cells, Left *left, int128 points, DateADT month, bool expired)
{
	while (points > 0)
	{
		int128		taken = points;
		Cell	   *cell;

		while (left->points == 0 && left->step + 1 < cells->nsteps)
			left->points = issued_for_good(cells, ++left->step);
		if (left->points > 0)
		{
			DateADT		cohort = cells->steps[left->step].month;

			taken = Min(points, left->points);
			left->points -= taken;
			cell = find_cell(cells, cohort, Max(cohort, month));
		}
		else
			cell = find_cell(cells, NO_COHORT, NO_COHORT);
		if (expired)
			cell->expired += cells->weight * taken;
		else
			cell->redeemed += cells->weight * taken;
		points -= taken;
	}
}

/* Sums up to each month, then the least of those from there on. */
static void
find_lasting(Cells *cells)
{
	int128		issued = 0;
	int128		redeemed = 0;
	int			i;

	for (i = 0; i < cells->nsteps; i++)
	{
		cells->steps[i].issued_lasting = issued += cells->steps[i].issued;
		cells->steps[i].redeemed_lasting = redeemed += cells->steps[i].redeemed;
	}
	for (i = cells->nsteps - 2; i >= 0; i--)
	{
		cells->steps[i].issued_lasting = Min(cells->steps[i].issued_lasting, cells->steps[i + 1].issued_lasting);
		cells->steps[i].redeemed_lasting = Min(cells->steps[i].redeemed_lasting, cells->steps[i + 1].redeemed_lasting);
	}
	for (i = 0; i < cells->nsteps; i++)
	{
		cells->steps[i].issued_lasting = Max(cells->steps[i].issued_lasting, 0);
		cells->steps[i].redeemed_lasting = Max(cells->steps[i].redeemed_lasting, 0);
	}
}

/* Add up the person who is complete. */
static void
add_person(Cells *cells)
{
	Left		left = {.step = -1};
	int128		redeemed = 0;
	int			i;

	find_lasting(cells);
	for (i = 0; i < cells->nsteps; i++)
	{
		const Step *step = &cells->steps[i];
		int128		issued = issued_for_good(cells, i);

		if (issued != 0)
			find_cell(cells, step->month, step->month)->issued += cells->weight * issued;
		if (issued != step->issued)
			find_cell(cells, NO_COHORT, NO_COHORT)->issued += cells->weight * (step->issued - issued);
		match(cells, &left, step->expired, step->month, true);
		match(cells, &left, step->redeemed_lasting - redeemed, step->month, false);
		redeemed = step->redeemed_lasting;
	}
	cells->nsteps = 0;
}

/* Whether a row belongs before the last one. */
static bool
out_of_order(const Cells *cells, int32 weight, int64 person_id, DateADT month)
{
	if (cells->weight != weight)
		return weight < cells->weight;
	if (cells->person_id != person_id)
		return person_id < cells->person_id;
	return month < cells->steps[cells->nsteps - 1].month;
}

/*
 * cohort_cells(weight, person_id, month, issued, redeemed, expired), none of them
 * NULL; in the order of weights, persons and months, for a person who came in two
 * parts would be two persons
 */
Datum
loyalty_cohort_cells_accum(PG_FUNCTION_ARGS)
{
	Cells	   *cells = PG_ARGISNULL(0) ? new_cells(fcinfo) : (Cells *) PG_GETARG_POINTER(0);
	int32		weight = PG_GETARG_INT32(1);
	int64		person_id = PG_GETARG_INT64(2);
	DateADT		month = PG_GETARG_DATEADT(3);
	Step	   *step;
	int			i;

	for (i = 1; i <= 6; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("arguments of cohort_cells must not be null")));
	if (cells->nsteps > 0 && out_of_order(cells, weight, person_id, month))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows of cohort_cells must be in the order of weights, persons and months")));
	if (cells->nsteps > 0 && (cells->weight != weight || cells->person_id != person_id))
		add_person(cells);
	cells->weight = weight;
	cells->person_id = person_id;
	if (cells->nsteps == 0 || month > cells->steps[cells->nsteps - 1].month)
	{
		if (cells->nsteps == cells->room)
		{
			cells->room *= 2;
			cells->steps = repalloc(cells->steps, sizeof(Step) * cells->room);
		}
		step = &cells->steps[cells->nsteps++];
		memset(step, 0, sizeof(Step));
		step->month = month;
	}
	else
		step = &cells->steps[cells->nsteps - 1];
	step->issued = points_add(step->issued, PG_GETARG_POINTS(4));
	step->redeemed = points_add(step->redeemed, PG_GETARG_POINTS(5));
	step->expired = points_add(step->expired, PG_GETARG_POINTS(6));
	PG_RETURN_POINTER(cells);
}

static Datum
points_sum(int128 points)
{
	if (points > POINTS_MAX || points < POINTS_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points out of range")));
	return PointsGetDatum((Points) points);
}

/* The cells that are not empty, as an array of cohort_cell, in no order; NULL of no rows. */
Datum
loyalty_cohort_cells_final(PG_FUNCTION_ARGS)
{
	Oid			type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	TupleDesc	desc;
	Cells	   *cells;
	Cell	   *cell;
	Datum	   *rows;
	cells_iterator iterator;
	int			nrows = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	cells = (Cells *) PG_GETARG_POINTER(0);
	add_person(cells);
	desc = lookup_rowtype_tupdesc(type, -1);
	rows = palloc(sizeof(Datum) * (cells->sums->members + 1));
	cells_start_iterate(cells->sums, &iterator);
	while ((cell = cells_iterate(cells->sums, &iterator)) != NULL)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		if (cell->issued == 0 && cell->redeemed == 0 && cell->expired == 0)
			continue;
		nulls[0] = nulls[1] = cell->key.cohort == NO_COHORT;
		values[0] = DateADTGetDatum(cell->key.cohort);
		values[1] = DateADTGetDatum(cell->key.month);
		values[2] = points_sum(cell->issued);
		values[3] = points_sum(cell->redeemed);
		values[4] = points_sum(cell->expired);
		rows[nrows++] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, nrows, type, -1, false, TYPALIGN_DOUBLE));
}
