#!/usr/bin/env bash
# A limited stock that many sessions take from at once, against the same reward
# without a stock: sessions seldom meet on one row.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

clients=16
members=$(scaled 20000)
stock=$(scaled 20000)
runs=${RUNS:-3}
database=bench_stock
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export PGOPTIONS='-c synchronous_commit=off'

createdb "$database"
sql "$database" -c "CREATE EXTENSION loyalty" \
	-c "INSERT INTO loyalty.program (name) VALUES ('beans')" \
	-c "SELECT count(loyalty.adjust(n, 1000000)) FROM generate_series(1, $members) n" >/dev/null

# redeemed REWARD: units a second, of as many as there are; whoever comes too late gets nothing.
redeemed() {
	printf "\\\\set customer random(1, %d)\nSELECT * FROM loyalty.redeem(:customer, '%s');\n" "$members" "$1" >"$out/$1.sql"
	pgbench -n -M prepared -c $clients -j 2 -t $((stock / clients)) -f "$out/$1.sql" "$database" 2>"$out/err" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
	grep -v '^pgbench (' "$out/err" >&2 || true
}

echo "# stock: $clients clients, $stock units, $members members; $runs runs"
free=() limited=()
for ((run = 1; run <= runs; run++)); do
	sql "$database" -c "INSERT INTO loyalty.reward (program, name, cost, stock)
		VALUES ('beans', 'free$run', 1, NULL), ('beans', 'limited$run', 1, $stock)" -c CHECKPOINT
	free+=("$(redeemed "free$run")")
	limited+=("$(redeemed "limited$run")")
	printf '# run %d, redemptions a second: without a stock %.0f, with one %.0f; %s units taken\n' "$run" \
		"${free[-1]}" "${limited[-1]}" "$(sql "$database" -c "SELECT taken FROM loyalty.stock WHERE reward = 'limited$run'")"
done
dropdb "$database"

echo "redemptions a second: without a stock $(spread %.0f "${free[@]}"), with one $(spread %.0f "${limited[@]}")"
against_target "limited stock, $clients clients: with / without" \
	"$(ratios "${limited[*]}" "${free[*]}")" at-least 0.5
