/*
 * record.h
 *		Events and purchases that no table holds, recorded by a function.
 */
#ifndef LOYALTY_RECORD_H
#define LOYALTY_RECORD_H

#include "earning/request.h"
#include "earning/single.h"
#include "ledger/act.h"

/* One event that somebody asks to be recorded. */
typedef struct RecordCall
{
	text	   *ref;
	text	   *note;			/* the reason; NULL: none */
	text	   *key;			/* as given; NULL: none */
	EventRequest request;
} RecordCall;

/* The same once it has been looked through. */
typedef struct RecordCase
{
	const RecordCall *call;
	Jsonb	   *asked;			/* as the ledger keeps it */
	Purchase	purchase;		/* of nobody yet, with its source_key */
} RecordCase;

typedef struct RecordAnswer
{
	int64		entry;
	Points		points;
	Points		balance;
	bool		repeated;
} RecordAnswer;

/* Look through a call: 22004, 22023 or 22001 for what is wrong with it. */
extern void record_prepare(const Program *program, const RecordCall *call, RecordCase *record);

/* A NOTICE for an event that no rule is about. */
extern void record_notice_event(Config *config, Program *program, const char *event);

/*
 * What an earlier call with the same key was answered; LY006 when it asked for
 * something else, false when there is none.  The member is locked.  Inside
 * store_begin_read.
 */
extern bool record_find(Config *config, const Program *program, Store *store, const RecordCase *record,
						const MemberRow *member, RecordAnswer *answer);

/*
 * The answer to a case that the posting took up from entry number "from" on; what
 * time has done meanwhile is none of it.
 */
extern void record_answer(const Posting *posting, int from, const text *source_key, RecordAnswer *answer);

/* Record one. */
extern void record_one(Config *config, Program *program, const RecordCase *record, RecordAnswer *answer);

#endif							/* LOYALTY_RECORD_H */
