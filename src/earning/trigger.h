/*
 * trigger.h
 *		The trigger on attached tables.
 */
#ifndef LOYALTY_TRIGGER_H
#define LOYALTY_TRIGGER_H

extern void trigger_init(void);

#endif							/* LOYALTY_TRIGGER_H */
