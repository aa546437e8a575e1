#!/usr/bin/env bash
# One order a transaction, 4 clients, synchronous_commit off: the throughput of
# an order that earns, against the bare insert and against the PL/pgSQL row
# trigger of plpgsql_peer.sql. The members have a history.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=$(scaled 200000)
members=$(scaled 100000)
duration=${DURATION:-$(scaled 10)}
runs=${RUNS:-3}
clients=4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# throughput TABLE: transactions a second.
throughput() {
	echo "\\set customer random(1, $members)
		\\set cents random(100, 10000)
		INSERT INTO $1 (customer_id, total) VALUES (:customer, :cents / 100.0);" >"$out/$1.sql"
	sql bench_run -c CHECKPOINT
	PGOPTIONS='-c synchronous_commit=off' pgbench -n -M prepared -c $clients -j 2 -T "$duration" \
		-f "$out/$1.sql" bench_run 2>"$out/err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

echo "# single: one order a transaction, $clients clients, $duration s each; $runs runs"
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
	for table in bare_orders orders peer_orders; do
		tps[$table]+=" $(throughput $table)"
	done
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, orders a second: bare %.0f engine %.0f peer %.0f\n' "$run" \
		${tps[bare_orders]##* } ${tps[orders]##* } ${tps[peer_orders]##* }
done
dropdb bench_run

# shellcheck disable=SC2086 # lists of numbers
bare=$(median ${tps[bare_orders]}) engine=$(median ${tps[orders]}) peer=$(median ${tps[peer_orders]})
echo "orders a second: engine $engine, bare $bare, peer $peer"
against_target "single: engine / bare" "$(ratio "$engine" "$bare")" at-least 0.6
against_target "single: engine / peer" "$(ratio "$engine" "$peer")" at-least 1.5
