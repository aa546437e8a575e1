#include "postgres.h"
#include "redemption/voucher.h"
void voucher_terms_init(VoucherTerms *terms, VoucherKind kind) { memset(terms, 0, sizeof *terms); terms->kind = kind; terms->uses = 1; terms->valid_from = DT_NOBEGIN; terms->valid_until = DT_NOEND; }
void voucher_terms_check(const VoucherTerms *terms) { if (terms->kind == VOUCHER_VALUE && terms->value == NULL && terms->pool == NULL) ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a voucher of a value needs one"))); }
char *voucher_issue(Config *config, const Program *program, const VoucherTerms *terms, const MemberRow *member, int64 seq, TimestampTz at) { return psprintf("STUB-" INT64_FORMAT, seq); }
char *voucher_again(Config *config, const Program *program, const MemberRow *member, int64 seq, const char **why) { if (why) *why = "the code was shown once"; return NULL; }
void voucher_take_back(Config *config, const Program *program, int64 member_id, int64 seq, int units, int standing, const text *reason, TimestampTz at) { }
