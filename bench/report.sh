#!/usr/bin/env bash
# Reports over 1,000,000 members with 10,000,000 entries of the last two years:
# from the ledger alone, and with rollups up to an hour ago, since when a day's
# worth has been posted. What making the rollups takes, and bringing them up to
# now; what maintenance takes when there is nothing else to do.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=${MEMBERS:-$(scaled 1000000)}
each=10
fresh=$((members / 70)) # entries of a day
runs=${RUNS:-3}

# Each as somebody would ask for it; name, then statement.
reports=(
	points_by_day "SELECT day, sum(points), sum(amount) FROM loyalty.points_by_day WHERE program_id = (SELECT loyalty.report_program()) GROUP BY 1 ORDER BY 1"
	activity_by_month "SELECT month, count(*), sum(purchases), sum(amount) FROM loyalty.activity_by_month WHERE program_id = (SELECT loyalty.report_program()) GROUP BY 1 ORDER BY 1"
	liability "SELECT * FROM loyalty.liability"
	tier_distribution "SELECT * FROM loyalty.tier_distribution"
)

# timed STATEMENT: seconds in the server's own count.
timed() {
	sql bench_report -c '\timing on' -c "$1" | awk '/^Time: / { t = $2 / 1000 } END { printf "%.3f\n", t }'
}

echo "# report: $members members, $((members * each)) entries; $runs runs"
createdb bench_report
# One purchase of one member; the others are its like. Their hashes are not
# right, of which reports know nothing.
sql bench_report -v members="$members" -v each=$each -v fresh=$fresh <<-'SQL' >/dev/null
	CREATE EXTENSION loyalty;
	SET synchronous_commit = off;
	INSERT INTO loyalty.program (name, currency, expiry, time_zone, point_value)
	VALUES ('beans', 'USD', '12 months end of month', 'Europe/London', 0.01);
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
	INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('beans', 'silver', 1, 1000);
	CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
	INSERT INTO orders VALUES (0, '0', 10, now());
	SET session_replication_role = replica;
	SELECT string_agg(quote_ident(attname), ', ') FILTER (WHERE attrelid = 'loyalty.member'::regclass AND attname NOT IN ('member_id', 'ref', 'seq')) AS of_member,
	       string_agg(quote_ident(attname), ', ') FILTER (WHERE attrelid = 'loyalty.entry'::regclass
	                  AND attname NOT IN ('member_id', 'seq', 'source_key', 'occurred_at', 'posted_at')) AS of_entry
	FROM pg_attribute
	WHERE attrelid IN ('loyalty.member'::regclass, 'loyalty.entry'::regclass) AND attnum > 0 AND NOT attisdropped \gset
	INSERT INTO loyalty.member (member_id, ref, seq, :of_member)
	SELECT n, 'm' || n, :each, :of_member FROM loyalty.member m, generate_series(1, :members - 1) n WHERE m.ref = '0';
	ALTER TABLE loyalty.entry DROP CONSTRAINT entry_pkey;
	INSERT INTO loyalty.entry (member_id, seq, source_key, occurred_at, posted_at, :of_entry)
	SELECT n, s, s::text, now() - random() * interval '730 days',
	       CASE WHEN n * :each + s > (:members * :each - :fresh) THEN now() ELSE now() - interval '2 days' END, :of_entry
	FROM loyalty.entry e, generate_series(1, :members - 1) n, generate_series(1, :each) s WHERE e.seq = 1;
	ALTER TABLE loyalty.entry ADD CONSTRAINT entry_pkey PRIMARY KEY (member_id, source_id, source_key, rule_id, revision);
SQL
sql bench_report -c "VACUUM (ANALYZE)" -c CHECKPOINT

declare -A without=() with=()
for ((i = 0; i < ${#reports[@]}; i += 2)); do
	without[${reports[i]}]=$(timed "${reports[i + 1]}")
done
roll_up=$(timed "SELECT loyalty.roll_up()")
sql bench_report -c "VACUUM (ANALYZE)" -c CHECKPOINT
for ((run = 1; run <= runs; run++)); do
	for ((i = 0; i < ${#reports[@]}; i += 2)); do
		with[${reports[i]}]+=" $(timed "${reports[i + 1]}")"
	done
done
echo "rollups: $(sql bench_report -c "SELECT format('%s of days in %s kB, %s of members'' months in %s MB',
	(SELECT count(*) FROM loyalty.rollup_day), pg_total_relation_size('loyalty.rollup_day') / 1024,
	(SELECT count(*) FROM loyalty.rollup_month), pg_total_relation_size('loyalty.rollup_month') / 1048576)")"
echo "made in $roll_up s; maintenance then takes $(timed 'CALL loyalty.maintain()') s;" \
	"bringing them up by $fresh entries takes $(timed 'SELECT loyalty.roll_up(until => now())') s"
dropdb bench_report

for ((i = 0; i < ${#reports[@]}; i += 2)); do
	name=${reports[i]}
	echo "$name: from the ledger alone ${without[$name]} s"
	against_target "report: $name, seconds" "${with[$name]}" at-most 5
done
