/*
 * payment.h
 *		What points pay, and how many of them a program lets be spent.
 *
 * Arithmetic alone: it reads no table.  Everything is exact; what points pay is
 * never more than the amount, so a point that would overpay is not taken.
 */
#ifndef LOYALTY_PAYMENT_H
#define LOYALTY_PAYMENT_H

#include "ledger/config.h"

/* What has been spent on a purchase already. */
typedef struct Spent
{
	Points		points;
	Numeric		value;
} Spent;

/* The most that can be spent, and what keeps it from being more. */
typedef struct Payment
{
	Points		points;
	const char *why;			/* NULL: the whole amount is paid */
} Payment;

/* An argument that is an amount; 22023 unless finite and not below zero. */
extern Numeric payment_amount(Numeric amount);

/* points x what one is worth, exact; by the program NULL where points are not money. */
extern Numeric payment_worth(Numeric point_value, Points points);
extern Numeric payment_value(const Program *program, Points points);

/*
 * The fewest points, in the decimals that the program's have, that are worth
 * the whole amount, whatever the limits.  False where points are not money, and
 * when there cannot be so many.
 */
extern bool payment_needed(const Program *program, Numeric amount, Points *needed);

/*
 * The most of the amount that can be paid in one go with the points available,
 * and with no more than those asked for (NULL: any number), under the limits.
 */
extern Payment payment_most(const Program *program, Numeric amount, Points available, const Points *asked);

/*
 * LY012 with the figures when the program does not let so many points be spent
 * on a purchase (NULL: unnamed) of that amount (NULL: unknown), of which so
 * much has been paid with points; 22004 when it must know the amount.
 */
extern void payment_check(const Program *program, Points points, Numeric amount,
						  const text *purchase, const Spent *spent);

#endif							/* LOYALTY_PAYMENT_H */
