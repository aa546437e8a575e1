#!/usr/bin/env bash
# make soak: the long runs of test/t, one after the other, with their figures.
#
#   scripts/soak.sh [RUN...]      sessions kills fuzz memory interrupt scarce
#
# sessions   sixteen sessions do everything at random for SOAK_SECONDS (600)
# kills      the same, and the server is killed SOAK_KILLS (20) times
# fuzz       FUZZ_INPUTS (1000000) inputs for each type, for conditions and so on
# memory     MEMORY_ORDERS (1000000) single orders in one session
# interrupt  what takes long is stopped, with INTERRUPT_ORDERS (200000) orders
# scarce     memory and disk used up at many points
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
	local name=$1 program=$2 log status=0

	shift 2
	log=$(mktemp)
	echo "$name:"
	env "$@" PROGRAMS="$program" scripts/test.sh programs >"$log" 2>&1 || status=$?
	if ((status)); then
		cat "$log"
		failed+=("$name")
	else
		awk '!seen[$0]++ && (/^# / || /passed,/) && !/^# (building|testing)/' "$log" | sed 's/^/  /'
	fi
	rm -f "$log"
}

failed=()
(($# > 0)) || set -- sessions kills fuzz memory interrupt scarce
for name in "$@"; do
	case $name in
	sessions) run "$name" soak SOAK_SECONDS="${SOAK_SECONDS:-600}" ;;
	kills) run "$name" soak SOAK_SECONDS="${SOAK_SECONDS:-600}" SOAK_KILLS="${SOAK_KILLS:-20}" ;;
	fuzz) run "$name" fuzz FUZZ_INPUTS="${FUZZ_INPUTS:-1000000}" ;;
	memory) run "$name" memory MEMORY_ORDERS="${MEMORY_ORDERS:-1000000}" ;;
	interrupt) run "$name" interrupt INTERRUPT_ORDERS="${INTERRUPT_ORDERS:-200000}" ;;
	scarce) run "$name" scarce SCARCE_FULL=1 ;;
	*)
		echo "soak.sh: no run \"$name\"" >&2
		exit 2
		;;
	esac
done
((${#failed[@]} == 0)) || {
	echo "failed: ${failed[*]}"
	exit 1
}
