#!/usr/bin/env bash
# make bench: the benchmarks of bench/, each a ratio measured in one run.
#
#   scripts/bench.sh [NAME...]      batch bulk daily maintain rules single spend stock transfer; all of them by default
#
# SCALE=0.1 makes the data and the durations a tenth; RUNS=N repeats (the
# medians are printed).

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

machine() {
	note "machine: $(nproc) x $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), load $(cut -d ' ' -f 1 /proc/loadavg)"
	note "server: PostgreSQL $(psql -XAtqc 'SHOW server_version'), $(psql -XAtqc \
		"SELECT string_agg(name || ' ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings
		 WHERE name IN ('shared_buffers', 'work_mem', 'fsync', 'max_wal_size', 'autovacuum')")"
}

if [[ ${1:-} == --beside-server ]]; then
	shift
	cd "$root"
	machine
	for name in "$@"; do
		echo
		bash "bench/$name.sh"
	done
	exit
fi

if (($# == 0)); then
	for file in "$root"/bench/*.sh; do
		[[ $file == */lib.sh ]] || set -- "$@" "$(basename "$file" .sh)"
	done
fi
for name in "$@"; do
	[[ -e $root/bench/$name.sh ]] || die "there is no bench/$name.sh"
done

need "${build_packages[@]}"
make_work
note "building"
build_stage
server_options=(shared_buffers=1GB work_mem=64MB max_wal_size=8GB autovacuum=off)
with_server "$root/scripts/bench.sh" --beside-server "$@"
