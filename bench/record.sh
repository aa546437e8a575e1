#!/usr/bin/env bash
# Purchases that no table holds, told to the engine one by one, against the
# double-entry ledger of record.sql.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2034 # used by against_ledger
draw='\set customer random(1, :members)
\set cents random(100, 10000)
\set unique random(1, 1000000000000)'
declare -A one=(
	[engine]="SELECT * FROM loyalty.record(:customer, 'purchase', :cents / 100.0)"
	[key]="SELECT * FROM loyalty.record(:customer, 'purchase', :cents / 100.0, key => 'k' || :unique)"
	[peer]='SELECT peer_record(:customer, :cents / 100.0)'
)
declare -A all=(
	[engine]="SELECT count(loyalty.record(c, 'purchase', 12.34)) FROM customer"
	[key]="SELECT count(loyalty.record(c, 'purchase', 12.34, key => 'k' || clock_timestamp())) FROM customer"
	[peer]="SELECT count(peer_record(c, 12.34)) FROM customer"
)
against_ledger record key
