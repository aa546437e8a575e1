#!/usr/bin/env bash
# Ten rules with conditions instead of one rule without: one INSERT of 100,000
# orders over 50,000 members, for members whom nobody knew and then for the
# same again.
#
#   one      1 per 1, for every order
#   ten      ten rules of 1 per 1, each for one of ten categories: an order
#            meets one of them, so the same is written
#   bonuses  1 per 1 and nine rules for one category each, that give or
#            multiply: an order has two entries nine times out of ten

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

orders=${ORDERS:-$(scaled 100000)}
members=${MEMBERS:-$(scaled 50000)}
runs=${RUNS:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# rules KIND: the INSERTs of its rules.
rules() {
	local n

	[[ $1 == ten ]] || echo "INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');"
	[[ $1 != one ]] || return 0
	for n in 0 1 2 3 4 5 6 7 8 9; do
		if [[ $1 == ten ]]; then
			award="1 per 1"
		elif ((n == 0)); then
			continue
		else
			award=$( ((n % 2 == 0)) && echo "x2" || echo "5" )
		fi
		echo "INSERT INTO loyalty.rule (program, name, award, condition)
			VALUES ('beans', 'category $n', '$award', \$\$category = 'c$n' AND amount > 0\$\$);"
	done
}

# setup KIND: a shop with these rules.
setup() {
	createdb -T bench_template bench_run
	{
		rules "$1"
		echo "SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total',
			at => 'created_at', category => 'category', counts => \$\$status = 'paid'\$\$);"
	} | sql bench_run >/dev/null
}

echo "# rules: one INSERT of $orders orders over $members members; $runs runs"
createdb bench_template
sql bench_template -v orders="$orders" -v members="$members" -f "$bench/rules.sql"
for batch in 1 2; do
	echo "INSERT INTO orders SELECT order_id, customer_id, total, status, created_at, category
		FROM incoming WHERE batch = $batch;" >"$out/$batch.sql"
done

declare -A times=()
for ((run = 1; run <= runs; run++)); do
	for kind in one ten bonuses; do
		setup "$kind"
		for batch in 1 2; do
			times[$kind$batch]+=" $(seconds bench_run "$out/$batch.sql")"
		done
		entries=$(sql bench_run -c "SELECT count(*) FROM loyalty.entry")
		# shellcheck disable=SC2086 # lists of numbers
		echo "# run $run, $kind: new members ${times[${kind}1]##* } s, known ${times[${kind}2]##* } s; $entries entries"
		dropdb bench_run
	done
done
dropdb bench_template

for batch in 1 2; do
	who=$( ((batch == 1)) && echo "new members" || echo "known members")
	# shellcheck disable=SC2086 # lists of numbers
	echo "$who: one $(spread %.3f ${times[one$batch]}) s, ten $(spread %.3f ${times[ten$batch]}) s, bonuses $(spread %.3f ${times[bonuses$batch]}) s"
	against_target "rules, $who: ten / one" "$(ratios "${times[ten$batch]}" "${times[one$batch]}")" at-most 1.5
	without_target "rules, $who: bonuses / one" "$(ratios "${times[bonuses$batch]}" "${times[one$batch]}")"
done
