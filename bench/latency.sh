#!/usr/bin/env bash
# Latency under load: the bare insert of an order, an order that earns, and a
# spend, each by 4 clients at half of the highest throughput that it reaches,
# with synchronous_commit off, and on with fsync. The transactions come at
# random times, and latency counts from when one was due, so that one that has
# to wait for those before it counts the waiting.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=$(scaled 200000)
members=$(scaled 100000)
limit_duration=${LIMIT_DURATION:-$(scaled 2)}
duration=${DURATION:-$(scaled 3)}
runs=${RUNS:-2}
clients=4
ways=(bare order spend)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

draw="\\set customer random(1, $members)
\\set cents random(100, 10000)"
echo "$draw
INSERT INTO bare_orders (customer_id, total) VALUES (:customer, :cents / 100.0);" >"$out/bare.sql"
echo "$draw
INSERT INTO orders (customer_id, total) VALUES (:customer, :cents / 100.0);" >"$out/order.sql"
echo "$draw
SELECT * FROM loyalty.spend(:customer, 1);" >"$out/spend.sql"

# set_fsync "SET fsync = on", or "RESET fsync": a throw-away server runs without
# it, but what a commit that waits costs is shown only with it.
set_fsync() {
	sql bench_run -c "ALTER SYSTEM $1" -c "SELECT pg_reload_conf()" >/dev/null
}

# load WAY SECONDS [PGBENCH OPTION...]
load() {
	local way=$1 seconds=$2

	shift 2
	sql bench_run -c CHECKPOINT
	pgbench -n -M prepared -c $clients -j 2 -T "$seconds" "$@" -f "$out/$way.sql" bench_run 2>"$out/err" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

# percentiles PREFIX: the 50th, 95th and 99th, in ms, of what pgbench has logged.
percentiles() {
	cat "$1".* | awk '{ print $3 }' | sort -n | awk '{ v[NR] = $1 }
		function at(share) { return v[int(NR * share) + (NR * share > int(NR * share))] / 1000 }
		END { if (NR) printf "%.3f %.3f %.3f\n", at(0.5), at(0.95), at(0.99) }'
}

echo "# latency: $clients clients at half of the highest throughput, $duration s each; $runs runs"
createdb bench_run
sql bench_run -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
for table in orders bare_orders; do
	sql bench_run -c "
		INSERT INTO $table (order_id, customer_id, total, status, created_at)
		SELECT order_id, customer_id, total, status, created_at FROM incoming;
		SELECT setval(pg_get_serial_sequence('$table', 'order_id'), (SELECT max(order_id) FROM incoming))" >/dev/null
done
sql bench_run -c 'VACUUM (ANALYZE)'

declare -A tps=() p50=() p95=() p99=()
for commit in off on; do
	export PGOPTIONS="-c synchronous_commit=$commit"
	[[ $commit == off ]] || set_fsync "SET fsync = on"
	for ((run = 1; run <= runs; run++)); do
		for way in "${ways[@]}"; do
			tps[$way $commit]+=" $(load $way "$limit_duration")"
		done
		for way in "${ways[@]}"; do
			rm -f "$out"/log.*
			# shellcheck disable=SC2086 # lists of numbers
			rate=$(awk -v tps="$(median ${tps[$way $commit]})" 'BEGIN { printf "%.1f", tps / 2 }')
			load $way "$duration" --rate="$rate" -l --log-prefix="$out/log" >"$out/tps"
			read -r a b c < <(percentiles "$out/log")
			p50[$way $commit]+=" $a" p95[$way $commit]+=" $b" p99[$way $commit]+=" $c"
			printf '# run %d, synchronous_commit %s, %s: at most %.0f a second; at %.0f: %s ms 50th, %s ms 95th, %s ms 99th percentile\n' \
				"$run" $commit $way "${tps[$way $commit]##* }" "$(cat "$out/tps")" "$a" "$b" "$c"
		done
	done
done
set_fsync 'RESET fsync'
dropdb bench_run

printf '%-20s %-6s %12s %10s %10s %10s  %s\n' synchronous_commit act 'most a s' '50th, ms' '95th, ms' '99th, ms' '95th and 99th / bare'
for commit in off on; do
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # lists of numbers
		printf '%-20s %-6s %12.0f %10.2f %10.2f %10.2f  %.2f %.2f\n' $commit $way "$(median ${tps[$way $commit]})" \
			"$(median ${p50[$way $commit]})" "$(median ${p95[$way $commit]})" "$(median ${p99[$way $commit]})" \
			"$(ratio "$(median ${p95[$way $commit]})" "$(median ${p95[bare $commit]})")" \
			"$(ratio "$(median ${p99[$way $commit]})" "$(median ${p99[bare $commit]})")"
	done
done
