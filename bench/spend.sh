#!/usr/bin/env bash
# Spends against the double-entry ledger of spend.sql.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2034 # used by against_ledger
draw='\set customer random(1, :members)
\set cents random(100, 10000)
\set unique random(1, 1000000000000)'
declare -A one=(
	[engine]='SELECT * FROM loyalty.spend(:customer, 5)'
	[purchase]="SELECT * FROM loyalty.spend(:customer, 5, purchase => 'o' || :cents, amount => :cents / 100.0, key => 'k' || :unique)"
	[peer]='SELECT peer_spend(:customer, 5)'
)
declare -A all=(
	[engine]="SELECT count(loyalty.spend(c, 5)) FROM customer"
	[purchase]="SELECT count(loyalty.spend(c, 5, purchase => 'o' || c, amount => 10, key => 'k' || clock_timestamp())) FROM customer"
	[peer]="SELECT count(peer_spend(c, 5)) FROM customer"
)
against_ledger spend purchase
