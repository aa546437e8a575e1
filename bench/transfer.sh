#!/usr/bin/env bash
# Transfers against the double-entry ledger of transfer.sql, synchronous_commit
# off: what they cost the server (one statement in which each member gives once
# and gets once), and the throughput of one transfer a transaction by four
# clients, where the round trip and the commit cost both the same.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=$(scaled 100000)
duration=${DURATION:-$(scaled 10)}
runs=${RUNS:-3}
clients=4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export PGOPTIONS='-c synchronous_commit=off'

ways=(engine key peer)
declare -A one=(
	[engine]='SELECT * FROM loyalty.transfer(:giver, :receiver, 5)'
	[key]="SELECT * FROM loyalty.transfer(:giver, :receiver, 5, key => 'k' || :unique)"
	[peer]='SELECT peer_transfer(:giver, :receiver, 5)'
)
declare -A all=(
	[engine]="SELECT count(loyalty.transfer(giver, receiver, 5)) FROM pair"
	[key]="SELECT count(loyalty.transfer(giver, receiver, 5, key => 'k' || clock_timestamp())) FROM pair"
	[peer]="SELECT count(peer_transfer(giver, receiver, 5)) FROM pair"
)

# throughput WAY: transactions a second.
throughput() {
	# Never to himself.
	echo "\\set giver random(1, $members)
		\\set receiver 1 + (:giver + random(0, $members - 2)) % $members
		\\set unique random(1, 1000000000000)
		${one[$1]};" >"$out/$1.sql"
	pgbench -n -M prepared -c $clients -j 2 -T "$duration" \
		-f "$out/$1.sql" bench_transfer 2>"$out/err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

# microseconds WAY: of processor time a transfer, in one statement, without a client's round trip. Other
# work on the machine disturbs it less than the time on the clock. A tick is 10 ms.
microseconds() {
	local ticks="SELECT split_part(stat, ' ', 14)::bigint + split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat"

	sql bench_transfer -c "$ticks" -c "${all[$1]}" -c "$ticks" |
		awk -v n="$members" 'NR == 1 { from = $1 } END { printf "%.3f\n", ($1 - from) * 10000 / n }'
}

echo "# transfer: $members members; $clients clients, $duration s each; $runs runs"
createdb bench_transfer
sql bench_transfer -v members="$members" -f "$bench/transfer.sql"

declare -A tps=() cost=()
for way in "${ways[@]}"; do
	microseconds "$way" >/dev/null	# warm
done
for ((run = 1; run <= runs; run++)); do
	for way in "${ways[@]}"; do
		cost[$way]+=" $(microseconds "$way")"
	done
	for way in "${ways[@]}"; do
		tps[$way]+=" $(throughput "$way")"
	done
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, µs a transfer: engine %.1f, with a key %.1f, peer %.1f; transfers a second: %.0f, %.0f, %.0f\n' "$run" \
		${cost[engine]##* } ${cost[key]##* } ${cost[peer]##* } ${tps[engine]##* } ${tps[key]##* } ${tps[peer]##* }
done
dropdb bench_transfer

declare -A cost_of=() tps_of=()
for way in "${ways[@]}"; do
	# shellcheck disable=SC2086 # lists of numbers
	cost_of[$way]=$(median ${cost[$way]}) tps_of[$way]=$(median ${tps[$way]})
done
echo "with a key, which the peer has not: $(ratio "${cost_of[peer]}" "${cost_of[key]}") of the peer's speed in the server, $(ratio "${tps_of[key]}" "${tps_of[peer]}") of its throughput"
against_target "transfer, in the server: peer / engine" "$(ratio "${cost_of[peer]}" "${cost_of[engine]}")" at-least 1.5
against_target "transfer, $clients clients: engine / peer" "$(ratio "${tps_of[engine]}" "${tps_of[peer]}")" at-least 1.5
