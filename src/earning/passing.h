/*
 * passing.h
 *		What moves from one member to another because they were merged.
 *
 * Like a transfer: two entries of the same points with opposite sign, which name
 * each other.  But all kinds of lots move, a debt and what is pending too, and
 * with them what stands beside points: lifetime points, the last activity, and
 * what counts toward tiers.  So a member who was merged holds nothing, whatever
 * is written in his ledger later, and all of it can be worked out from entries.
 */
#ifndef LOYALTY_PASSING_H
#define LOYALTY_PASSING_H

#include "ledger/imported.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "tiers/standing.h"

/* Both are locked. */
typedef struct Move
{
	Config	   *config;
	Program    *program;
	Store	   *store;
	MemberRow  *from;
	MemberRow  *into;
	const char *keys;			/* MERGE_KEYS or the like */
	text	   *key;			/* that somebody passed; NULL: none */
	text	   *note;			/* NULL: none */
	TimestampTz at;
	Purse		lots;			/* what moves */
	Moved		moved;
	/* Called with their standings before it is counted there; NULL: nothing more to do. */
	void		(*given) (struct Move *move, Standing *standing);
	void		(*received) (struct Move *move, Standing *standing);
	void	   *arg;
	Posting		giving;
	Posting		receiving;
	/* out */
	int64		given_seq;
	int64		received_seq;
} Move;

/* Bring both up to "at"; then fill in what moves. */
extern void move_begin(Move *move);

/* What the member has, all of it.  Before move_post, which empties him. */
extern void move_everything(Move *move);

/* Write it; so that a snapshot taken from here on sees it. */
extern void move_post(Move *move);

/*
 * Pass on what members who were merged have, from row to row: each was merged
 * into the next one.  Writes nothing where there is nothing.
 */
extern void pass_on(Config *config, Program *program, Store *store, MemberRow **way, int nrows);

/* The other way round: lend the lots of the last one to the first. */
extern void pass_back(Config *config, Program *program, Store *store, MemberRow **way, int nrows, const Purse *lots);

#endif							/* LOYALTY_PASSING_H */
