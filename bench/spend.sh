#!/usr/bin/env bash
# One spend a transaction, synchronous_commit off, by one client and by four:
# the throughput against the double-entry ledger of spend.sql.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=$(scaled 100000)
duration=${DURATION:-$(scaled 10)}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

declare -A statement=(
	[engine]='SELECT * FROM loyalty.spend(:customer, 5)'
	[purchase]="SELECT * FROM loyalty.spend(:customer, 5, purchase => 'o' || :cents, amount => :cents / 100.0, key => 'k' || :unique)"
	[peer]='SELECT peer_spend(:customer, 5)'
)

# throughput WHAT CLIENTS: transactions a second.
throughput() {
	echo "\\set customer random(1, $members)
		\\set cents random(100, 10000)
		\\set unique random(1, 1000000000000)
		${statement[$1]};" >"$out/$1.sql"
	sql bench_spend -c CHECKPOINT
	PGOPTIONS='-c synchronous_commit=off' pgbench -n -M prepared -c "$2" -j 2 -T "$duration" \
		-f "$out/$1.sql" bench_spend 2>"$out/err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

echo "# spend: one spend a transaction, $members members, $duration s each; $runs runs"
createdb bench_spend
sql bench_spend -v members="$members" -f "$bench/spend.sql"

declare -A tps=()
for clients in 1 4; do
	for ((run = 1; run <= runs; run++)); do
		for what in engine purchase peer; do
			tps[$what$clients]+=" $(throughput $what $clients)"
		done
		# shellcheck disable=SC2086 # lists of numbers
		printf '# run %d, %d clients, spends a second: engine %.0f with purchase and key %.0f peer %.0f\n' "$run" "$clients" \
			${tps[engine$clients]##* } ${tps[purchase$clients]##* } ${tps[peer$clients]##* }
	done
done
dropdb bench_spend

for clients in 1 4; do
	# shellcheck disable=SC2086 # lists of numbers
	engine=$(median ${tps[engine$clients]}) purchase=$(median ${tps[purchase$clients]}) peer=$(median ${tps[peer$clients]})
	echo "spends a second, $clients clients: engine $engine, with purchase and key $purchase, peer $peer"
	against_target "spend: engine / peer, $clients clients" "$(ratio "$engine" "$peer")" at-least 1.5
	against_target "spend: with purchase and key / peer, $clients clients" "$(ratio "$purchase" "$peer")" at-least 1.5
done
