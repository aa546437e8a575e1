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
