#!/usr/bin/env bash
# make test: every suite, on a throw-away server. The last line counts.
#
#   scripts/test.sh [SUITE...]      regress isolation pgtap programs lint
#
# regress    test/sql/X.sql against expected/X.out
# isolation  test/isolation/specs/X.spec against test/isolation/expected/X.out
# pgtap      test/pgtap/X.sql, each in a database of its own that has pgtap and
#            loyalty installed
# programs   test/t/X.pl (PostgreSQL::Test, servers of their own) and X.sh
#            (beside the throw-away server; TAP, or one test by exit status);
#            PROGRAMS=X runs and shows these alone
# lint       the rules of the house

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

readonly suites=(regress isolation pgtap programs lint)

# ---------------------------------------------------------------------------
# counting

total_passed=0
total_failed=0

# tally SUITE LOG PASSED FAILED STATUS: one line, and the log if need be. A
# suite that failed without a failed test (a crash, a wrong plan) counts one.
tally() {
	local suite=$1 log=$2 passed=$3 failed=$4 status=$5

	((status == 0 || failed > 0)) || failed=1
	((failed == 0)) || cat "$log"
	printf '%-10s %5d passed, %d failed  (%d s)\n' "$suite" "$passed" "$failed" $((SECONDS - suite_start))
	total_passed=$((total_passed + passed))
	total_failed=$((total_failed + failed))
}

# count PATTERN LOG
count() {
	grep -cE "$1" "$2" || true
}

# tally_tap SUITE LOG STATUS: subtests are indented and do not count.
tally_tap() {
	local failed

	failed=$(grep -E '^not ok [0-9-]' "$2" | grep -cviE '# *(todo|skip)' || true)
	tally "$1" "$2" "$(($(count '^(not )?ok [0-9-]' "$2") - failed))" "$failed" "$3"
}

any() {
	compgen -G "$1" >/dev/null
}

# ---------------------------------------------------------------------------
# the suites; each runs in $build, beside the server

# pg_regress and its brother for isolation print "test X ... ok".
run_pg_regress() {
	local suite=$1 diffs=$2 log=$work/$1.log status=0

	shift 2
	make -C "$build" --no-print-directory PG_CONFIG="$pg_bin/pg_config" installcheck "$@" \
		>"$log" 2>&1 || status=$?
	if [[ -s $diffs ]]; then
		cat "$diffs" >>"$log"
	fi
	tally "$suite" "$log" "$(count '^test .* ok( |$)' "$log")" "$(count '^test .* FAILED' "$log")" "$status"
}

suite_regress() {
	any "$build/test/sql/*.sql" || return 0
	run_pg_regress regress "$build/test/regression.diffs" ISOLATION=
}

suite_isolation() {
	any "$build/test/isolation/specs/*.spec" || return 0
	run_pg_regress isolation "$build/test/isolation/regression.diffs" REGRESS=
}

suite_pgtap() {
	local file name log=$work/pgtap.log status=0

	any "$build/test/pgtap/*.sql" || return 0
	createdb tap_template
	if ! psql -Xqd tap_template -v ON_ERROR_STOP=1 \
		-c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION loyalty' >"$log" 2>&1; then
		tally pgtap "$log" 0 0 1
		return
	fi
	for file in "$build"/test/pgtap/*.sql; do
		name=tap_$(basename "$file" .sql)
		createdb -T tap_template "$name"
		(cd "$build" && pg_prove --verbose -d "$name" "test/pgtap/$(basename "$file")") >>"$log" 2>&1 || status=$?
	done
	tally_tap pgtap "$log" "$status"
}

suite_programs() {
	local file log=$work/programs.log one=$work/program.log status=0 one_status

	: >"$log"
	for file in "$build"/test/t/${PROGRAMS:-*}.sh; do
		[[ -e $file ]] || continue
		one_status=0
		(cd "$build" && bash "test/t/$(basename "$file")") >"$one" 2>&1 || one_status=$?
		if ! grep -qE '^(not )?ok [0-9-]' "$one"; then
			((one_status == 0)) || printf 'not ' >>"$one"
			echo "ok - $(basename "$file")" >>"$one"
		fi
		cat "$one" >>"$log"
		((one_status == 0)) || status=1
	done
	if any "$build/test/t/${PROGRAMS:-*}.pl"; then
		run_perl >>"$log" 2>&1 || status=1
	fi
	[[ -s $log ]] || return 0
	[[ -z ${PROGRAMS:-} ]] || cat "$log"
	tally_tap programs "$log" "$status"
}

# The servers of PostgreSQL::Test refuse to run as root.
run_perl() {
	local as=()

	((EUID != 0)) || as=(runuser -u postgres --)
	mkdir -m 1777 "$work/perl"
	cat >"$work/perl.conf" <<-CONF
		extension_destdir = '$stage'
		dynamic_library_path = '$stage$pg_lib:$pg_lib'
	CONF
	(
		cd "$build" || exit
		unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSYSCONFDIR
		"${as[@]}" env PATH="$pg_bin:$PATH" PERL5LIB="$pgxs_test/perl" TESTDIR="$work/perl" \
			PG_REGRESS="$pgxs_test/regress/pg_regress" TEMP_CONFIG="$work/perl.conf" \
			prove --verbose test/t/${PROGRAMS:-*}.pl
	)
}

suite_lint() {
	local log=$work/lint.log status=0

	"$root/scripts/lint.sh" --beside-server >"$log" 2>&1 || status=$?
	tally lint "$log" "$((status == 0))" "$((status != 0))" "$status"
}

# ---------------------------------------------------------------------------

run_suites() {
	local suite

	for suite in "$@"; do
		suite_start=$SECONDS
		"suite_$suite"
		echo "$total_passed $total_failed" >"$work/total"
	done
}

if [[ ${1:-} == --beside-server ]]; then
	shift
	run_suites "$@"
	exit
fi

(($# > 0)) || set -- "${suites[@]}"
for suite in "$@"; do
	declare -F "suite_$suite" >/dev/null || die "no suite \"$suite\"; there are: ${suites[*]}"
done

need "${build_packages[@]}" "${test_packages[@]}"
make_work
note "building"
build_stage
note "testing: $*"
echo "0 0" >"$work/total"
status=0
with_server "$root/scripts/test.sh" --beside-server "$@" || status=$?

read -r total_passed total_failed <"$work/total"
((status == 0 || total_failed > 0)) || total_failed=1
echo "$total_passed passed, $total_failed failed"
((total_passed > 0 && total_failed == 0))
