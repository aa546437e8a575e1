#!/usr/bin/env bash
# A feed without a table: 100,000 purchases over 50,000 members by
#
#   batch   record_batch, in calls of 10,000 events
#   rows    record_rows, likewise
#   record  one statement with a call of record for each
#   bulk    one INSERT into the attached table of setup.sql
#
# in one transaction each, once for members whom nobody knew, and once for
# members with a history. The feed's keys are the order numbers.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=${ORDERS:-$(scaled 100000)}
members=${MEMBERS:-$(scaled 50000)}
call=${CALL:-$(scaled 10000)}
runs=${RUNS:-2}
ways=(batch rows record bulk)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The feeds are made beforehand: to gather them is not what is measured.
prepare() {
	sql bench_template -v call="$call" <<-'SQL'
		CREATE TABLE feed AS
		SELECT batch, order_id, customer_id::text AS member, 'purchase'::text AS event, total AS amount,
		       'o' || order_id AS key, created_at AS at, (row_number() OVER (PARTITION BY batch ORDER BY order_id) - 1) / :call AS call
		FROM incoming;
		CREATE TABLE json_feed AS
		SELECT batch, call, jsonb_agg(jsonb_build_object('member', member, 'event', event, 'amount', amount, 'key', key, 'at', at) ORDER BY order_id) AS events
		FROM feed GROUP BY 1, 2;
		CREATE TABLE row_feed AS
		SELECT batch, call, array_agg(ROW(member, event, amount, NULL, NULL, NULL, key, at)::loyalty.event_request ORDER BY order_id) AS events
		FROM feed GROUP BY 1, 2;
		VACUUM (ANALYZE);
	SQL
}

# write_statements BATCH
write_statements() {
	local batch=$1 columns="order_id, customer_id, total, status, created_at"

	echo "SELECT count(a.entry) FROM json_feed f, loyalty.record_batch(f.events) a WHERE f.batch = $batch;" >"$out/batch$batch.sql"
	echo "SELECT count(a.entry) FROM row_feed f, loyalty.record_rows(f.events) a WHERE f.batch = $batch;" >"$out/rows$batch.sql"
	echo "SELECT count(loyalty.record(member, event, amount, key => key, at => at)) FROM feed WHERE batch = $batch;" >"$out/record$batch.sql"
	echo "INSERT INTO orders ($columns) SELECT $columns FROM incoming WHERE batch = $batch;" >"$out/bulk$batch.sql"
}

echo "# batch: $orders events over $members members, $call a call; $runs runs; synchronous_commit $(sql postgres -c 'SHOW synchronous_commit')"
createdb bench_template
sql bench_template -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
prepare
write_statements 1
write_statements 2

declare -A times=()
for ((run = 1; run <= runs; run++)); do
	for way in "${ways[@]}"; do
		createdb -T bench_template bench_run
		for batch in 1 2; do
			times[$way$batch]+=" $(seconds bench_run "$out/$way$batch.sql")"
		done
		sql bench_run -c "SELECT format('# run $run, $way: %s entries, %s points; %s violations', count(*), loyalty.sum(points),
			(SELECT count(*) FROM loyalty.verify())) FROM loyalty.entry"
		dropdb bench_run
	done
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, seconds, new and known members: batch %s %s, rows %s %s, record %s %s, bulk %s %s\n' "$run" \
		${times[batch1]##* } ${times[batch2]##* } ${times[rows1]##* } ${times[rows2]##* } \
		${times[record1]##* } ${times[record2]##* } ${times[bulk1]##* } ${times[bulk2]##* }
done
dropdb bench_template

for batch in 1 2; do
	who=$( ((batch == 1)) && echo "new members" || echo "known members")
	declare -A median_of=()
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # lists of numbers
		median_of[$way]=$(median ${times[$way$batch]})
	done
	echo "$who: record_batch ${median_of[batch]} s, record_rows ${median_of[rows]} s, record ${median_of[record]} s, bulk INSERT ${median_of[bulk]} s"
	echo "batch, $who: record / record_batch $(ratio "${median_of[record]}" "${median_of[batch]}"), record_batch / bulk INSERT $(ratio "${median_of[batch]}" "${median_of[bulk]}")"
	echo "batch, $who: record / record_rows $(ratio "${median_of[record]}" "${median_of[rows]}"), record_rows / bulk INSERT $(ratio "${median_of[rows]}" "${median_of[bulk]}")"
done
