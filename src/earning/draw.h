/*
 * draw.h
 *		What the purchases of a group draw on the budgets of rules.
 *
 * Purchases are judged first as though budgets had no end; then what they want
 * is drawn, in one go a budget.  Where that is not to be had, they are judged
 * again with what each of them may draw.
 */
#ifndef LOYALTY_DRAW_H
#define LOYALTY_DRAW_H

#include "earning/settle.h"

/*
 * Draw what the judged cases want beyond what they give back, or give back the
 * difference; so a purchase that goes to another member can take its part
 * along.  False: some may draw less, as their grants say.
 */
extern bool draw_budgets(const Settlement *settlement, Case *cases, int ncases);

/* Give back what the cases were granted and do not want any more. */
extern void draw_give_back(const Settlement *settlement, Case *cases, int ncases);

/* The same as draw_budgets for who only wants to know: draws nothing. */
extern bool draw_look(const Settlement *settlement, Case *cases, int ncases);

#endif							/* LOYALTY_DRAW_H */
