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

# ratios LIST LIST: of the first to the second, run by run. What disturbs a run
# disturbs both of its parts.
ratios() {
	local -a over under
	local i

	read -r -a over <<<"$1"
	read -r -a under <<<"$2"
	for i in "${!over[@]}"; do
		ratio "${over[i]}" "${under[i]}"
	done | paste -sd ' '
}

# spread FORMAT NUMBER...: the median, and the least and the most of several.
spread() {
	local format=$1

	shift
	# shellcheck disable=SC2059 # the caller's
	printf "$format" "$(median "$@")"
	(($# > 1)) || return 0
	# shellcheck disable=SC2059
	printf " ($format to $format)" "$(printf '%s\n' "$@" | sort -g | head -n 1)" "$(printf '%s\n' "$@" | sort -g | tail -n 1)"
}

# against_target WHAT FIGURES at-most|at-least TARGET: FIGURES are those of the
# runs, of which the median counts. scripts/bench_results.pl reads the line.
against_target() {
	local figures

	read -r -a figures <<<"$2"
	awk -v what="$1" -v spread="$(spread %.2f "${figures[@]}")" -v figure="$(median "${figures[@]}")" -v sense="$3" -v target="$4" 'BEGIN {
		met = sense == "at-most" ? figure <= target : figure >= target
		printf "%-52s  %s  target: %s %s  %s\n", what, spread, sense == "at-most" ? "at most" : "at least", target,
			met ? "met" : "MISSED" }'
}

# without_target WHAT FIGURES: such a line of what is only told.
without_target() {
	local figures

	read -r -a figures <<<"$2"
	printf '%-52s  %s\n' "$1" "$(spread %.2f "${figures[@]}")"
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

# state_columns DATABASE: assignments from "w" to the columns of a member that are
# neither his key nor set at enrollment.
state_columns() {
	sql "$1" -c "
		SELECT string_agg(format('%1\$I = w.%1\$I', attname), ', ')
		FROM pg_attribute
		WHERE attrelid = 'loyalty.member'::regclass AND attnum > 0 AND NOT attisdropped
		  AND attname NOT IN ('member_id', 'program_id', 'ref', 'enrolled_at')"
}

# transactions DATABASE FILE COMMIT CLIENTS [PGBENCH OPTION...]: those of the
# pgbench script FILE a second, with synchronous_commit COMMIT, for $duration.
# shellcheck disable=SC2154 # duration is the caller's
transactions() {
	local database=$1 file=$2 commit=$3 clients=$4 err status=0

	shift 4
	err=$(mktemp)
	PGOPTIONS="-c synchronous_commit=$commit" pgbench -n -M prepared -c "$clients" -j 2 -T "$duration" -f "$file" "$@" "$database" 2>"$err" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p' || status=$?
	grep -v '^pgbench (' "$err" >&2 || true
	rm -f "$err"
	return "$status"
}

# watched DATABASE STATEMENT FILE: seconds that the statement takes; the sizes
# of its backend's own memory (RssAnon) meanwhile, in kB, go to FILE.
watched() {
	sql "$1" -c CHECKPOINT
	sql "$1" 2>/dev/null <<-SQL
		SELECT pg_backend_pid() AS pid \gset
		\setenv PID :pid
		\! (while sleep 0.02 && awk '/^RssAnon/ { print \$2 }' /proc/\$PID/status 2>/dev/null; do :; done) >$3 &
		SELECT clock_timestamp() AS start \gset
		$2;
		SELECT round(extract(epoch FROM clock_timestamp() - :'start'::timestamptz), 3);
	SQL
}

# growth FILE: the most of "watched" in the second half of the time against the
# most in the first. It rises and falls with each batch; what grows with the
# data comes near to twice as much.
growth() {
	awk '{ v[NR] = $1 } END { for (i = 1; i <= NR; i++) { half = i > NR / 2; most[half] = v[i] > most[half] ? v[i] : most[half] }
		printf "%.3f\n", (most[0] ? most[1] / most[0] : 0) }' "$1"
}

# most FILE
most() {
	sort -n "$1" | tail -n 1
}

# against_ledger ACT OTHER: an act against the double-entry ledger of ACT.sql:
# what it costs the server, and the throughput of one a transaction by four
# clients, where the round trip and the commit cost both the same. The script
# that calls it says what is run, each in three ways (engine, OTHER, which is
# the engine with what the peer has not, and peer):
#   draw        the variables of a client's statement
#   one[WAY]    a statement of a client
#   all[WAY]    a statement with one act for each member
# shellcheck disable=SC2154 # draw, one and all are the caller's
against_ledger() {
	local act=$1 other=$2 database=bench_$1 ways=(engine "$2" peer) clients=4 out way run
	local members duration runs ticks
	local -A tps=() cost=()

	members=$(scaled 50000)
	((members >= 10000)) || members=10000 # with fewer, four clients would meet, and a tick be too coarse
	duration=${DURATION:-$(scaled 2)}
	runs=${RUNS:-3}
	out=$(mktemp -d)
	# shellcheck disable=SC2064 # now: it is local
	trap "rm -rf '$out'" EXIT
	# Processor time of the backend; other work disturbs it less than the clock. A tick is 10 ms.
	ticks="SELECT split_part(stat, ' ', 14)::bigint + split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat"

	microseconds() {
		PGOPTIONS='-c synchronous_commit=off' sql "$database" -c "$ticks" -c "${all[$1]}" -c "$ticks" |
			awk -v n="$members" 'NR == 1 { from = $1 } END { print ($1 > from ? $1 - from : 1) * 10000 / n }'
	}

	echo "# $act: $members members; $clients clients, $duration s each; $runs runs"
	createdb "$database"
	sql "$database" -v members="$members" -f "$bench/$act.sql"
	for way in "${ways[@]}"; do
		printf '\\set members %d\n%s\n%s;\n' "$members" "$draw" "${one[$way]}" >"$out/$way.sql"
		microseconds "$way" >/dev/null # warm
	done
	for ((run = 1; run <= runs; run++)); do
		for way in "${ways[@]}"; do
			cost[$way]+=" $(microseconds "$way")"
		done
		for way in "${ways[@]}"; do
			tps[$way off]+=" $(transactions "$database" "$out/$way.sql" off $clients)"
		done
		for way in engine peer; do
			tps[$way on]+=" $(transactions "$database" "$out/$way.sql" on $clients)"
		done
		# shellcheck disable=SC2086 # lists of numbers
		printf '# run %d, µs a %s: engine %.1f, with %s %.1f, peer %.1f; a second, synchronous_commit off: %.0f, %.0f, %.0f; on: engine %.0f, peer %.0f\n' \
			"$run" "$act" ${cost[engine]##* } "$other" ${cost[$other]##* } ${cost[peer]##* } \
			${tps[engine off]##* } ${tps[$other off]##* } ${tps[peer off]##* } ${tps[engine on]##* } ${tps[peer on]##* }
	done
	dropdb "$database"

	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # lists of numbers
		echo "$way: $(spread %.1f ${cost[$way]}) µs in the server; a second $(spread %.0f ${tps[$way off]})"
	done
	# shellcheck disable=SC2086
	echo "with synchronous_commit on, a second: engine $(spread %.0f ${tps[engine on]}), peer $(spread %.0f ${tps[peer on]})"
	against_target "$act, in the server: peer / engine" "$(ratios "${cost[peer]}" "${cost[engine]}")" at-least 1.5
	against_target "$act, $clients clients: engine / peer" "$(ratios "${tps[engine off]}" "${tps[peer off]}")" at-least 1.5
	without_target "$act, $clients clients, synchronous_commit on: engine / peer" "$(ratios "${tps[engine on]}" "${tps[peer on]}")"
	without_target "$act with $other, which the peer has not, in the server: peer / engine" "$(ratios "${cost[peer]}" "${cost[$other]}")"
	without_target "$act with $other, which the peer has not, $clients clients: engine / peer" "$(ratios "${tps[$other off]}" "${tps[peer off]}")"
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
