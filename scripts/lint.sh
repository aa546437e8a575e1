#!/usr/bin/env bash
# make lint: the rules of the house. Silent when all is well; else each line
# says what is wrong and what to do.
#
# The rules about the installed extension are in lint.sql.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# Parts that make no capability of their own, and so have no test of their name.
readonly untested_parts=(prelude)

problems=0

problem() {
	echo "$*"
	problems=$((problems + 1))
}

# stems DIRECTORY EXTENSION
stems() {
	find "$1" -maxdepth 1 -name "*.$2" -printf '%f\n' 2>/dev/null | sed "s/\.$2\$//" | sort
}

# One capability, one name: sql/X.sql, test/sql/X.sql, expected/X.out.
check_matched_sets() {
	local name

	for name in $(stems sql sql); do
		[[ " ${untested_parts[*]} " != *" $name "* ]] || continue
		[[ -e test/sql/$name.sql ]] ||
			problem "sql/$name.sql has no test: write test/sql/$name.sql"
	done
	for name in $(comm -23 <(stems test/sql sql) <(stems expected out)); do
		problem "test/sql/$name.sql has no expected output: check what 'scripts/dev.sh accept $name' takes"
	done
	for name in $(comm -13 <(stems test/sql sql) <(stems expected out)); do
		problem "expected/$name.out belongs to no test: remove it, or write test/sql/$name.sql"
	done
	for name in $(comm -23 <(stems test/isolation/specs spec) <(stems test/isolation/expected out)); do
		problem "test/isolation/specs/$name.spec has no expected output: add test/isolation/expected/$name.out"
	done
	for name in $(comm -13 <(stems test/isolation/specs spec) <(stems test/isolation/expected out)); do
		problem "test/isolation/expected/$name.out belongs to no spec: remove it"
	done
}

check_makefile() {
	local listed present name

	listed=$(make -s sql-order | sort)
	present=$(printf '%s\n' sql/*.sql | sort)
	for name in $(comm -23 <(echo "$listed") <(echo "$present")); do
		problem "the Makefile lists $name, which does not exist: take it out of SQL_ORDER, or write it"
	done
	for name in $(comm -13 <(echo "$listed") <(echo "$present")); do
		problem "$name is not in the Makefile: give it its place in SQL_ORDER"
	done

	listed=$(make -s objects | sed 's/\.o$/.c/' | sort)
	present=$(find src -name '*.c' | sort)
	for name in $(comm -23 <(echo "$listed") <(echo "$present")); do
		problem "the Makefile lists $name, which does not exist: take it out of OBJS, or write it"
	done
	for name in $(comm -13 <(echo "$listed") <(echo "$present")); do
		problem "$name is not in the Makefile: give it its place in OBJS"
	done
}

# An install script that adopts what is already there lets anyone plant it.
check_sql_words() {
	local file line

	for file in sql/*.sql; do
		while IFS= read -r line; do
			problem "$file:$line: use plain CREATE; the script must not adopt objects that it did not make"
		done < <(sed 's/--.*//' "$file" | grep -niE '\<or +replace\>|\<if +not +exists\>')
		while IFS= read -r line; do
			problem "$file:$line: what ships is C or SQL, not PL/pgSQL"
		done < <(sed 's/--.*//' "$file" | grep -niE "language +'?plpgsql|^ *do +('|\\$|language)")
	done
}

check_exports() {
	local symbol

	for symbol in $(nm -D --defined-only "$stage$pg_lib/loyalty.so" | awk '{ print $3 }' |
		grep -vE '^(loyalty_|pg_finfo_loyalty_|Pg_magic_func$|_PG_init$)'); do
		problem "loyalty.so exports $symbol: make it static, or see loyalty.map"
	done
}

check_shell() {
	local line

	command -v shellcheck >/dev/null || return 0
	while IFS= read -r line; do
		problem "$line"
	done < <(find scripts bench test/t .ci \( -name '*.sh' -o -path .ci/run \) -exec \
		shellcheck -x -f gcc -S warning {} + 2>/dev/null)
}

check_catalog() {
	local line

	createdb lint
	while IFS= read -r line; do
		problem "$line"
	done < <(psql -XqAt -d lint -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION loyalty' -f scripts/lint.sql 2>&1)
}

if [[ ${1:-} == --beside-server ]]; then
	cd "$root"
	check_matched_sets
	check_makefile
	check_sql_words
	check_exports
	check_shell
	check_catalog
	exit $((problems > 0))
fi

need "${build_packages[@]}"
make_work
build_stage
with_server "$root/scripts/lint.sh" --beside-server
