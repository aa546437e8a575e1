#!/usr/bin/env bash
# One order a transaction, 4 clients: the throughput of an order that earns,
# against the bare insert and against the PL/pgSQL row trigger of
# plpgsql_peer.sql, with synchronous_commit off and on. The members have a
# history.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=$(scaled 200000)
members=$(scaled 100000)
duration=${DURATION:-$(scaled 2)}
runs=${RUNS:-3}
clients=4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# throughput TABLE COMMIT
throughput() {
	echo "\\set customer random(1, $members)
		\\set cents random(100, 10000)
		INSERT INTO $1 (customer_id, total) VALUES (:customer, :cents / 100.0);" >"$out/$1.sql"
	sql bench_run -c CHECKPOINT
	transactions bench_run "$out/$1.sql" "$2" $clients
}

echo "# single: one order a transaction of $members members, $clients clients, $duration s each; $runs runs"
createdb bench_run
sql bench_run -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
sql bench_run -f "$bench/plpgsql_peer.sql"
for table in orders bare_orders peer_orders; do
	sql bench_run -c "
		INSERT INTO $table (order_id, customer_id, total, status, created_at)
		SELECT order_id, customer_id, total, status, created_at FROM incoming;
		SELECT setval(pg_get_serial_sequence('$table', 'order_id'), (SELECT max(order_id) FROM incoming))" >/dev/null
done
sql bench_run -c 'VACUUM (ANALYZE)'

declare -A tps=()
for ((run = 1; run <= runs; run++)); do
	for commit in off on; do
		for table in bare_orders orders peer_orders; do
			tps[$table $commit]+=" $(throughput $table $commit)"
		done
		# shellcheck disable=SC2086 # lists of numbers
		printf '# run %d, synchronous_commit %s, orders a second: bare %.0f engine %.0f peer %.0f\n' "$run" $commit \
			${tps[bare_orders $commit]##* } ${tps[orders $commit]##* } ${tps[peer_orders $commit]##* }
	done
done
dropdb bench_run

for commit in off on; do
	# shellcheck disable=SC2086 # lists of numbers
	echo "synchronous_commit $commit, orders a second: engine $(spread %.0f ${tps[orders $commit]})," \
		"bare $(spread %.0f ${tps[bare_orders $commit]}), peer $(spread %.0f ${tps[peer_orders $commit]})"
done
against_target "single: engine / bare" "$(ratios "${tps[orders off]}" "${tps[bare_orders off]}")" at-least 0.6
against_target "single: engine / peer" "$(ratios "${tps[orders off]}" "${tps[peer_orders off]}")" at-least 1.5
without_target "single, synchronous_commit on: engine / bare" "$(ratios "${tps[orders on]}" "${tps[bare_orders on]}")"
without_target "single, synchronous_commit on: engine / peer" "$(ratios "${tps[orders on]}" "${tps[peer_orders on]}")"
