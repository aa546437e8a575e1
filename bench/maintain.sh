#!/usr/bin/env bash
# Maintenance: 200,000 members whose points all lapse on one day, against
#
#   bare    the rows that it wrote, written again as plain SQL into tables like
#           the engine's: one INSERT of the entries, one UPDATE of every member
#
# and the memory of its backend that is its own (RssAnon), which must not grow
# with the members that are done. MEMBERS=1000000 for more.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=${MEMBERS:-$(scaled 200000)}
batch_size=${BATCH_SIZE:-1000}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

prepare() {
	createdb bench_template
	sql bench_template -v members="$members" >/dev/null <<-'SQL'
		CREATE EXTENSION loyalty;
		INSERT INTO loyalty.program (name, expiry, time_zone) VALUES ('beans', '3 months end of month', 'UTC');
		INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
		CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, total numeric NOT NULL,
		                     created_at timestamptz NOT NULL);
		SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at');
		INSERT INTO orders SELECT n, n, 1 + n % 100, '2024-01-15' FROM generate_series(1, :members) n;
		CREATE TABLE bare_entry (LIKE loyalty.entry INCLUDING ALL);
		CREATE TABLE bare_member (LIKE loyalty.member INCLUDING ALL);
		SELECT format('ALTER TABLE bare_%s SET (%s)', relname, array_to_string(reloptions, ', '))
		FROM pg_class
		WHERE oid IN ('loyalty.entry'::regclass, 'loyalty.member'::regclass) AND reloptions IS NOT NULL
		\gexec
		INSERT INTO bare_entry SELECT * FROM loyalty.entry;
		INSERT INTO bare_member SELECT * FROM loyalty.member;
		VACUUM (FULL, ANALYZE) loyalty.member, bare_member;
		VACUUM (ANALYZE);
	SQL
}

echo "# maintain: $members members with a lot that lapsed on one day, batches of $batch_size; $runs runs"
prepare
cat >"$out/bare.sql" <<-SQL
	INSERT INTO bare_entry SELECT * FROM written_entry;
	UPDATE bare_member m SET seq = w.seq, purse = w.purse, next_expiry = w.next_expiry, head = w.head
	FROM written_member w WHERE w.member_id = m.member_id;
SQL

engine_times="" bare_times="" growths=""
for ((run = 1; run <= runs; run++)); do
	createdb -T bench_template bench_run
	engine_times+=" $(watched bench_run "CALL loyalty.maintain(batch_size => $batch_size)" "$out/memory")"
	sql bench_run -c "
		CREATE TABLE written_entry AS SELECT * FROM loyalty.entry WHERE kind = 'expire' ORDER BY ctid;
		CREATE TABLE written_member AS SELECT * FROM loyalty.member ORDER BY ctid;
		ANALYZE"
	bare_times+=" $(seconds bench_run "$out/bare.sql")"
	growths+=" $(growth "$out/memory")"
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, seconds: engine %s bare %s; own memory of the backend: at most %d kB\n' "$run" \
		${engine_times##* } ${bare_times##* } "$(most "$out/memory")"
	sql bench_run -c "
		SELECT format('# run %s: %s entries written, %s members left; again: ', $run, entries,
		              (SELECT count(*) FROM loyalty.member WHERE next_expiry < now()))
		FROM loyalty.maintenance" -c '\timing on' -c 'CALL loyalty.maintain()'
	dropdb bench_run
done
dropdb bench_template

# shellcheck disable=SC2086 # lists of numbers
echo "engine $(spread %.3f $engine_times) s, bare $(spread %.3f $bare_times) s;" \
	"$(awk -v s="$(median $engine_times)" -v n="$members" 'BEGIN { printf "%.1f", s / n * 1e6 }') µs a member"
against_target "maintain: engine / bare" "$(ratios "$engine_times" "$bare_times")" at-most 1.5
against_target "maintain: own memory, second half / first half" "$growths" at-most 1.2
