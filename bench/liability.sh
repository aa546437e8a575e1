#!/usr/bin/env bash
# What 1,000,000 members with six lots each are owed, against sum(bigint) over
# the same table: by the aggregate alone, as purse and read as months, and by
# the view, which judges each member and counts members. One process each;
# and as the planner likes, where it may use several.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=${MEMBERS:-$(scaled 1000000)}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

declare -A query=(
	[bigint]="SELECT sum(seq) FROM loyalty.member"
	[purse]="SELECT loyalty.sum(purse) FROM loyalty.member"
	[months]="SELECT date_trunc('month', l.ends), sum(l.points)
		FROM loyalty.lots((SELECT loyalty.sum(purse) FROM loyalty.member)) l GROUP BY 1 ORDER BY 1"
	[view]="SELECT * FROM loyalty.liability"
)

# timed QUERY WORKERS: seconds in the server's own count.
timed() {
	PGOPTIONS="-c max_parallel_workers_per_gather=$2" sql bench_run -c '\timing on' -c "${query[$1]}" |
		awk '/^Time: / { t = $2 / 1000 } END { printf "%.3f\n", t }'
}

echo "# liability: $members members with six lots each; $runs runs"
createdb bench_run
# One member with six purchases; the others are his like, with lots and a name
# of their own. Only members are read here, so they have no entries.
sql bench_run -v members="$members" <<-'SQL' >/dev/null
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name, currency, expiry, time_zone)
	VALUES ('beans', 'USD', '12 months end of month', 'UTC');
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
	SELECT count(loyalty.record('0', 'purchase', 100, at => now() - make_interval(months => m), key => m::text))
	FROM generate_series(0, 5) m;
	SELECT string_agg(quote_ident(attname), ', ') AS others
	FROM pg_attribute
	WHERE attrelid = 'loyalty.member'::regclass AND attnum > 0 AND NOT attisdropped
	  AND attname NOT IN ('member_id', 'ref', 'purse') \gset
	SET session_replication_role = replica;
	INSERT INTO loyalty.member (member_id, ref, purse, :others)
	SELECT loyalty.member_id(n::text, 'beans'), n::text,
	       (SELECT format('{%s}', string_agg(format('%s@%s', 1 + (n * 31 + k * 17) % 500, ends), ', '))
	        FROM (SELECT row_number() OVER (ORDER BY ends) AS k, ends FROM loyalty.lots(m.purse)) l)::loyalty.purse,
	       :others
	FROM loyalty.member m, generate_series(1, :members - 1) n
	WHERE m.ref = '0';
	RESET session_replication_role;
SQL
sql bench_run -c "VACUUM (ANALYZE)" -c CHECKPOINT
sql bench_run -c "
	SELECT format('# %s members, lots %s to %s, %s bytes a row, table of %s MB; sum of the aggregate and of the view: %s, %s',
	              count(*), min(lots), max(lots), round(avg(width)), pg_relation_size('loyalty.member') / 1048576,
	              loyalty.total(loyalty.sum(purse)), (SELECT sum(points) FROM loyalty.liability))
	FROM (SELECT purse, pg_column_size(m) AS width, cardinality(ARRAY(SELECT loyalty.lots(purse))) AS lots
	      FROM loyalty.member m) m"

for way in bigint purse months; do
	timed $way 0 >/dev/null # warm
done
declare -A time=()
for ((run = 1; run <= runs; run++)); do
	for way in bigint purse months view; do
		time[$way]+=" $(timed $way 0)"
	done
	for way in bigint purse; do
		time[$way parallel]+=" $(timed $way 2)"
	done
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, seconds: sum(bigint) %.3f, sum(purse) %.3f, by month %.3f, view %.3f; in parallel sum(bigint) %.3f, sum(purse) %.3f\n' "$run" \
		${time[bigint]##* } ${time[purse]##* } ${time[months]##* } ${time[view]##* } ${time[bigint parallel]##* } ${time[purse parallel]##* }
done
dropdb bench_run

# shellcheck disable=SC2086 # lists of numbers
echo "sum(bigint) $(spread %.3f ${time[bigint]}) s, sum(purse) $(spread %.3f ${time[purse]}) s, by month $(spread %.3f ${time[months]}) s, view $(spread %.3f ${time[view]}) s"
# shellcheck disable=SC2086
echo "in parallel: sum(bigint) $(spread %.3f ${time[bigint parallel]}) s, sum(purse) $(spread %.3f ${time[purse parallel]}) s"
against_target "liability: sum(purse) / sum(bigint)" "$(ratios "${time[purse]}" "${time[bigint]}")" at-most 3
against_target "liability: sum(purse) by month / sum(bigint)" "$(ratios "${time[months]}" "${time[bigint]}")" at-most 3
against_target "liability: view / sum(bigint)" "$(ratios "${time[view]}" "${time[bigint]}")" at-most 3
without_target "liability, in parallel: sum(purse) / sum(bigint)" "$(ratios "${time[purse parallel]}" "${time[bigint parallel]}")"
