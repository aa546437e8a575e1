# shellcheck shell=bash disable=SC2034 # used by those that source this file
# What the benchmarks share. They run beside the server of scripts/bench.sh.

set -euo pipefail

bench=$(dirname "${BASH_SOURCE[0]}")
scale=${SCALE:-1}

# scaled NUMBER: an integer, at least 1.
scaled() {
	awk -v n="$1" -v s="$scale" 'BEGIN { n = int(n * s); print (n < 1 ? 1 : n) }'
}

# median NUMBER...
median() {
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 }
		END { printf "%.3f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'
}

# against_target WHAT FIGURE at-most|at-least TARGET
against_target() {
	awk -v what="$1" -v figure="$2" -v sense="$3" -v target="$4" 'BEGIN {
		met = sense == "at-most" ? figure <= target : figure >= target
		printf "%-52s %6.2f  target: %s %s  %s\n", what, figure, sense == "at-most" ? "at most" : "at least", target,
			met ? "met" : "MISSED" }'
}

# sql DATABASE [PSQL OPTION...]
sql() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$@"
}

# seconds DATABASE FILE: what the statements of FILE take, in one transaction.
seconds() {
	local start

	sql "$1" -c CHECKPOINT
	start=$(date +%s.%N)
	sql "$1" -1 -f "$2" >/dev/null
	awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f\n", b - a }'
}

# against_ledger ACT OTHER: an act against the double-entry ledger of ACT.sql,
# synchronous_commit off: what it costs the server, and the throughput of one a
# transaction by four clients, where the round trip and the commit cost both
# the same. The script that calls it says what is run, each in three ways
# (engine, OTHER, which is the engine with what the peer has not, and peer):
#   one[WAY]    a statement of a client, with the variables that "draw" sets
#   all[WAY]    a statement with one act for each member
# shellcheck disable=SC2154 # draw, one and all are the caller's
against_ledger() {
	local act=$1 other=$2 database=bench_$1 ways=(engine "$2" peer) clients=4 out way run
	local members duration runs ticks
	local -A tps=() cost=() tps_of=() cost_of=()

	members=$(scaled 100000)
	duration=${DURATION:-$(scaled 10)}
	runs=${RUNS:-3}
	out=$(mktemp -d)
	# shellcheck disable=SC2064 # now: it is local
	trap "rm -rf '$out'" EXIT
	export PGOPTIONS='-c synchronous_commit=off'
	# Processor time of the backend; other work disturbs it less than the clock. A tick is 10 ms.
	ticks="SELECT split_part(stat, ' ', 14)::bigint + split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat"

	microseconds() {
		sql "$database" -c "$ticks" -c "${all[$1]}" -c "$ticks" |
			awk -v n="$members" 'NR == 1 { from = $1 } END { printf "%.3f\n", ($1 - from) * 10000 / n }'
	}
	throughput() {
		printf '\\set members %d\n%s\n%s;\n' "$members" "$draw" "${one[$1]}" >"$out/$1.sql"
		pgbench -n -M prepared -c $clients -j 2 -T "$duration" -f "$out/$1.sql" "$database" 2>"$out/err" |
			sed -n 's/^tps = \([0-9.]*\).*/\1/p'
		grep -v '^pgbench (' "$out/err" >&2 || true
	}

	echo "# $act: $members members; $clients clients, $duration s each; $runs runs"
	createdb "$database"
	sql "$database" -v members="$members" -f "$bench/$act.sql"
	for way in "${ways[@]}"; do
		microseconds "$way" >/dev/null # warm
	done
	for ((run = 1; run <= runs; run++)); do
		for way in "${ways[@]}"; do
			cost[$way]+=" $(microseconds "$way")"
		done
		for way in "${ways[@]}"; do
			tps[$way]+=" $(throughput "$way")"
		done
		# shellcheck disable=SC2086 # lists of numbers
		printf '# run %d, µs a %s: engine %.1f, with %s %.1f, peer %.1f; a second: %.0f, %.0f, %.0f\n' "$run" "$act" \
			${cost[engine]##* } "$other" ${cost[$other]##* } ${cost[peer]##* } ${tps[engine]##* } ${tps[$other]##* } ${tps[peer]##* }
	done
	dropdb "$database"

	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # lists of numbers
		cost_of[$way]=$(median ${cost[$way]}) tps_of[$way]=$(median ${tps[$way]})
	done
	echo "with $other, which the peer has not: $(ratio "${cost_of[peer]}" "${cost_of[$other]}") of the peer's speed in the server, $(ratio "${tps_of[$other]}" "${tps_of[peer]}") of its throughput"
	against_target "$act, in the server: peer / engine" "$(ratio "${cost_of[peer]}" "${cost_of[engine]}")" at-least 1.5
	against_target "$act, $clients clients: engine / peer" "$(ratio "${tps_of[engine]}" "${tps_of[peer]}")" at-least 1.5
}

# acts DATABASE WARM COUNT: what one act costs, of COUNT acts that one session
# runs one a transaction after WARM others; the pgbench script of an act is read
# from standard input, and :n numbers the acts. Prints microseconds of processor
# time of the backend, microseconds by the clock of the server (with the round
# trip), and bytes of WAL.
acts() {
	local database=$1 warm=$2 count=$3 file act
	# The scheduler counts in nanoseconds; the ticks of /proc/self/stat are 10 ms.
	local probe="INSERT INTO acts_probe SELECT split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::bigint,
		clock_timestamp(), pg_current_wal_insert_lsn();"

	act=$(cat)
	file=$(mktemp)
	printf '\\set n :n + 1\n\\if :n = %d\n%s\n\\endif\n%s\n\\if :n = %d\n%s\n\\endif\n' \
		$((warm + 1)) "$probe" "$act" $((warm + count)) "$probe" >"$file"
	sql "$database" -c "DROP TABLE IF EXISTS acts_probe" 2>/dev/null
	sql "$database" -c "CREATE UNLOGGED TABLE acts_probe (processor bigint, clock timestamptz, wal pg_lsn)"
	pgbench -n -M prepared -c 1 -D n=0 -t $((warm + count)) -f "$file" "$database" 2>&1 >/dev/null | grep -v '^pgbench (' >&2 || true
	rm -f "$file"
	sql "$database" -F ' ' -c "
		SELECT round((max(processor) - min(processor)) / 1000.0 / $count, 2),
		       round(extract(epoch FROM max(clock) - min(clock)) * 1000000 / $count, 2),
		       round((max(wal) - min(wal)) / $count, 1)
		FROM acts_probe HAVING count(*) = 2"
}
