#!/usr/bin/env bash
# make coverage: the suites of make test in a server whose loyalty.so counts the
# lines that run, and aborts on undefined behavior. Prints the line coverage of
# each file of src/, the least covered first, and of all of it.
#
#   scripts/coverage.sh [SUITE...]     regress isolation pgtap programs
#
# COVERAGE_LINES=FILE keeps the lines that never ran; COVERAGE_LEAST=90 is the
# percentage below which it fails.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

(($# > 0)) || set -- regress isolation pgtap programs

need "${build_packages[@]}" "${test_packages[@]}"
make_work
note "building with -fsanitize=undefined -fno-wrapv --coverage"
# Sums must not depend on how often a line was inlined: so little optimization.
export COPT="-O1 -fsanitize=undefined -fno-sanitize-recover=all -fno-wrapv --coverage -fprofile-update=atomic"
build_stage
# The counts are written by the server, as user postgres.
find "$build/src" -type d -exec chmod 777 {} +
unset COPT

note "testing: $*"
echo "0 0" >"$work/total"
status=0
with_server "$root/scripts/test.sh" --beside-server "$@" || status=$?
read -r passed failed <"$work/total"
((status == 0 || failed > 0)) || failed=1

cd "$build"
find src -name '*.gcda' | sort | while read -r counts; do
	gcov -t -r -s "$build" -o "$(dirname "$counts")" "${counts%.gcda}.c" 2>/dev/null
done | perl "$root/scripts/coverage.pl" "${COVERAGE_LEAST:-90}" "${COVERAGE_LINES:-/dev/null}" || status=1

# What UndefinedBehaviorSanitizer found ended a server process, and so a test.
echo "$passed passed, $failed failed, with undefined behavior an error"
((passed > 0 && failed == 0 && status == 0))
