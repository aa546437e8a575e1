--
-- verify: the proof that the ledger is sound
--

CREATE TYPE loyalty.violation AS (
	invariant text,
	program text,
	member text,
	purchase text,
	problem text,
	expected text,
	actual text
);
COMMENT ON TYPE loyalty.violation IS 'something that verify found wrong';
COMMENT ON COLUMN loyalty.violation.invariant IS 'I1: sums; I1 rollups: what reports are made of; I2: numbering; I3: hash chain; I3 seals: seals and what they found; I4: purchases; I4 vanished: purchases whose rows are gone; I4 limits: what is counted for limits of rules; I4 budgets: what is spent of budgets; I4 confirmation: what awaits confirmation; I5: nothing below zero; I6 holds: points that are held; I6 transfers: both sides of transfers; I6 cancel: what was undone; I6 vouchers: vouchers and their uses; I6 merges: members who were merged; I6 households: who shares a balance; I6 proposals: adjustments that took a second person; I7: tiers; I8: who gets at what; forgotten: of whom nothing personal is to be left; member: the member''s row itself';
COMMENT ON COLUMN loyalty.violation.program IS 'name of the program';
COMMENT ON COLUMN loyalty.violation.member IS 'the shop''s own customer id, or member_id and the number where there is no such member';
COMMENT ON COLUMN loyalty.violation.purchase IS 'name of the source and key of the purchase; NULL: no purchase is concerned';
COMMENT ON COLUMN loyalty.violation.problem IS 'what is wrong';
COMMENT ON COLUMN loyalty.violation.expected IS 'what should be there';
COMMENT ON COLUMN loyalty.violation.actual IS 'what is there';

-- Unsafe in parallel: what may fail is tried in subtransactions.
CREATE FUNCTION loyalty.verify(program text DEFAULT NULL) RETURNS SETOF loyalty.violation
	AS 'MODULE_PATHNAME', 'loyalty_verify' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION loyalty.verify(text) IS 'one row for each violation, none when all is sound; of one program or of all.
I1: points of each entry are the total of its lots; purse, lifetime, held points and last activity of each member are the sum of his entries.
I1 rollups: each rollup is the sum of the entries posted before the time up to which there are rollups.
I2: entries of a member count 1..n without gaps, his row says n and has their program; no entry is without a member; his row counts his purchases.
I3: the hash of each entry covers it and the hash before it; the member''s row has the last. I3 seals: each seal follows from its leaves and the seal before it, and each leaf''s head is the hash of the member''s entry with that number.
I4: rule by rule what stands for a purchase of an attached source is what its row earns now under what was kept at its first posting, and the shortfall on record; amounts agree; every row that counts was judged, once the source is backfilled. Excepted are deferred purchases, rows deleted from a source that keeps points, and purchases made before a customer joined a program that does not enroll by itself. I4 vanished: the row is gone and its points stand. I4 limits: points, purchases and last awards counted of limited rules, by member and period, are what stands of purchases. I4 budgets: what is spent of a budget is what stands of all members'' purchases, and its slots allot it. I4 confirmation: what awaits confirmation, and what was decided of it, is what the entries say.
I5: no lot is below zero but a debt, and only clawbacks make debts, or imports and merges bring them along.
I6 holds: each hold is what its entries left of it, and over or active accordingly; the member''s row says what all his active holds hold and when the first of them ends.
I6 transfers: what a member gave another has arrived there, once, and what arrived was given; both entries name each other.
I6 redemptions: each entry that redeemed a reward has its row, with its points, units and times. I6 stock: what is taken of a stock are the units of redemptions that stand, and its slots allot it.
I6 vouchers: what is left of a voucher, and how often it was used, is what its uses and returns say; those of points have their entries.
I6 merges: who was merged stands merged once, has nothing, and his ref leads to who stands for him. I6 households: whoever is in one is there, and its head is one of its members, of whom there are no more than it may have.
I6 proposals: each adjustment that took a second person has its row, and each approved one its entry, once, with its points; another person approved it, and the entry says who.
I6 cancel: what undoes an entry names an earlier act of the member that fits; no more is undone than was moved, and it goes back where it came from, but for life spans that were over.
I7: the tally of each member is what his entries count for; his changes of tier count 1..n without gaps and lead to the tier that he has; none is without a member.
I8: every table has row-level security with the policies that access_objects asks for; every guard is there, enabled and the library''s; PUBLIC may do nothing but compute; loyalty.access names roles that there are. All but the last only when no program is named.
member: ref, program and status of the row; nothing falls due, and no tier is to be reviewed, before its next_expiry.
It reads only, under one snapshot, sorts within work_mem, and runs on a standby.';
