#!/usr/bin/env bash
# make demo: the main job, on a throw-away server.
#
#   make demo                   a small shop of its own (demo/shop.sql, demo/walk.sql)
#   make demo ORDERS=FILE       a file of real purchases (demo/purchases.sql)
#   make demo ORDERS=FILE AS_OF=2024-07-01
#
# FILE is CSV with a header that names the customer, the amount and the time
# (see column_named below), and perhaps the order; or, without a header and with
# blanks between, the layout of the CDNOW data: customer, perhaps a number in
# the sample, date as YYYYMMDD, number of items, amount. AS_OF is the day of the
# report; without it, the first of the month after the last purchase.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

export PGTZ=UTC

# cdnow_to_csv FILE
cdnow_to_csv() {
	awk 'BEGIN { print "customer,time,amount" }
		NF == 4 { print $1 + 0 "," $2 "," $4; next }
		NF == 5 { print $1 + 0 "," $3 "," $5; next }
		NF > 0 { print "line " NR " is not a purchase: " $0 > "/dev/stderr"; exit 1 }' "$1"
}

# column_named WHAT SYNONYM...: the column of "raw" whose header is one of these.
column_named() {
	local what=$1 synonym i

	shift
	for synonym in "$@"; do
		for i in "${!header[@]}"; do
			if [[ ${header[i]} == "$synonym" ]]; then
				echo "c$i"
				return
			fi
		done
	done
	[[ $what == optional ]] || die "$ORDERS: no column for the $what in its header (one of: $*)"
}

load_purchases() {
	local purchases=$work/purchases.csv customer amount time id columns

	tr -d '\r' <"$ORDERS" | sed '1s/^\xef\xbb\xbf//' >"$work/orders"
	if head -n 1 "$work/orders" | grep -qE '^ *[0-9]+ +([0-9]+ +)?[0-9]{8} +[0-9]+ +[0-9.]+ *$'; then
		cdnow_to_csv "$work/orders" >"$purchases"
	else
		mv "$work/orders" "$purchases"
	fi

	IFS=, read -r -a header < <(head -n 1 "$purchases" | tr -d '" ' | tr '[:upper:]' '[:lower:]')
	customer=$(column_named customer customer customer_id customerid member member_id user_id client_id account_id)
	amount=$(column_named amount amount total total_amount order_total grand_total price value)
	time=$(column_named time time at created_at ordered_at order_time order_date purchase_date date datetime timestamp)
	id=$(column_named optional order_id orderid order order_no order_number invoice invoice_no invoiceno id)

	note "loading $(($(wc -l <"$purchases") - 1)) purchases"
	columns=$(printf ', c%d text' "${!header[@]}")
	psql -c "CREATE TABLE raw (${columns#, })"
	psql -c '\copy raw FROM pstdin CSV HEADER' <"$purchases"
	psql -v customer="$customer" -v amount="$amount" -v time="$time" -v id="$id" -v as_of="${AS_OF:-}" \
		-f demo/purchases.sql
}

psql() {
	command psql -X -q -v ON_ERROR_STOP=1 -P null=- -P footer=off "$@"
}

if [[ ${1:-} == --beside-server ]]; then
	cd "$root"
	createdb shop
	export PGDATABASE=shop
	if [[ ${ORDERS:-} ]]; then
		load_purchases
	else
		note "making a shop with customers and orders"
		psql -f demo/shop.sql
		psql -a -f demo/walk.sql
	fi
	exit
fi

if [[ ${ORDERS:-} ]]; then
	[[ -r $ORDERS ]] || die "cannot read ORDERS=$ORDERS"
	ORDERS=$(realpath "$ORDERS")
	export ORDERS
fi

need "${build_packages[@]}"
make_work
note "building"
build_stage
note "starting a throw-away server"
with_server "$root/scripts/demo.sh" --beside-server
