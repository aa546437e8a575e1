#!/usr/bin/env bash
# For quick iterations: compile what changed, then one thing on a throw-away
# server. The objects are kept in a directory of this tree and user's own under
# ${TMPDIR:-/tmp}; DEV_CLEAN=1 starts it afresh.
#
#   scripts/dev.sh build                 only compile
#   scripts/dev.sh FILE.sql...           psql on each, in a database with the extension
#   scripts/dev.sh test NAME...          regression tests; prints the diff
#   scripts/dev.sh accept NAME...        the same, and takes the results as expected/NAME.out
#   scripts/dev.sh isolation NAME...     isolation tests; prints the diff
#   scripts/dev.sh pgtap NAME...         pgTAP files
#   scripts/dev.sh psql                  an interactive psql
#   scripts/dev.sh run COMMAND...        any command, beside the server
#
# COPT="-O0 ..." goes to the compiler, SETTINGS="name=value ..." to the server.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage() {
	sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
	exit 2
}

create_dev_database() {
	createdb dev
	export PGDATABASE=dev
	psql -Xq -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION loyalty'
}

# regression KIND NAME...: through the Makefile, so that the switches are those of make test.
regression() {
	local kind=$1 diffs=$build/test/regression.diffs status=0

	shift
	if [[ $kind == isolation ]]; then
		diffs=$build/test/isolation/regression.diffs
		set -- REGRESS= "ISOLATION=$*"
	else
		set -- ISOLATION= "REGRESS=$*"
	fi
	make -C "$build" --no-print-directory PG_CONFIG="$pg_bin/pg_config" installcheck "$@" \
		>"$work/regress.log" 2>&1 || status=$?
	grep '^test ' "$work/regress.log" || cat "$work/regress.log"
	if [[ -s $diffs ]]; then
		cat "$diffs"
	fi
	return "$status"
}

beside_server() {
	local action=$1 name

	shift
	case $action in
	test)
		regression regress "$@"
		;;
	accept)
		regression regress "$@" || true
		for name in "$@"; do
			cp "$build/test/results/$name.out" "$root/expected/$name.out"
		done
		;;
	isolation)
		regression isolation "$@"
		;;
	pgtap)
		create_dev_database
		psql -Xq -c 'CREATE EXTENSION pgtap'
		for name in "$@"; do
			createdb -T dev "tap_$name"
			(cd "$build" && pg_prove -d "tap_$name" "test/pgtap/$name.sql")
		done
		;;
	psql)
		create_dev_database
		psql
		;;
	run)
		create_dev_database
		"$@"
		;;
	files)
		create_dev_database
		for name in "$@"; do
			psql -X -f "$name"
		done
		;;
	esac
}

if [[ ${1:-} == --beside-server ]]; then
	shift
	beside_server "$@"
	exit
fi

case ${1:-} in
build | test | accept | isolation | pgtap | psql | run) ;;
*.sql) set -- files "$@" ;;
*) usage ;;
esac

need "${build_packages[@]}"
[[ $1 != pgtap ]] || need "${test_packages[@]}"

dev=${TMPDIR:-/tmp}/loyalty-dev-$EUID-$(cksum <<<"$root" | cut -d ' ' -f 1)
[[ -z ${DEV_CLEAN:-} ]] || rm -rf "$dev"
make_work
build=$dev
# One build at a time; the tests of another run may go on beside it.
mkdir -p "$dev"
exec 9>"$dev.lock"
flock 9
build_stage
if [[ $1 != build ]]; then
	cp -a "$dev" "$work/build"
	build=$work/build
fi
exec 9>&-
[[ $1 != build ]] || exit 0

read -r -a server_options <<<"${SETTINGS:-}"
[[ $1 != psql ]] || interactive=1
with_server "$root/scripts/dev.sh" --beside-server "$@"
