#!/usr/bin/env bash
# make bench: the benchmarks of bench/, each a ratio measured in one run.
#
#   scripts/bench.sh [NAME...]      the scripts of these names in bench/; all but report and instructions by default
#
# SCALE=0.1 makes the data and the durations a tenth; RUNS=N repeats (the
# medians are printed, with the least and the most). RESULTS=FILE writes what
# was found as Markdown; a run of all at full size writes bench/RESULTS.md.
# A target that is missed is no failure.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

machine() {
	note "machine: $(nproc) x $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)," \
		"$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo), load $(cut -d ' ' -f 1 /proc/loadavg)," \
		"huge pages: $(awk '/^HugePages_Total/ { print $2 }' /proc/meminfo)"
	note "server: PostgreSQL $(psql -XAtqc 'SHOW server_version'), $(psql -XAtqc \
		"SELECT string_agg(name || ' ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings
		 WHERE name IN ('shared_buffers', 'work_mem', 'fsync', 'max_wal_size', 'autovacuum', 'checkpoint_timeout', 'jit',
		                'max_parallel_workers_per_gather')")"
}

# measure NAME...: what each prints goes to $work/results/NAME, too.
measure() {
	local name from status=0

	for name in "$@"; do
		echo
		from=$SECONDS
		bash "bench/$name.sh" | tee "$work/results/$name" || {
			status=1
			echo "$name did not finish" | tee -a "$work/results/$name"
		}
		note "$name took $((SECONDS - from)) s" | tee -a "$work/results/$name"
	done
	return $status
}

if [[ ${1:-} == --beside-server ]]; then
	shift
	cd "$root"
	mkdir "$work/results"
	machine | tee "$work/machine"
	status=0
	measure "$@" || status=$?
	note "all took $SECONDS s"
	if [[ $RESULTS ]]; then
		for name in "$@"; do
			files+=("$work/results/$name")
		done
		perl scripts/bench_results.pl "$BENCH_COMMAND" "$work/machine" "${files[@]}" >"$work/RESULTS.md"
		cat "$work/RESULTS.md" >"$RESULTS"
		note "written to $RESULTS"
	fi
	exit $status
fi

# What a reader types to have the same again.
BENCH_COMMAND=
for setting in SCALE RUNS DURATION; do
	[[ ! -v $setting ]] || BENCH_COMMAND+="$setting=${!setting} "
done
if (($# == 0)); then
	BENCH_COMMAND+="make bench"
	[[ ${SCALE:-1} != 1 || -v RUNS || -v DURATION ]] || RESULTS=${RESULTS-bench/RESULTS.md}
	# All reports over ten million entries, and a server under valgrind, do not fit into a quarter of an
	# hour with the rest.
	for file in "$root"/bench/*.sh; do
		[[ $file == */lib.sh || $file == */report.sh || $file == */instructions.sh ]] || set -- "$@" "$(basename "$file" .sh)"
	done
else
	BENCH_COMMAND+="scripts/bench.sh $*"
fi
for name in "$@"; do
	[[ -e $root/bench/$name.sh ]] || die "there is no bench/$name.sh"
done
RESULTS=${RESULTS:-}
export BENCH_COMMAND RESULTS

need "${build_packages[@]}"
make_work
note "building"
build_stage
# With fsync, so that synchronous_commit means something.
server_options=(shared_buffers=4GB work_mem=64MB max_wal_size=8GB autovacuum=off fsync=on)
with_server "$root/scripts/bench.sh" --beside-server "$@"
