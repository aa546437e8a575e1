#!/usr/bin/env bash
# What the engine writes and takes:
#
#   WAL     bytes an order, of one INSERT of many and of one order a
#           transaction, beside the rows that the engine wrote, written again as
#           plain SQL, and beside the order's row alone; just after a
#           checkpoint, when the first change of a page writes the whole of it,
#           and again when the pages have been changed since
#   HOT     how many updates of members kept to their page, and how large the
#           table became, by fillfactor; orders come one a transaction from 4
#           clients, ten a member over 300 days, so that the purses grow. The
#           table starts packed, as after a restore: earning in bulk leaves
#           room by itself. UPDATES orders (1,000,000) at the fillfactor that
#           ships, a tenth as many by as many fewer members at those of
#           FILLFACTORS
#
# These are counts, not times: everything is run once.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=$(scaled 200000)
members=$(scaled 100000)
singles=$(scaled 20000)
updates=${UPDATES:-$(scaled 1000000)}
read -r -a fillfactors <<<"${FILLFACTORS:-100 85 60}"
clients=4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export PGOPTIONS='-c synchronous_commit=off'

# ---------------------------------------------------------------------------
# WAL

# wal DATABASE DIVISOR FILE: bytes that its statements write, in one transaction.
wal() {
	local lsn="SELECT pg_current_wal_insert_lsn() - '0/0'"

	sql "$1" -c "$lsn" -1 -f "$3" -c "$lsn" |
		awk -v n="$2" 'NR == 1 { from = $1 } END { printf "%.1f\n", ($1 - from) / n }'
}

# keep NAME: what the engine has written since it was last called.
keep() {
	sql bench_run -c "
		CREATE TABLE written_entry_$1 AS
		SELECT row_number() OVER (ORDER BY e.ctid) AS n, e.* FROM loyalty.entry e
		LEFT JOIN written_before b USING (member_id) WHERE e.seq > coalesce(b.seq, 0) ORDER BY e.ctid;
		CREATE TABLE written_member_$1 AS SELECT * FROM loyalty.member m ORDER BY m.ctid;
		DROP TABLE written_before;
		CREATE TABLE written_before AS SELECT member_id, seq FROM loyalty.member;
		ALTER TABLE written_entry_$1 ADD PRIMARY KEY (n);
		ALTER TABLE written_member_$1 ADD PRIMARY KEY (member_id);
		ANALYZE written_entry_$1, written_member_$1, written_before"
}

# columns TABLE [PREFIX]
columns() {
	sql bench_run -c "SELECT string_agg('${2:-}' || quote_ident(attname), ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = '$1'::regclass AND attnum > 0 AND NOT attisdropped"
}

# incoming TABLE BATCH
incoming() {
	echo "INSERT INTO $1 SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = $2;"
}

# bulk_engine BATCH NAME; the other three are alike.
bulk_engine() {
	incoming orders "$1" >"$out/statements"
	engine[$2]=$(wal bench_run "$orders" "$out/statements")
	keep "$2"
}

bulk_bare() {
	incoming bare_orders "$1" >"$out/statements"
	alone[$2]=$(wal bench_run "$orders" "$out/statements")
	echo "INSERT INTO bare_entry SELECT $(columns loyalty.entry) FROM written_entry_$2 ORDER BY n;
		UPDATE bare_member m SET $(state_columns bench_run) FROM written_member_$2 w WHERE w.member_id = m.member_id;" >"$out/statements"
	bare[$2]=$(awk -v a="${alone[$2]}" -v b="$(wal bench_run "$orders" "$out/statements")" 'BEGIN { print a + b }')
}

# Each order of another member, in both passes the same ones.
customer="\\set customer permute(:n, $members, 1) + 1"

single_engine() {
	local cost

	cost=$(echo "$customer
		INSERT INTO orders (customer_id, total) VALUES (:customer, 37);" | acts bench_run 1 "$singles")
	engine[$1]=${cost##* }
	keep "$1"
}

single_bare() {
	local cost

	cost=$(echo "$customer
		INSERT INTO peer_orders (customer_id, total) VALUES (:customer, 37);" | acts bench_run 1 "$singles")
	alone[$1]=${cost##* }
	cost=$(echo "$customer
		BEGIN;
		INSERT INTO bare_orders (customer_id, total) VALUES (:customer, 37);
		INSERT INTO bare_entry SELECT $(columns loyalty.entry) FROM written_entry_$1 WHERE n = :n;
		UPDATE bare_member m SET $(state_columns bench_run) FROM written_member_$1 w
		WHERE w.member_id = m.member_id AND w.member_id = (SELECT member_id FROM written_entry_$1 WHERE n = :n);
		END;" | acts bench_run 1 "$singles")
	bare[$1]=${cost##* }
}

# The engine first and the plain rows after it, so that nothing comes between
# the checkpoint and the second pass.
measure_wal() {
	local -A engine=() bare=() alone=()
	local name

	createdb bench_run
	sql bench_run -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
	sql bench_run -c "
		INSERT INTO incoming SELECT order_id + 2 * $orders, customer_id, total, status, created_at, 3 FROM incoming WHERE batch = 2;
		CREATE TABLE written_before AS SELECT member_id, seq FROM loyalty.member" \
		-c "SELECT setval(pg_get_serial_sequence(name, 'order_id'), 10 * $orders)
			FROM unnest('{orders, bare_orders, peer_orders}'::text[]) name" >/dev/null
	bulk_engine 1 new
	sql bench_run -c CHECKPOINT
	bulk_engine 2 bulk_checkpoint
	bulk_engine 3 bulk
	sql bench_run -c CHECKPOINT
	single_engine single_checkpoint
	single_engine single

	sql bench_run -c "INSERT INTO bare_member (member_id, program_id, ref, enrolled_at)
		SELECT member_id, program_id, ref, enrolled_at FROM written_member_new"
	bulk_bare 1 new
	sql bench_run -c CHECKPOINT
	bulk_bare 2 bulk_checkpoint
	bulk_bare 3 bulk
	sql bench_run -c CHECKPOINT
	single_bare single_checkpoint
	single_bare single

	echo "# WAL: one INSERT of $orders orders of $members members; $singles orders one a transaction, each of another member"
	printf '%-52s %8s %8s %12s %14s\n' 'WAL bytes an order' engine 'the rows' 'order alone' 'engine / rows'
	for name in bulk_checkpoint bulk single_checkpoint single; do
		printf '%-52s %8.0f %8.0f %12.0f %14.2f\n' \
			"$( [[ $name == bulk* ]] && echo 'one INSERT' || echo 'one a transaction')$( [[ $name != *checkpoint ]] || echo ', just after a checkpoint')" \
			"${engine[$name]}" "${bare[$name]}" "${alone[$name]}" "$(ratio "${engine[$name]}" "${bare[$name]}")"
	done
	sizes_of bench_run 'earned in bulk'
	dropdb bench_run
}

# ---------------------------------------------------------------------------
# sizes and HOT

# sizes_of DATABASE WHEN: bytes an entry, a member and an order take, with free space.
sizes_of() {
	sql "$1" -c "
		SELECT format('bytes, %s: an entry %s and %s in its index; a member with %s lots %s and %s in its indexes; the order %s and %s',
		              '$2', pg_table_size('loyalty.entry') / e.n, pg_indexes_size('loyalty.entry') / e.n, m.lots,
		              pg_table_size('loyalty.member') / m.n, pg_indexes_size('loyalty.member') / m.n,
		              pg_table_size('orders') / o.n, pg_indexes_size('orders') / o.n)
		FROM (SELECT count(*) AS n FROM loyalty.entry) e,
		     (SELECT count(*) AS n, round(avg((SELECT count(*) FROM loyalty.lots(purse))), 1) AS lots FROM loyalty.member) m,
		     (SELECT count(*) AS n FROM orders) o"
}

# hot FILLFACTOR UPDATES; without a FILLFACTOR, the one that ships.
hot() {
	local fillfactor=$1 updates=$2 who=$(($2 / 10)) before

	createdb bench_run
	sql bench_run <<-SQL >/dev/null
		CREATE EXTENSION loyalty;
		CREATE TABLE orders (
			order_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
			customer_id bigint NOT NULL,
			total numeric(10,2) NOT NULL,
			created_at timestamptz NOT NULL DEFAULT now()
		);
		INSERT INTO loyalty.program (name, currency, expiry, time_zone) VALUES ('beans', 'USD', '12 months end of month', 'UTC');
		INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
		SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at');
		${fillfactor:+ALTER TABLE loyalty.member SET (fillfactor = $fillfactor);}
		INSERT INTO orders (customer_id, total, created_at)
		SELECT n, 37, now() - interval '300 days' FROM generate_series(1, $who) n;
		VACUUM (FULL) loyalty.member;
		VACUUM (ANALYZE);
	SQL
	before="SELECT n_tup_upd AS updated, n_tup_hot_upd AS hot, pg_table_size(relid) AS size, pg_indexes_size(relid) AS indexes
		FROM pg_stat_user_tables WHERE relid = 'loyalty.member'::regclass"
	sql bench_run -c "CREATE TABLE before AS $before"
	cat >"$out/order.sql" <<-SQL
		\\set customer random(1, $who)
		\\set n :n + 1
		\\set days 300 - 300 * :n / ($updates / $clients)
		INSERT INTO orders (customer_id, total, created_at) VALUES (:customer, 37, now() - make_interval(days => :days));
	SQL
	pgbench -n -M prepared -c $clients -j 2 -D n=0 -t $((updates / clients)) -f "$out/order.sql" bench_run 2>&1 >/dev/null |
		grep -v '^pgbench (' >&2 || true
	sql bench_run -F ' ' -c "
		SELECT (SELECT coalesce((SELECT option_value FROM pg_options_to_table(reloptions) WHERE option_name = 'fillfactor'), '100')
		        FROM pg_class WHERE oid = 'loyalty.member'::regclass),
		       n.updated - b.updated, round(100.0 * (n.hot - b.hot) / greatest(n.updated - b.updated, 1), 2),
		       b.size / $who, n.size / $who, b.indexes / $who, n.indexes / $who
		FROM before b, ($before) n" |
		while read -r fillfactor updated share size later index index_later; do
			printf '%10d %10d %10.2f %% %14d %10d %14d %10d\n' "$fillfactor" "$updated" "$share" "$size" "$later" "$index" "$index_later"
		done
	[[ $fillfactor ]] || sizes_of bench_run "after $updates single orders"
	dropdb bench_run
}

measure_hot() {
	local fillfactor

	echo "# HOT: updates of members by single orders, $clients clients, ten a member"
	printf '%10s %10s %12s %14s %10s %14s %10s\n' fillfactor updates HOT 'bytes a member' after 'in its indexes' after
	for fillfactor in "${fillfactors[@]}"; do
		hot "$fillfactor" $((updates / 10))
	done
	hot '' "$updates"
}

echo "# footprint"
measure_wal
measure_hot
