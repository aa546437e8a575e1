/*
 * request.h
 *		An event that a function is asked about: which no table holds.
 */
#ifndef LOYALTY_REQUEST_H
#define LOYALTY_REQUEST_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/jsonb.h"

#include "earning/purchase.h"
#include "ledger/config.h"

#define PURCHASE_EVENT "purchase"

/* Keys of purchases begin with that, those of other events with this. */
#define RECORD_KIND "record"

typedef struct EventRequest
{
	char	   *event;
	Numeric		amount;			/* NULL: none; likewise the rest */
	Jsonb	   *data;
	Jsonb	   *lines;
	bool		at_given;
	TimestampTz at;
} EventRequest;

/*
 * Read the arguments event, amount, data and lines, which stand one after the
 * other from "first" on, and "at" at its place; a missing time is now.  They
 * are checked.
 */
extern void request_from_arguments(FunctionCallInfo fcinfo, int first, int at, EventRequest *request);

/* 22004 or 22023 for an event that is null or empty, and for an amount that is not finite. */
extern void request_check(const EventRequest *request);

/* As context.request keeps it, and read back. */
extern Jsonb *request_to_json(const EventRequest *request);
extern void request_from_json(const Jsonb *json, EventRequest *request);

/*
 * The purchase that it is, of nobody yet and without a key.  22023 for lines
 * that are not what they should be: it names the line's number and the field.
 */
extern void request_purchase(const Program *program, const EventRequest *request, Purchase *purchase);

#endif							/* LOYALTY_REQUEST_H */
