#!/usr/bin/env bash
# One order a transaction, 4 clients: the throughput of an order that earns,
# against the bare insert and against the PL/pgSQL row trigger of
# plpgsql_peer.sql, with synchronous_commit off and on. The members have a
# history. Beside these what the rows alone take that an order comes to (its own,
# the entry and the member's), written by one prepared statement that works out
# none of what is in them: no points, no lots, no hash.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=$(scaled 200000)
members=$(scaled 100000)
duration=${DURATION:-$(scaled 2)}
runs=${RUNS:-3}
clients=4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# throughput WAY COMMIT: WAY is a table of orders, or "rows".
throughput() {
	local statement="INSERT INTO $1 (customer_id, total) VALUES (:customer, :cents / 100.0)"

	if [[ $1 == rows ]]; then
		statement="WITH o AS (INSERT INTO rows (customer_id, total) VALUES (:customer, :cents / 100.0) RETURNING order_id, total, created_at),
			m AS (UPDATE bare_member
				  SET seq = seq + 1, purchases = purchases + 1, last_activity = now(), purse = purse, head = head
				  WHERE member_id = loyalty.member_id(:customer::text, 'beans') RETURNING member_id, seq, head)
			INSERT INTO bare_entry
			SELECT m.member_id, m.seq, 5, o.created_at, o.created_at, 1, 1, 1, 1, 1, 'earn', o.order_id::text,
				   '{5@2100-01-31}', o.total, NULL, NULL, m.head
			FROM o, m"
	fi
	echo "\\set customer random(1, $members)
		\\set cents random(100, 10000)
		$statement;" >"$out/$1.sql"
	sql bench_run -c CHECKPOINT
	transactions bench_run "$out/$1.sql" "$2" $clients
}

echo "# single: one order a transaction of $members members, $clients clients, $duration s each; $runs runs"
createdb bench_run
sql bench_run -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
sql bench_run -f "$bench/plpgsql_peer.sql"
sql bench_run -c 'CREATE TABLE rows (LIKE orders INCLUDING ALL)'
for table in orders bare_orders peer_orders rows; do
	sql bench_run -c "
		INSERT INTO $table (order_id, customer_id, total, status, created_at)
		SELECT order_id, customer_id, total, status, created_at FROM incoming;
		SELECT setval(pg_get_serial_sequence('$table', 'order_id'), (SELECT max(order_id) FROM incoming))" >/dev/null
done
sql bench_run -c 'INSERT INTO bare_member SELECT * FROM loyalty.member; INSERT INTO bare_entry SELECT * FROM loyalty.entry'
sql bench_run -c 'VACUUM (ANALYZE)'

declare -A tps=()
for ((run = 1; run <= runs; run++)); do
	for commit in off on; do
		for table in bare_orders orders peer_orders; do
			tps[$table $commit]+=" $(throughput $table $commit)"
		done
		printf '# run %d, synchronous_commit %s, orders a second: bare %.0f engine %.0f peer %.0f\n' "$run" $commit \
			"${tps[bare_orders $commit]##* }" "${tps[orders $commit]##* }" "${tps[peer_orders $commit]##* }"
	done
	# Where the disk decides, it does so for these too.
	tps[rows off]+=" $(throughput rows off)"
	printf '# run %d, synchronous_commit off, rows alone: %.0f\n' "$run" "${tps[rows off]##* }"
done
dropdb bench_run

for commit in off on; do
	# shellcheck disable=SC2086 # lists of numbers
	echo "synchronous_commit $commit, orders a second: engine $(spread %.0f ${tps[orders $commit]})," \
		"bare $(spread %.0f ${tps[bare_orders $commit]}), peer $(spread %.0f ${tps[peer_orders $commit]})"
done
# shellcheck disable=SC2086
echo "synchronous_commit off, rows alone: $(spread %.0f ${tps[rows off]})"
against_target "single: engine / bare" "$(ratios "${tps[orders off]}" "${tps[bare_orders off]}")" at-least 0.6
against_target "single: engine / peer" "$(ratios "${tps[orders off]}" "${tps[peer_orders off]}")" at-least 1.5
without_target "single: rows alone, by one statement / bare" "$(ratios "${tps[rows off]}" "${tps[bare_orders off]}")"
without_target "single: engine / rows alone" "$(ratios "${tps[orders off]}" "${tps[rows off]}")"
without_target "single, synchronous_commit on: engine / bare" "$(ratios "${tps[orders on]}" "${tps[bare_orders on]}")"
without_target "single, synchronous_commit on: engine / peer" "$(ratios "${tps[orders on]}" "${tps[peer_orders on]}")"
