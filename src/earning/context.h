/*
 * context.h
 *		entry.context of purchases: what they are judged by beside their rows.
 *
 * Kept with the first entry of a posting:
 *		status		of a member who could earn nothing
 *		facts		what rules read of the member
 *		barred		rules that limits kept from this purchase, by lineage
 *		rates		what other currencies were worth; added to as they turn up
 *		request		what an act was asked for, so that a repetition is known
 *		cancelled	that the act was cancelled, and by which key
 * Kept with the entry of a rule:
 *		shortfall	part of its points that a clawback could not take
 *		wanted		of a limited rule: what the lines came to before its limits
 *		awaiting	points that await confirmation
 *		decision	accepted or rejected: what became of them
 */
#ifndef LOYALTY_CONTEXT_H
#define LOYALTY_CONTEXT_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "earning/fact.h"
#include "ledger/awaiting.h"
#include "types/points.h"

#define FIELD_CANCELLED "cancelled"

typedef struct KeptRate
{
	text	   *currency;
	Numeric		rate;
} KeptRate;

typedef struct PurchaseContext
{
	const char *status;			/* NULL: the member could earn */
	FactValues *facts;			/* NULL: rules read none */
	FactSet		read;			/* which of them */
	int			nbarred;
	int32	   *barred;
	int			nrates;
	KeptRate   *rates;
	Jsonb	   *request;		/* NULL: none */
	bool		cancelled;
	const char *cancel_key;		/* then; NULL: none */
} PurchaseContext;

typedef struct RuleContext
{
	Points		shortfall;
	bool		limited;
	Points		wanted;			/* if limited */
	Awaiting	awaiting;
} RuleContext;

/* As an entry's context; NULL when there is nothing to be kept.  "purchase" may be NULL. */
extern Jsonb *context_write(const PurchaseContext *purchase, const RuleContext *rule);

/* Read it back; 22023 where it is malformed.  What is read is copied. */
extern void context_read_rule(const Jsonb *context, RuleContext *rule);
extern void context_read_purchase(const Jsonb *context, PurchaseContext *purchase);

/* Add the rates in the context to those known. */
extern void context_read_rates(const Jsonb *context, PurchaseContext *purchase);
extern void context_add_rate(PurchaseContext *purchase, text *currency, Numeric rate);

/* NULL: none is kept. */
extern Numeric context_rate(const PurchaseContext *purchase, const text *currency);

#endif							/* LOYALTY_CONTEXT_H */
