#!/usr/bin/env bash
# Redemptions of members with twelve lots, soonest to expire first, against
# peer_redeem of plpgsql_peer.sql, which keeps lots, too. About one in
# seven takes from two of them.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2034 # used by against_ledger
draw='\set customer random(1, :members)
\set cents random(1000, 10000)
\set unique random(1, 1000000000000)'
declare -A one=(
	[engine]='SELECT * FROM loyalty.spend(:customer, 150)'
	[purchase]="SELECT * FROM loyalty.spend(:customer, 150, purchase => 'o' || :unique, amount => :cents / 100.0, key => 'k' || :unique)"
	[peer]='SELECT peer_redeem(:customer, 150)'
)
declare -A all=(
	[engine]="SELECT count(loyalty.spend(c, 150)) FROM customer"
	[purchase]="SELECT count(loyalty.spend(c, 150, purchase => 'o' || c, amount => 10, key => 'k' || clock_timestamp())) FROM customer"
	[peer]="SELECT count(peer_redeem(c, 150)) FROM customer"
)
against_ledger redeem purchase
