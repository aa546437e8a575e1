/*
 * rate.h
 *		What other currencies are worth in a program's own.
 */
#ifndef LOYALTY_RATE_H
#define LOYALTY_RATE_H

#include "postgres.h"
#include "utils/numeric.h"

#include "ledger/config.h"

/*
 * What one unit of the currency was worth at that time in the program's own,
 * in CurrentMemoryContext; one for that currency itself.  LY011 when there is
 * no rate.
 */
extern Numeric rate_find(Config *config, const Program *program, const text *currency,
						 TimestampTz at);

#endif							/* LOYALTY_RATE_H */
