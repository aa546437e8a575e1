/*
 * fact.h
 *		What rules may read of a purchase and of its member.
 */
#ifndef LOYALTY_FACT_H
#define LOYALTY_FACT_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "utils/array.h"
#include "utils/jsonb.h"

typedef enum Fact
{
	/* of a line */
	FACT_AMOUNT,				/* in the program's currency */
	FACT_QUANTITY,
	FACT_ITEM,
	FACT_CATEGORY,
	FACT_CHANNEL,
	FACT_STORE,
	FACT_CURRENCY,
	FACT_AT,					/* in the program's time zone */
	FACT_DATA,
	/* of the purchase */
	FACT_ORDER_AMOUNT,
	FACT_ORDER_QUANTITY,
	/* of the member when the purchase was first judged, and kept with it */
	FACT_PURCHASE_NO,
	FACT_ENROLLED_AT,
	FACT_BIRTHDAY,
	FACT_SEGMENTS,
	FACT_MEMBER_DATA,
	FACT_TIER,
	FACT_QUALIFYING,			/* amount in the tier window, with the purchase's own */
	NFACTS
} Fact;

/* Sets of facts */
typedef uint32 FactSet;

#define FACT_BIT(fact) ((FactSet) 1 << (fact))
#define LINE_FACTS (FACT_BIT(FACT_ORDER_AMOUNT) - 1)
#define KEPT_FACTS ((FACT_BIT(NFACTS) - 1) & ~(FACT_BIT(FACT_PURCHASE_NO) - 1))
/* What tiers are about */
#define TIER_FACTS (FACT_BIT(FACT_TIER) | FACT_BIT(FACT_QUALIFYING))
/* What rewards may ask: of the member, at the time of redeeming */
#define REWARD_FACTS ((KEPT_FACTS & ~FACT_BIT(FACT_PURCHASE_NO)) | FACT_BIT(FACT_AT))
/* What is written in the member's profile */
#define PROFILE_FACTS (FACT_BIT(FACT_BIRTHDAY) | FACT_BIT(FACT_SEGMENTS) | FACT_BIT(FACT_MEMBER_DATA))

typedef struct FactValues
{
	Datum		values[NFACTS];
	bool		nulls[NFACTS];
} FactValues;

/* The name of a fact as rules write it: "amount", "member.birthday". */
extern const char *fact_name(Fact fact);
extern Oid	fact_type(Fact fact);

/* The fact that a qualified or unqualified name means; NFACTS: none. */
extern Fact fact_by_name(const char *qualifier, const char *name);

/* Facts as a row, for expressions to read. */
extern TupleDesc fact_row_type(void);

/*
 * A list of texts as it is read back once it was kept: one dimension from 1 on,
 * without nulls.  Else a purchase would be judged differently the second time.
 */
extern ArrayType *fact_texts(ArrayType *array);

/*
 * Push the facts of the set as fields of the JSON object being built; and read
 * them back.  Facts that the object lacks are null.
 */
extern void facts_to_json(JsonbParseState **state, const FactValues *facts, FactSet set);
extern void facts_from_json(const JsonbContainer *object, FactValues *facts);

#endif							/* LOYALTY_FACT_H */
