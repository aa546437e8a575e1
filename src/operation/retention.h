/*
 * retention.h
 *		Forgetting members who have been inactive for long.
 */
#ifndef LOYALTY_RETENTION_H
#define LOYALTY_RETENTION_H

#include "operation/batch.h"
#include "utils/timestamp.h"

/*
 * Forget the program's members who have been inactive for longer than its
 * retention, in committed batches; false when there were none.
 */
extern bool retention_forget(Batches *batches, int32 program_id, TimestampTz at, int batch_size);

#endif							/* LOYALTY_RETENTION_H */
