# loyalty: a loyalty engine that lives inside PostgreSQL
#
# `make test` and `make demo` need nothing but make: they install what is
# missing, work in temporary directories and leave no server behind.
# `make` and `make install` build for the server that PG_CONFIG names.

EXTENSION  := loyalty
MODULE_big := loyalty
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" loyalty.control)

# The install script is these parts, in this order; `make lint` says when one is missing.
SQL_ORDER := $(patsubst %,sql/%.sql, prelude \
	points purse award expiry qualification tally voucher_code \
	guard program access rate rule budget limit velocity_limit member entry tier purchase \
	act proposal extend set_tier balance spend hold transfer cancel voucher voucher_pool \
	reward redeem choice catalogue merge household consent forget export \
	source config_change backfill deferred record record_batch quote explain confirm \
	maintain import schedule expiring seal verify liability outlook tier_report suspicious replication \
	rollup report cohort member_report purchase_report rfm roll_forward redemption_report breakage \
	estimate deferral journal source_purchases shop_report performance feedback dashboard \
	security)
SQL_PARTS := $(foreach part,$(SQL_ORDER),$(wildcard $(part)))

DATA_built = loyalty--$(EXTVERSION).sql

# One line a floor; a file may use only what stands on its own floor or below.
OBJS := $(patsubst %.c,%.o, $(wildcard \
	src/loyalty.c \
	$(patsubst %,src/types/%.c, points points_agg rational rational_wide packed \
		purse purse_pack purse_readings purse_io purse_ops purse_sum award expiry qualification \
		tally tally_pack tally_io tally_ops tally_sum voucher_code calendar scan sha256 hmac merkle)) \
	$(sort $(wildcard src/ledger/*.c)) \
	$(sort $(wildcard src/tiers/*.c)) \
	$(sort $(wildcard src/earning/*.c)) \
	$(sort $(wildcard src/redemption/*.c)) \
	$(sort $(wildcard src/operation/*.c)))

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS   = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
SHLIB_LINK  = -Wl,--version-script=$(srcdir)/loyalty.map
# No bitcode: nothing here is small enough to be worth inlining into a query.
override with_llvm := no

# pg_regress looks for <outputdir>/sql first, and sql/ holds the install parts
# under the same names as the tests: so the output goes where the tests are.
REGRESS        = $(patsubst test/sql/%.sql,%, $(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --outputdir=test --load-extension=$(EXTENSION)
ISOLATION      = $(patsubst test/isolation/specs/%.spec,%, $(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=test/isolation --load-extension=$(EXTENSION)

EXTRA_CLEAN = $(wildcard loyalty--*.sql) \
	$(addprefix test/, results regression.out regression.diffs) \
	$(addprefix test/isolation/, results output_iso regression.out regression.diffs)

PG_CONFIG ?= pg_config
PGXS      := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

# Before the packages are installed there is no PGXS to include.
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
$(OBJS): $(wildcard src/*.h src/*/*.h) Makefile
$(shlib): loyalty.map
else
all install installcheck:
	@echo "PostgreSQL's development files are missing: install postgresql-server-dev-15," \
		"or name another pg_config with PG_CONFIG=." >&2; exit 1
clean:
	rm -f $(DATA_built)
endif

$(DATA_built): $(SQL_PARTS) loyalty.control Makefile
	cat $(SQL_PARTS) > $@.new && mv $@.new $@

test demo report bench lint coverage soak:
	@scripts/$@.sh

# FUZZ_INPUTS=10000 for a shorter one; FUZZ_SEED to have the same again.
fuzz:
	@FUZZ_INPUTS=$${FUZZ_INPUTS:-1000000} PROGRAMS=fuzz scripts/test.sh programs

# For scripts/lint.sh.
sql-order:
	@printf '%s\n' $(SQL_ORDER)
objects:
	@printf '%s\n' $(OBJS)

help:
	@echo "make test       install what is missing, build, and pass every test"
	@echo "make demo       the main job, on a throw-away server; ORDERS=FILE for your own purchases"
	@echo "make report     a page with figures and charts; DBNAME=shop PROGRAM=beans for a running server, OUT=FILE"
	@echo "make bench      the benchmarks of bench/, into bench/RESULTS.md; SCALE=0.1 for a quick look"
	@echo "make lint       the rules of the house, silent when all is well"
	@echo "make fuzz       a million inputs for each type, for conditions and arguments"
	@echo "make coverage   every test with UndefinedBehaviorSanitizer; which lines of src ran"
	@echo "make soak       what takes hours: many sessions, kills, a million orders and inputs"
	@echo "make install    install for the server of PG_CONFIG (default: pg_config)"
	@echo "make installcheck  the regression and isolation tests, on a running server"
	@echo "make clean      remove what was built here"

.PHONY: test demo report bench lint coverage soak fuzz sql-order objects help
