/*
 * event_list.h
 *		Events that are handed over many at once: as JSON, or as rows.
 *
 * Nothing of them is copied before it is their turn.
 */
#ifndef LOYALTY_EVENT_LIST_H
#define LOYALTY_EVENT_LIST_H

#include "access/tupdesc.h"
#include "utils/array.h"

#include "earning/record.h"

typedef struct EventList
{
	int			count;
	/* a JSON array: */
	JsonbContainer **objects;	/* of an element that is no object: NULL */
	/* an array of event_request: */
	TupleDesc	desc;			/* NULL: it is JSON */
	Datum	   *rows;
	bool	   *nulls;
} EventList;

/* 22023 for what is no array.  The list points into it. */
extern void event_list_from_jsonb(EventList *list, const Jsonb *events);
extern void event_list_from_rows(EventList *list, ArrayType *events);

/* Whose event it is, and what it is (NULL: not said); 22023 or 22004 when that cannot be told. */
extern text *event_list_member(const EventList *list, int index, char **event);

/* All of it; 22023 names a field that is wrong, or that is none. */
extern void event_list_read(const EventList *list, int index, const Program *program, RecordCall *call);

#endif							/* LOYALTY_EVENT_LIST_H */
