/*
 * errors.h
 *		The SQLSTATEs of loyalty, class LY.
 *
 * A code is part of the interface: applications branch on it, so a code never
 * changes its meaning.  The primary message is lower-case without a full stop,
 * DETAIL carries the figures and HINT the way out.
 */
#ifndef LOYALTY_ERRORS_H
#define LOYALTY_ERRORS_H

#include "utils/elog.h"

#define ERRCODE_LOYALTY_INSUFFICIENT_POINTS	MAKE_SQLSTATE('L', 'Y', '0', '0', '1')
#define ERRCODE_LOYALTY_UNKNOWN_MEMBER		MAKE_SQLSTATE('L', 'Y', '0', '0', '2')
#define ERRCODE_LOYALTY_MEMBER_STATUS		MAKE_SQLSTATE('L', 'Y', '0', '0', '3')	/* suspended, closed, merged or forgotten */
#define ERRCODE_LOYALTY_UNKNOWN_PROGRAM		MAKE_SQLSTATE('L', 'Y', '0', '0', '4')	/* or none named among several */
#define ERRCODE_LOYALTY_UNKNOWN_SOURCE		MAKE_SQLSTATE('L', 'Y', '0', '0', '5')	/* or a purchase that it does not have */
#define ERRCODE_LOYALTY_KEY_REUSED			MAKE_SQLSTATE('L', 'Y', '0', '0', '6')	/* same key, other arguments */
#define ERRCODE_LOYALTY_CANNOT_ATTACH		MAKE_SQLSTATE('L', 'Y', '0', '0', '7')
#define ERRCODE_LOYALTY_APPEND_ONLY			MAKE_SQLSTATE('L', 'Y', '0', '0', '8')	/* history is never rewritten */
#define ERRCODE_LOYALTY_FIXED				MAKE_SQLSTATE('L', 'Y', '0', '0', '9')	/* configuration that no longer changes */
#define ERRCODE_LOYALTY_SOURCE_CONFLICT		MAKE_SQLSTATE('L', 'Y', '0', '1', '0')	/* rows of a source contradict each other */
#define ERRCODE_LOYALTY_NO_RATE				MAKE_SQLSTATE('L', 'Y', '0', '1', '1')	/* into the program's currency, at that time */
#define ERRCODE_LOYALTY_SPEND_LIMIT			MAKE_SQLSTATE('L', 'Y', '0', '1', '2')	/* the program lets no such number be spent */
#define ERRCODE_LOYALTY_DECIDED				MAKE_SQLSTATE('L', 'Y', '0', '1', '3')	/* the other way, by somebody or by silence */
#define ERRCODE_LOYALTY_NOT_AWAITING		MAKE_SQLSTATE('L', 'Y', '0', '1', '4')	/* nothing to decide on under that entry */
#define ERRCODE_LOYALTY_TRANSFER_LIMIT		MAKE_SQLSTATE('L', 'Y', '0', '1', '5')	/* the program lets no such transfer be made */
#define ERRCODE_LOYALTY_HOLD_OVER			MAKE_SQLSTATE('L', 'Y', '0', '1', '6')	/* or there is no such hold */
#define ERRCODE_LOYALTY_NOT_CANCELLABLE		MAKE_SQLSTATE('L', 'Y', '0', '1', '7')	/* the entry: it is no act, or none that can be undone */
#define ERRCODE_LOYALTY_TOO_MUCH_BACK		MAKE_SQLSTATE('L', 'Y', '0', '1', '8')	/* more than is left to be given back */
#define ERRCODE_LOYALTY_UNKNOWN_REWARD		MAKE_SQLSTATE('L', 'Y', '0', '1', '9')	/* or option of one, or redemption */
#define ERRCODE_LOYALTY_REWARD_UNAVAILABLE	MAKE_SQLSTATE('L', 'Y', '0', '2', '0')	/* to this member now */
#define ERRCODE_LOYALTY_OUT_OF_STOCK		MAKE_SQLSTATE('L', 'Y', '0', '2', '1')
#define ERRCODE_LOYALTY_REWARD_LIMIT		MAKE_SQLSTATE('L', 'Y', '0', '2', '2')	/* no more of it at once, or in a period */
#define ERRCODE_LOYALTY_REDEMPTION_STATE	MAKE_SQLSTATE('L', 'Y', '0', '2', '3')	/* it does not allow what was asked */
#define ERRCODE_LOYALTY_UNKNOWN_VOUCHER		MAKE_SQLSTATE('L', 'Y', '0', '2', '4')
#define ERRCODE_LOYALTY_VOUCHER_UNUSABLE	MAKE_SQLSTATE('L', 'Y', '0', '2', '5')	/* used up, void, not now, not by him, not on that */
#define ERRCODE_LOYALTY_POOL_EMPTY			MAKE_SQLSTATE('L', 'Y', '0', '2', '6')	/* all its codes have been handed out */
#define ERRCODE_LOYALTY_MERGE				MAKE_SQLSTATE('L', 'Y', '0', '2', '7')	/* members that cannot be merged, or not be parted */
#define ERRCODE_LOYALTY_HOUSEHOLD			MAKE_SQLSTATE('L', 'Y', '0', '2', '8')	/* what a household's rules do not allow */
#define ERRCODE_LOYALTY_VELOCITY			MAKE_SQLSTATE('L', 'Y', '0', '2', '9')	/* too often, or too many points, within a time */
#define ERRCODE_LOYALTY_PROPOSAL			MAKE_SQLSTATE('L', 'Y', '0', '3', '0')	/* it cannot be decided so, or the act takes a second person */
#define ERRCODE_LOYALTY_UNKNOWN_SEAL		MAKE_SQLSTATE('L', 'Y', '0', '3', '1')

#endif							/* LOYALTY_ERRORS_H */
