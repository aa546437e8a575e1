/*
 * deferred.h
 *		Purchases that could not earn yet.
 */
#ifndef LOYALTY_DEFERRED_H
#define LOYALTY_DEFERRED_H

#include "earning/source.h"

/* Write down a purchase with its cause, and warn. */
extern void deferred_write(Source *source, const text *key, const int64 *member_ids, int nmembers,
						   const ErrorData *error);

/* Whether the purchase is written down; and with which message, NULL when it is not. */
extern bool deferred_has(Source *source, const text *key);
extern char *deferred_message(Source *source, const text *key);

/*
 * Try up to "limit" purchases of one source again, those not tried since
 * "before"; returns how many were tried, 0 when none is left.
 */
extern int	deferred_retry(Config *config, const Program *program, TimestampTz before, int limit,
						   int64 *succeeded);

#endif							/* LOYALTY_DEFERRED_H */
