#!/usr/bin/env bash
# Instructions that the server executes for one order a transaction, bare, with
# the engine, and with the PL/pgSQL trigger of plpgsql_peer.sql: counted by
# valgrind in a single-user server on a copy of the data, so that they are the
# same in each run, whatever else the machine does. A count of instructions is
# no time: waiting for memory, disk and locks is not in it. Without valgrind
# there is nothing to be counted.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=$(scaled 10000)
warm=50
counted=$(scaled 200)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# instructions TABLE ORDERS: all that a server executes that inserts so many.
instructions() {
	local n out=$copy/callgrind.$1.$2

	for ((n = 1; n <= $2; n++)); do
		echo "INSERT INTO $1 (customer_id, total) VALUES ($((1 + n * 48271 % members)), $((100 + n * 7919 % 9900)) / 100.0)"
	done >"$copy/statements"
	chmod a+rx "$copy"
	chmod a+r "$copy/statements"
	as_owner valgrind --tool=callgrind --trace-children=no --callgrind-out-file="$out" \
		"$binary" --single -D "$copy/data" bench_run <"$copy/statements" >/dev/null 2>"$copy/log" ||
		{ cat "$copy/log" >&2; return 1; }
	sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$out" | head -n 1
}

# The server does not run as root.
as_owner() {
	if ((EUID == 0)); then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

echo "# instructions: an order a transaction of $members members, $counted orders"
if ! command -v valgrind >/dev/null; then
	echo "# valgrind is not installed: nothing counted"
	exit
fi
createdb bench_run
sql bench_run -v orders="$members" -v members="$members" -f "$bench/setup.sql"
sql bench_run -f "$bench/plpgsql_peer.sql"
for table in orders bare_orders peer_orders; do
	sql bench_run -c "
		INSERT INTO $table (order_id, customer_id, total, status, created_at)
		SELECT order_id, customer_id, total, status, created_at FROM incoming;
		SELECT setval(pg_get_serial_sequence('$table', 'order_id'), (SELECT max(order_id) FROM incoming))" >/dev/null
done
sql bench_run -c 'VACUUM (ANALYZE)'
binary=$(sql postgres -c "SELECT setting FROM pg_config() WHERE name = 'BINDIR'")/postgres
install -d -m 700 "$copy/data"
pg_basebackup -D "$copy/data" -X stream -c fast
# Debian keeps the configuration elsewhere, with the other server's directory in it.
sql postgres -c "SELECT format('%s = %L', name, setting) FROM pg_settings
	WHERE name IN ('extension_destdir', 'dynamic_library_path', 'synchronous_commit', 'fsync', 'jit')" >"$copy/data/postgresql.conf"
if ((EUID == 0)); then
	chown -R postgres "$copy"
fi
echo 'SELECT 1' | as_owner "$binary" --single -D "$copy/data" bench_run >/dev/null 2>&1

declare -A each=()
for table in bare_orders orders peer_orders; do
	few=$(instructions $table $warm)
	many=$(instructions $table $((warm + counted)))
	each[$table]=$(((many - few) / counted))
	printf '# %s: %d instructions an order\n' $table "${each[$table]}"
done
dropdb bench_run
without_target "instructions: engine / bare" "$(ratio "${each[orders]}" "${each[bare_orders]}")"
without_target "instructions: peer / engine" "$(ratio "${each[peer_orders]}" "${each[orders]}")"
