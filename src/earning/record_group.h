/*
 * record_group.h
 *		Events of a batch that are recorded together.
 */
#ifndef LOYALTY_RECORD_GROUP_H
#define LOYALTY_RECORD_GROUP_H

#include "earning/event_list.h"
#include "earning/record.h"

/* What became of one event. */
typedef struct RecordOutcome
{
	RecordAnswer answer;
	int			error_code;		/* 0: none */
	char	   *message;
	char	   *detail;			/* NULL: none */
} RecordOutcome;

/* One call of record_batch. */
typedef struct RecordBatch
{
	Config	   *config;
	Program    *program;
	EventList	events;
	bool		skip;			/* what fails is left out, else raised */
	int			current;		/* the event at hand, by its place from 0 on; -1: none */
	MemoryContext context;		/* of what lasts */
	RecordOutcome *outcomes;	/* one an event */
} RecordBatch;

/* An event where it belongs. */
typedef struct RecordItem
{
	int64		member_id;		/* whom its ref led to when it was put in order */
	int			index;			/* its place in the batch, from 0 on */
	RecordCall	call;
	RecordCase	record;
	MemberRow  *row;			/* while he is locked */
} RecordItem;

/*
 * Record events, which ascend by member_id and then by their place: what the
 * same calls of record one after the other would.  Everything is written; an
 * error is raised, and batch->current says of which event it is.
 */
extern void record_group(RecordBatch *batch, RecordItem *items, int nitems);

#endif							/* LOYALTY_RECORD_GROUP_H */
