/*
 * source.h
 *		Attached tables and queries: their rows read as purchases.
 */
#ifndef LOYALTY_SOURCE_H
#define LOYALTY_SOURCE_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#include "earning/purchase.h"
#include "ledger/config.h"

/* What attach maps, in the order of source's columns. */
typedef enum SourceField
{
	FIELD_MEMBER,
	FIELD_AMOUNT,
	FIELD_AT,
	FIELD_KEY,
	FIELD_COUNTS,
	FIELD_ITEM,
	FIELD_CATEGORY,
	FIELD_QUANTITY,
	FIELD_CHANNEL,
	FIELD_STORE,
	FIELD_CURRENCY,
	FIELD_DATA,
	NFIELDS
} SourceField;

extern const char *const source_field_names[NFIELDS];

#define MAX_KEY_PARTS 32		/* as an index has */

/* An expression over a row, ready to run. */
typedef struct SourceExpr
{
	Expr	   *expr;			/* NULL: not mapped */
	ExprState  *state;
	Oid			type;
	FmgrInfo	output;			/* for key parts and member */
	bool		as_is;			/* already text */
} SourceExpr;

/* A source as one of its relations (the table or a partition) is read. */
typedef struct Source
{
	struct
	{
		int32		source_id;
		Oid			relid;
	}			id;				/* hash key */
	Config	   *config;
	Program    *program;
	char	   *name;
	Oid			root;			/* the attached table; InvalidOid: a query */
	Oid			owner;			/* whose rights expressions and query have */
	char	   *owner_name;		/* of a query; then owner is InvalidOid when nobody is called so */
	char	   *query;			/* NULL: a table */
	char	   *key_type;		/* of a query */
	struct QueryReader *reader; /* of a query: query.c's */
	bool		attached;
	bool		keep_deleted;
	bool		fail;			/* on_error => 'fail' */
	char	   *texts[NFIELDS]; /* NULL: not mapped */
	bool		compiled;
	int			nkeys;
	SourceExpr	keys[MAX_KEY_PARTS];
	SourceExpr	fields[NFIELDS];	/* FIELD_KEY unused */
	bool		wanted[NFIELDS];	/* read by a rule of the program, or by the engine */
	bool		pin_settings;	/* what an expression gives may depend on settings */
	ErrorData  *broken;			/* why fields cannot be read, though keys can */
	ExprContext *econtext;
} Source;

/* One row as a source reads it. */
typedef struct SourceRow
{
	text	   *key;
	text	   *ref;			/* NULL: a guest */
	bool		counts;			/* has a member, and counts */
	TimestampTz at;				/* from here on only if it counts */
	PurchaseLine line;
} SourceRow;

/* The source as it reads the relation (the table or a partition); NULL when there is none. */
extern Source *source_get(Config *config, int32 source_id, Oid relid);

/* Compile its expressions, unless that is done; to be called before it reads. */
extern void source_ready(Source *source);

/* Source numbers by name (that given, or the table's), optionally of one program; attached ones only. LY005 when there is none. */
extern List *source_find(Config *config, const text *name, const Program *program);

/* Between these, expressions run with the rights and settings they need. */
typedef struct SourceScope
{
	Oid			user_id;
	int			sec_context;
	int			guc_level;
} SourceScope;
extern void source_enter(Source *source, SourceScope *scope);
extern void source_leave(Source *source, SourceScope *scope);

/* Settings on which texts and readings of values depend, pinned until the GUC nest level ends. */
extern void source_pin_settings(void);

/* 42501 unless the user may act for the owner of the table or query, or (with "engine") of the engine. */
extern void source_check_owner(const Source *source, bool engine);

/* A value of "at" as an instant; 22008 unless it is finite. */
extern TimestampTz source_instant(const Source *source, Datum value, Oid type);

/* A numeric value, copied; 22003 unless it is finite. */
extern Numeric source_number(Datum value, SourceField field);

/* The key of the row in the slot; NULL when a part of it is null, or it is over MAX_KEY_BYTES long. */
extern text *source_read_key(Source *source, TupleTableSlot *slot);

/* Everything; what it returns is allocated in CurrentMemoryContext. "now" stands in for a missing time. */
extern void source_read_row(Source *source, TupleTableSlot *slot, TimestampTz now, SourceRow *row);

/*
 * What was sold, to whomever: a guest's row, too.  False: the row does not
 * count.  "at" is DT_NOBEGIN where the row has none; of the line only amount,
 * at, channel, store and currency are read.
 */
extern bool source_read_sale(Source *source, TupleTableSlot *slot, SourceRow *row);

/* The purchase that a row is, for its member; it points into the row. */
extern void source_row_purchase(SourceRow *row, int64 member_id, Purchase *purchase);

/* Parts of a key text, each as the text of its type; 22P02 when there are not nkeys of them. */
extern void source_split_key(const Source *source, const text *key, char **parts);

/*
 * Parse one expression (for FIELD_KEY a list) over the relation's columns;
 * errors name the field and the position.  Result: list of Expr.
 */
extern List *source_parse(Relation rel, SourceField field, const char *expression);

#endif							/* LOYALTY_SOURCE_H */
