#!/usr/bin/env bash
# The memory of a backend that is its own (RssAnon), with a small work_mem:
#
#   backfill    it must not grow with the orders that are done
#   statement   one INSERT of orders, and one of four times as many
#
# Maintenance: see maintain.sh.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=${ORDERS:-$(scaled 400000)}
runs=${RUNS:-2}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# shop ATTACHED: an empty shop, that earns or not yet.
shop() {
	createdb -T bench_template bench_run
	[[ $1 != attached ]] || sql bench_run -c "$attach"
}

echo "# memory: $orders orders over $((orders / 4 + 1)) members, work_mem 4 MB; $runs runs"
attach="DO \$\$BEGIN PERFORM loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at'); END\$\$"
createdb bench_template
sql bench_template <<-SQL
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name, currency, expiry, time_zone)
	VALUES ('beans', 'USD', '12 months end of month', 'UTC');
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
	CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, total numeric(10,2) NOT NULL,
	                     created_at timestamptz NOT NULL);
SQL

# insert PART: the INSERT of one PARTth of the orders.
insert() {
	echo "INSERT INTO orders SELECT n, n * 48271::bigint % ($orders / 4 + 1), 1 + n % 100, now() - n % 300 * interval '1 day'
		FROM generate_series(1, $orders / $1) n"
}

export PGOPTIONS='-c work_mem=4MB'
growths="" statements=""
for ((run = 1; run <= runs; run++)); do
	shop bare
	sql bench_run -c "$(insert 1)" -c ANALYZE -c "$attach"
	watched bench_run "CALL loyalty.backfill('orders')" "$out/backfill" >"$out/seconds"
	growths+=" $(growth "$out/backfill")"
	printf '# run %d, backfill: %s s, %s entries, at most %d kB\n' "$run" "$(cat "$out/seconds")" \
		"$(sql bench_run -c 'SELECT count(*) FROM loyalty.entry')" "$(most "$out/backfill")"
	dropdb bench_run
	for part in 4 1; do
		shop attached
		watched bench_run "$(insert $part)" "$out/part$part" >"$out/seconds"
		printf '# run %d, a statement of %d orders: %s s, at most %d kB\n' "$run" $((orders / part)) \
			"$(cat "$out/seconds")" "$(most "$out/part$part")"
		dropdb bench_run
	done
	statements+=" $(ratio "$(most "$out/part1")" "$(most "$out/part4")")"
done
dropdb bench_template

against_target "memory of backfill, second half / first half" "$growths" at-most 1.2
against_target "memory of one statement, four times the orders" "$statements" at-most 1.2
