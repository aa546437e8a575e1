/*
 * voucher.h
 *		Vouchers as what issues them knows them.
 *
 * A voucher is a row that holds the hash of its code, never the code.  Whoever
 * issues one gets the code in that moment; it can be shown again only where it
 * can be worked out again, which takes the setting loyalty.voucher_secret.
 *
 * Members are locked before vouchers.
 */
#ifndef LOYALTY_VOUCHER_H
#define LOYALTY_VOUCHER_H

#include "ledger/config.h"
#include "ledger/storage.h"

typedef enum VoucherKind
{
	VOUCHER_VALUE,				/* an amount of money */
	VOUCHER_PERCENTAGE,			/* of the amount, up to a maximum */
	VOUCHER_PRODUCT,			/* a product, whatever it costs */
	VOUCHER_POINTS				/* points for whoever uses it */
} VoucherKind;

/* What a voucher is good for; begin with voucher_terms_init. */
typedef struct VoucherTerms
{
	VoucherKind kind;
	Numeric		value;			/* of VOUCHER_VALUE */
	bool		stored;			/* what a use leaves of the value stays for the next one */
	Numeric		percent;		/* of VOUCHER_PERCENTAGE: 10 is a tenth */
	Numeric		maximum;		/* most that one use of a percentage takes; NULL: any amount */
	text	   *product;		/* of VOUCHER_PRODUCT */
	Points		points;			/* of VOUCHER_POINTS */
	int			uses;			/* how often it can be used; 0: any number of times */
	int			per_member;		/* how often by one member; 0: as often as it can be */
	Numeric		min_amount;		/* least amount that it can be used on; NULL: any */
	bool		bearer;			/* for whoever has the code; else for the member only */
	TimestampTz valid_from;		/* DT_NOBEGIN: at once */
	TimestampTz valid_until;	/* from then on no more; DT_NOEND: for ever */

	/* A pool: one of its codes is handed out, under the pool's own terms; only "bearer" counts of these. */
	text	   *pool;			/* NULL: a code is made */
} VoucherTerms;

/* A product is all that is missing, say: one use, for ever, for nobody but the member. */
extern void voucher_terms_init(VoucherTerms *terms, VoucherKind kind);

/* value, percentage, product, points; 22023 for anything else. */
extern VoucherKind voucher_kind(const text *name);
extern const char *voucher_kind_name(VoucherKind kind);

/* 22023 with what is wrong for terms that make no sense. */
extern void voucher_terms_check(const VoucherTerms *terms);

/* When a voucher that is valid for so long from "at" on ends, in the program's zone. */
extern TimestampTz voucher_ends_at(const Program *program, TimestampTz at, const Interval *valid_for);

/*
 * Issue the voucher of a redemption, which is entry "seq" of the member, who is
 * locked.  Returns its code, palloc'd: the moment to show it.  LY026 when the
 * pool is empty, 42704 when there is none of that name.  A pool's code is for one
 * unit, whatever its redemption's quantity.
 */
extern char *voucher_issue(Config *config, const Program *program, const VoucherTerms *terms,
						   const MemberRow *member, int64 seq, TimestampTz at);

/*
 * The same code once more.  NULL when the redemption has no voucher, or the code
 * cannot be shown again: then "why" (NULL: nobody asks) is set to a text that
 * says so, or NULL where there is no voucher.
 */
extern char *voucher_again(Config *config, const Program *program, int64 member_id, int64 seq,
						   const char **why);

/*
 * Take "units" of the "standing" units of a redemption back: with all of them
 * its voucher becomes void, with fewer it loses that share of its value, or of
 * its uses.  LY025 when that has been used.  Nothing happens where there is no
 * voucher, or it is void.
 */
extern void voucher_take_back(Config *config, const Program *program, int64 member_id, int64 seq,
							  int units, int standing, const text *reason, TimestampTz at);

/*
 * The source_key of a points voucher's entries begins with this, then the hash
 * of its code in hex, "#" and the number of the use.  Only return_voucher takes
 * such an entry back.  Keys that somebody passes have their kind and a colon
 * before them, so none can be the same.
 */
#define VOUCHER_ENTRY "voucher "

#endif							/* LOYALTY_VOUCHER_H */
