#!/usr/bin/env bash
# Bulk earning: one INSERT of 200,000 orders over 100,000 members, against
#
#   bare    the rows that the engine wrote, written again as plain SQL into
#           tables like the engine's: the orders, the entries in the engine's
#           order, the new members, and one UPDATE of every member's row
#   once    the same, but new members inserted as they come out: the engine
#           writes them once, so these are no more than its own writes. Then
#           known members are updated in a table that is as the engine's was
#   peer    the PL/pgSQL row trigger of plpgsql_peer.sql
#
# once for members whom nobody knew, and once for members with a history.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=${ORDERS:-$(scaled 200000)}
members=${MEMBERS:-$(scaled 100000)}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# write_statements BATCH
write_statements() {
	local batch=$1
	local columns="order_id, customer_id, total, status, created_at"
	local from="SELECT $columns FROM incoming WHERE batch = $batch"

	echo "INSERT INTO orders ($columns) $from;" >"$out/engine$batch.sql"
	echo "INSERT INTO peer_orders ($columns) $from;" >"$out/peer$batch.sql"
	{
		echo "INSERT INTO bare_orders ($columns) $from;"
		((batch > 1)) || echo "INSERT INTO bare_member (member_id, program_id, ref, enrolled_at)
			SELECT member_id, program_id, ref, enrolled_at FROM written_member1;"
		echo "INSERT INTO bare_entry SELECT * FROM written_entry$batch;"
		echo "UPDATE bare_member m SET $(state_columns bench_template) FROM written_member$batch w WHERE w.member_id = m.member_id;"
	} >"$out/bare$batch.sql"
	((batch > 1)) || {
		echo "INSERT INTO bare_orders ($columns) $from;"
		echo "INSERT INTO bare_member SELECT * FROM written_member1;"
		echo "INSERT INTO bare_entry SELECT * FROM written_entry1;"
	} >"$out/once.sql"
}

# keep BATCH: what the engine wrote for it, in the order of writing.
keep() {
	local entries="SELECT * FROM loyalty.entry e"

	(($1 == 1)) || entries="SELECT e.* FROM loyalty.entry e
		JOIN written_member1 w ON w.member_id = e.member_id AND w.seq < e.seq"
	sql bench_run -c "
		CREATE TABLE written_entry$1 AS $entries ORDER BY e.ctid;
		CREATE TABLE written_member$1 AS SELECT * FROM loyalty.member m ORDER BY m.ctid;
		ANALYZE"
}

echo "# bulk: one INSERT of $orders orders over $members members; $runs runs"
createdb bench_template
sql bench_template -v orders="$orders" -v members="$members" -f "$bench/setup.sql"
sql bench_template -f "$bench/plpgsql_peer.sql"
write_statements 1
write_statements 2

declare -A times=()
for ((run = 1; run <= runs; run++)); do
	createdb -T bench_template bench_run
	for batch in 1 2; do
		times[engine$batch]+=" $(seconds bench_run "$out/engine$batch.sql")"
		keep "$batch"
		times[bare$batch]+=" $(seconds bench_run "$out/bare$batch.sql")"
		if ((batch == 1)); then
			sql bench_run -c 'TRUNCATE bare_orders, bare_member, bare_entry'
			times[once1]+=" $(seconds bench_run "$out/once.sql")"
		fi
		times[peer$batch]+=" $(seconds bench_run "$out/peer$batch.sql")"
	done
	# shellcheck disable=SC2086 # lists of numbers
	printf '# run %d, seconds: new members engine %s bare %s once %s peer %s; known members engine %s bare %s peer %s\n' \
		"$run" ${times[engine1]##* } ${times[bare1]##* } ${times[once1]##* } ${times[peer1]##* } \
		${times[engine2]##* } ${times[bare2]##* } ${times[peer2]##* }
	sql bench_run -c "
		SELECT format('# run %s: %s entries of %s bytes, %s bytes a member; purchases without an entry: %s',
		              $run, count(*), pg_total_relation_size('loyalty.entry') / greatest(count(*), 1),
		              pg_total_relation_size('loyalty.member') / (SELECT greatest(count(*), 1) FROM loyalty.member),
		              2 * $orders - count(DISTINCT source_key))
		FROM loyalty.entry"
	dropdb bench_run
done
dropdb bench_template

for batch in 1 2; do
	who=$( ((batch == 1)) && echo "new members" || echo "known members")
	# shellcheck disable=SC2086 # lists of numbers
	echo "$who: engine $(spread %.3f ${times[engine$batch]}) s, bare $(spread %.3f ${times[bare$batch]}) s, peer $(spread %.3f ${times[peer$batch]}) s"
	against_target "bulk, $who: engine / bare" "$(ratios "${times[engine$batch]}" "${times[bare$batch]}")" at-most 1.35
	((batch > 1)) || without_target "bulk, $who: engine / bare, written once" "$(ratios "${times[engine1]}" "${times[once1]}")"
	against_target "bulk, $who: peer / engine" "$(ratios "${times[peer$batch]}" "${times[engine$batch]}")" at-least 3
done
