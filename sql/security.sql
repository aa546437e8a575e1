--
-- security: nothing is for everybody, but what only computes
--

REVOKE ALL ON SCHEMA loyalty FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA loyalty FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA loyalty FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA loyalty FROM PUBLIC;

-- What is IMMUTABLE reads no table and tells nobody anything.  A shop's own
-- constraint over points, and the casts and operators of ours in whatever a role
-- may write, run with the rights of whoever writes.
GRANT EXECUTE ON ROUTINE
	loyalty.points_in(cstring), loyalty.points_out(loyalty.points), loyalty.points_recv(internal),
	loyalty.points_send(loyalty.points), loyalty.points_from_int2(smallint), loyalty.points_from_int4(integer),
	loyalty.points_from_int8(bigint), loyalty.points_from_numeric(numeric), loyalty.points_to_numeric(loyalty.points),
	loyalty.points_to_json(loyalty.points), loyalty.points_to_jsonb(loyalty.points),
	loyalty.points_add(loyalty.points, loyalty.points), loyalty.points_sub(loyalty.points, loyalty.points),
	loyalty.points_neg(loyalty.points), loyalty.points_plus(loyalty.points), loyalty.abs(loyalty.points),
	loyalty.points_eq(loyalty.points, loyalty.points), loyalty.points_ne(loyalty.points, loyalty.points),
	loyalty.points_lt(loyalty.points, loyalty.points), loyalty.points_le(loyalty.points, loyalty.points),
	loyalty.points_gt(loyalty.points, loyalty.points), loyalty.points_ge(loyalty.points, loyalty.points),
	loyalty.points_cmp(loyalty.points, loyalty.points), loyalty.points_sortsupport(internal),
	loyalty.points_hash(loyalty.points), loyalty.points_hash_extended(loyalty.points, bigint),
	loyalty.points_accum(internal, loyalty.points), loyalty.points_accum_inv(internal, loyalty.points),
	loyalty.points_combine(internal, internal), loyalty.points_serialize(internal),
	loyalty.points_deserialize(bytea, internal), loyalty.points_sum(internal), loyalty.points_avg(internal),
	loyalty.sum(loyalty.points), loyalty.avg(loyalty.points), loyalty.points_smaller(loyalty.points, loyalty.points),
	loyalty.min(loyalty.points), loyalty.points_larger(loyalty.points, loyalty.points), loyalty.max(loyalty.points),
	loyalty.purse_in(cstring), loyalty.purse_out(loyalty.purse), loyalty.purse_recv(internal),
	loyalty.purse_send(loyalty.purse), loyalty.purse(loyalty.points, date, date),
	loyalty.purse_add(loyalty.purse, loyalty.purse), loyalty.purse_sub(loyalty.purse, loyalty.purse),
	loyalty.purse_neg(loyalty.purse), loyalty.purse_eq(loyalty.purse, loyalty.purse),
	loyalty.purse_ne(loyalty.purse, loyalty.purse), loyalty.purse_hash(loyalty.purse),
	loyalty.purse_hash_extended(loyalty.purse, bigint), loyalty.total(loyalty.purse),
	loyalty.available(loyalty.purse, date), loyalty.pending(loyalty.purse, date),
	loyalty.expired(loyalty.purse, date), loyalty.outstanding(loyalty.purse, date),
	loyalty.spend(loyalty.purse, loyalty.points, date), loyalty.lots(loyalty.purse),
	loyalty.purse_accum(internal, loyalty.purse), loyalty.purse_combine(internal, internal),
	loyalty.purse_serialize(internal), loyalty.purse_deserialize(bytea, internal), loyalty.purse_sum(internal),
	loyalty.sum(loyalty.purse), loyalty.award_in(cstring), loyalty.award_out(loyalty.award),
	loyalty.award_recv(internal), loyalty.award_send(loyalty.award), loyalty.award_eq(loyalty.award, loyalty.award),
	loyalty.award_ne(loyalty.award, loyalty.award), loyalty.award_hash(loyalty.award),
	loyalty.award_hash_extended(loyalty.award, bigint), loyalty.expiry_in(cstring),
	loyalty.expiry_out(loyalty.expiry), loyalty.expiry_recv(internal), loyalty.expiry_send(loyalty.expiry),
	loyalty.expiry_eq(loyalty.expiry, loyalty.expiry), loyalty.expiry_ne(loyalty.expiry, loyalty.expiry),
	loyalty.expiry_hash(loyalty.expiry), loyalty.expiry_hash_extended(loyalty.expiry, bigint),
	loyalty.last_day(loyalty.expiry, date), loyalty.inactive_last_day(loyalty.expiry, date),
	loyalty.qualification_in(cstring), loyalty.qualification_out(loyalty.qualification),
	loyalty.qualification_recv(internal), loyalty.qualification_send(loyalty.qualification),
	loyalty.qualification_eq(loyalty.qualification, loyalty.qualification),
	loyalty.qualification_ne(loyalty.qualification, loyalty.qualification),
	loyalty.qualification_hash(loyalty.qualification),
	loyalty.qualification_hash_extended(loyalty.qualification, bigint),
	loyalty.window_start(loyalty.qualification, date, date), loyalty.window_end(loyalty.qualification, date, date),
	loyalty.resolution(loyalty.qualification), loyalty.tally_in(cstring), loyalty.tally_out(loyalty.tally),
	loyalty.tally_recv(internal), loyalty.tally_send(loyalty.tally),
	loyalty.tally_add(loyalty.tally, date, numeric, numeric, integer),
	loyalty.tally_add(loyalty.tally, loyalty.tally), loyalty.tally_sub(loyalty.tally, loyalty.tally),
	loyalty.tally_neg(loyalty.tally), loyalty.tally_eq(loyalty.tally, loyalty.tally),
	loyalty.tally_ne(loyalty.tally, loyalty.tally), loyalty.tally_hash(loyalty.tally),
	loyalty.tally_hash_extended(loyalty.tally, bigint), loyalty.totals(loyalty.tally, date, date),
	loyalty.periods(loyalty.tally), loyalty.resolution(loyalty.tally), loyalty.coarsen(loyalty.tally, text),
	loyalty.prune(loyalty.tally, date), loyalty.tally_accum(internal, loyalty.tally),
	loyalty.tally_combine(internal, internal), loyalty.tally_serialize(internal),
	loyalty.tally_deserialize(bytea, internal), loyalty.tally_sum(internal), loyalty.sum(loyalty.tally),
	loyalty.voucher_code_in(cstring), loyalty.voucher_code_out(loyalty.voucher_code),
	loyalty.voucher_code_recv(internal), loyalty.voucher_code_send(loyalty.voucher_code),
	loyalty.voucher_code_eq(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_ne(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_lt(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_le(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_gt(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_ge(loyalty.voucher_code, loyalty.voucher_code),
	loyalty.voucher_code_cmp(loyalty.voucher_code, loyalty.voucher_code), loyalty.voucher_code_sortsupport(internal),
	loyalty.voucher_code_hash(loyalty.voucher_code), loyalty.voucher_code_hash_extended(loyalty.voucher_code, bigint),
	loyalty.derive_voucher_code(bytea), loyalty.voucher_hash(loyalty.voucher_code), loyalty.member_id(text, text),
	loyalty.check_proof(jsonb, text), loyalty.check_proof(jsonb, bytea),
	loyalty.sparkline(numeric[]), loyalty.bar(numeric, numeric, integer)
	TO PUBLIC;

-- Which rows of a table a role sees that has been let use some program.
SELECT loyalty.make_policies();
