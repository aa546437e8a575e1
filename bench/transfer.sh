#!/usr/bin/env bash
# Transfers against the double-entry ledger of transfer.sql; in one statement
# each member gives once and gets once.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

# Never to himself.
# shellcheck disable=SC2034 # used by against_ledger
draw='\set giver random(1, :members)
\set receiver 1 + (:giver + random(0, :members - 2)) % :members
\set unique random(1, 1000000000000)'
declare -A one=(
	[engine]='SELECT * FROM loyalty.transfer(:giver, :receiver, 5)'
	[key]="SELECT * FROM loyalty.transfer(:giver, :receiver, 5, key => 'k' || :unique)"
	[peer]='SELECT peer_transfer(:giver, :receiver, 5)'
)
declare -A all=(
	[engine]="SELECT count(loyalty.transfer(giver, receiver, 5)) FROM pair"
	[key]="SELECT count(loyalty.transfer(giver, receiver, 5, key => 'k' || clock_timestamp())) FROM pair"
	[peer]="SELECT count(peer_transfer(giver, receiver, 5)) FROM pair"
)
against_ledger transfer key
