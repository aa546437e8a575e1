# shellcheck shell=bash disable=SC2034 # used by those that source this file
# What the other scripts share: find or install the packages, build the tree
# into a directory of its own, and run a command beside a throw-away server.
#
# Nothing is written outside $work (see make_work) but packages that were
# missing, and no server outlives the script that asked for it.

set -euo pipefail

readonly pg_version=15
readonly pg_lib=/usr/lib/postgresql/$pg_version/lib
readonly pg_bin=/usr/lib/postgresql/$pg_version/bin
readonly pgxs_test=$pg_lib/pgxs/src/test

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

note() {
	printf '# %s\n' "$*"
}

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# ---------------------------------------------------------------------------
# packages

readonly build_packages=(build-essential "postgresql-$pg_version" "postgresql-server-dev-$pg_version")
readonly test_packages=("postgresql-$pg_version-pgtap" libtap-parser-sourcehandler-pgtap-perl libipc-run-perl
	"postgresql-$pg_version-cron")

is_installed() {
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# need PACKAGE...: install those that are missing, and only those.
need() {
	local package missing=()

	command -v dpkg-query >/dev/null ||
		die "these scripts are for Debian and its kin; elsewhere use 'make install' and 'make installcheck'"

	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	((${#missing[@]} > 0)) || return 0

	((EUID == 0)) || die "missing packages: run 'apt-get install ${missing[*]}', or run this as root"

	note "installing ${missing[*]} (this may take a minute or two)"
	install_packages "${missing[@]}"
}

# A first installation of the server would make and start a cluster "main".
# A drop-in that lives as long as the installation prevents it.
install_packages() {
	local dropins=/etc/postgresql-common/createcluster.d log
	local dropin=$dropins/zz-no-main-cluster.conf made=0

	log=$(mktemp)
	if ! is_installed postgresql-$pg_version && [[ ! -e $dropin ]]; then
		made=1
		mkdir -p "$dropins"
		echo 'create_main_cluster = false' >"$dropin"
		# shellcheck disable=SC2064 # expand now: the names are local
		trap "rm -f '$dropin' '$log'; rmdir --ignore-fail-on-non-empty '$dropins'" EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM HUP
	fi

	local status=0
	{ apt-get -q update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"; } \
		>"$log" 2>&1 || status=$?

	if ((made)); then
		rm -f "$dropin"
		rmdir --ignore-fail-on-non-empty "$dropins"
		trap - EXIT INT TERM HUP
	fi
	if ((status)); then
		tail -n 30 "$log" >&2
		rm -f "$log"
		die "could not install $*"
	fi
	rm -f "$log"
}

# ---------------------------------------------------------------------------
# the working directory

# make_work: $work, readable to user postgres, gone when the script ends.
make_work() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/loyalty.XXXXXX")
	chmod 755 "$work"
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir -m 1777 "$work/tmp"
	export TMPDIR=$work/tmp
	build=$work/build
	stage=$work/stage
}

clean_up() {
	local pidfile

	trap - EXIT INT TERM HUP
	if [[ ${server_group:-} ]]; then
		kill -TERM -- "-$server_group" 2>/dev/null || true
		wait "$server_group" 2>/dev/null || true
	fi
	# A server is left only when pg_virtualenv was killed outright.
	for pidfile in "$work"/tmp/pg_virtualenv.*/data/*/*/postmaster.pid; do
		[[ -e $pidfile ]] && kill -QUIT "$(head -n 1 "$pidfile")" 2>/dev/null
	done
	rm -rf "$work"
}

# ---------------------------------------------------------------------------
# building

# copy_tree: the sources as they are now, without what was built in place.
# Objects of an earlier build in $build stay, so that only changes are compiled.
copy_tree() {
	mkdir -p "$build"
	find "$build" -type f ! -name '*.o' -delete
	# Status 1: a file was being saved meanwhile.
	{ tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='./loyalty--*.sql' \
		-cf - . 2>/dev/null || (($? == 1)); } | tar -C "$build" --no-same-owner -xf -
	chmod -R a+rX "$build"
}

# build_stage: compile in $build, install under $stage.
build_stage() {
	local log=$build/make.log

	copy_tree
	if ! make -C "$build" -s -k -j "$(nproc)" PG_CONFIG="$pg_bin/pg_config" DESTDIR="$stage" install \
		>"$log" 2>&1; then
		cat "$log" >&2
		die "the build failed"
	fi
	chmod -R a+rX "$stage"
}

# ---------------------------------------------------------------------------
# the server

# A port that nobody listens on, so that several runs can work side by side.
free_port() {
	local port

	while port=$((20000 + RANDOM % 30000)); do
		(: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

server_options=()

# with_server COMMAND...: run it beside a throw-away server that finds the
# extension under $stage. The command sees PGHOST, PGPORT and so on, and $work,
# $build, $stage; server_options=(name=value ...) adds settings. Its exit
# status is passed on.
with_server() {
	local setting options=() status=0

	for setting in \
		extension_destdir="$stage" \
		dynamic_library_path="$stage$pg_lib:$pg_lib" \
		"${server_options[@]}"; do
		options+=(-o "$setting")
	done

	export work build stage
	rm -f "$work/started"

	# shellcheck disable=SC2016 # the inner bash expands
	set -- pg_virtualenv -t -v $pg_version -c "--socketdir=$TMPDIR" \
		-i '--encoding=UTF8 --locale=C.UTF-8' "${options[@]}" \
		bash -c 'touch "$work/started"; exec "$@" >&3 2>&4 3>&- 4>&-' _ "$@"

	# What pg_virtualenv itself has to say goes to a file, the command's output
	# to ours. In a process group of its own, whoever stops us stops all of it;
	# but then there is no terminal to type at.
	if [[ ${interactive:-} ]]; then
		PGPORT=$(free_port) "$@" 3>&1 4>&2 >"$work/server.out" 2>&1 || status=$?
	else
		PGPORT=$(free_port) setsid "$@" <&0 3>&1 4>&2 >"$work/server.out" 2>&1 &
		server_group=$!
		wait "$server_group" || status=$?
		server_group=
	fi

	if [[ ! -e $work/started ]]; then
		cat "$work/server.out" >&2
		die "could not start a server"
	fi
	grep -E 'PANIC:|TRAP:|was terminated by signal' "$work/server.out" >&2 || true
	return "$status"
}
