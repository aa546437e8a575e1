/*
 * voucher_pool.h
 *		Pools of codes that a supplier made.
 */
#ifndef LOYALTY_VOUCHER_POOL_H
#define LOYALTY_VOUCHER_POOL_H

#include "redemption/voucher_private.h"

/* A row of voucher_pool. */
typedef struct VoucherPool
{
	VoucherTerms terms;
	bool		has_valid_for;
	Interval	valid_for;
} VoucherPool;

/* False when there is none; "lock": as it is until the transaction ends. */
extern bool voucher_pool_find(VoucherWork *work, const Program *program, const text *name, bool lock, VoucherPool *pool);

/* 42704 for a pool that the program does not have. */
extern void voucher_pool_unknown(const Program *program, const text *name);

#endif							/* LOYALTY_VOUCHER_POOL_H */
