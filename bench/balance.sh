#!/usr/bin/env bash
# SELECT * FROM loyalty.balance('42') of random members against pgbench -S on
# as many accounts, both with -M simple: each statement is parsed and planned
# anew. The members have bought twice each.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

# Accounts come in hundreds of thousands.
hundreds=$(scaled "${HUNDREDS:-1}")
members=$((hundreds * 100000))
duration=${DURATION:-$(scaled 2)}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# selects CLIENTS PGBENCH-OPTION...: a second.
selects() {
	local clients=$1

	shift
	pgbench -n -M simple -c "$clients" -j 2 -T "$duration" "$@" bench_run 2>"$out/err" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

echo "# balance: $members members; 1 and 4 clients, $duration s each; $runs runs"
createdb bench_run
sql bench_run -v orders=$((2 * members)) -v members=$members -f "$bench/setup.sql"
sql bench_run -c "INSERT INTO orders SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 1" -c "DROP TABLE incoming"
pgbench -i -q -s "$hundreds" bench_run >"$out/err" 2>&1 || { cat "$out/err" >&2 && exit 1; }
# Between quotes, too: with -M simple pgbench puts the values into the text.
printf "\\\\set customer random(1, %d)\nSELECT * FROM loyalty.balance(':customer');\n" $members >"$out/balance.sql"
sql bench_run -c "VACUUM (ANALYZE)" -c CHECKPOINT

declare -A tps=()
for ((run = 1; run <= runs; run++)); do
	for clients in 1 4; do
		tps[accounts $clients]+=" $(selects $clients -S)"
		tps[balance $clients]+=" $(selects $clients -f "$out/balance.sql")"
		# shellcheck disable=SC2086 # lists of numbers
		printf '# run %d, %d clients, a second: balance %.0f, pgbench -S %.0f\n' "$run" $clients \
			${tps[balance $clients]##* } ${tps[accounts $clients]##* }
	done
done
dropdb bench_run

for clients in 1 4; do
	# shellcheck disable=SC2086 # lists of numbers
	echo "$clients clients, a second: balance $(spread %.0f ${tps[balance $clients]}), pgbench -S $(spread %.0f ${tps[accounts $clients]})"
	against_target "balance, $clients clients: balance / pgbench -S" \
		"$(ratios "${tps[balance $clients]}" "${tps[accounts $clients]}")" at-least 0.7
done
