-- A program with :members members of :each entries each within two years, of
-- which every 70th member's last one is posted now and the others two days ago: one purchase,
-- return and redemption of one member is made by the engine, and the others are
-- their like.  Every tenth member has returned something, every second one
-- redeemed.  Their hashes are not right, of which reports know nothing.

CREATE EXTENSION loyalty;
SET synchronous_commit = off;
SET work_mem = '256MB';
INSERT INTO loyalty.program (name, currency, expiry, time_zone, point_value)
VALUES ('beans', 'USD', '36 months end of month', 'Europe/London', 0.01);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('beans', 'silver', 1, 1000);
INSERT INTO loyalty.reward (program, name, cost) VALUES ('beans', 'cup', 5);
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, at timestamptz, store text);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', store => 'store');
INSERT INTO orders VALUES (0, 'm0', 10, now(), 's0');
UPDATE orders SET total = 9;
SELECT * FROM loyalty.redeem('m0', 'cup');
SELECT loyalty.feedback('m0', 9);
INSERT INTO loyalty.estimate (program_id, kind, from_day, value, made_by)
SELECT program_id, kind, current_date - 730, value, 'bench'
FROM loyalty.program, (VALUES ('redemption_rate', 0.8), ('point_value', 0.01)) v (kind, value);

-- What of a table is no other for each: columns of TABLE but for those named.
CREATE FUNCTION pg_temp.like_first(relation regclass, but name[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg('f.' || quote_ident(attname), ', ' ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attname <> ALL ($2)
$$;
SELECT pg_temp.like_first('loyalty.entry', '{member_id,seq,kind,points,lots,amount,source_key,occurred_at,posted_at}') AS of_entry,
       pg_temp.like_first('loyalty.member', '{member_id,ref,seq,purse,enrolled_at}') AS of_member,
       pg_temp.like_first('loyalty.redemption', '{member_id,seq,requested_at}') AS of_redemption,
       pg_temp.like_first('loyalty.feedback', '{member_id,score,at}') AS of_feedback \gset
SELECT replace(:'of_entry', 'f.', '') AS entry_columns, replace(:'of_member', 'f.', '') AS member_columns,
       replace(:'of_redemption', 'f.', '') AS redemption_columns, replace(:'of_feedback', 'f.', '') AS feedback_columns \gset

SET session_replication_role = replica;
ALTER TABLE loyalty.entry DROP CONSTRAINT entry_pkey;
INSERT INTO loyalty.entry (member_id, seq, kind, points, lots, amount, source_key, occurred_at, posted_at, :entry_columns)
SELECT n, s, f.kind, p.points, loyalty.purse(p.points, NULL, (date_trunc('month', t.at) + interval '37 months')::date - 1),
       CASE WHEN f.kind <> 'redeem' THEN p.points END,
       CASE f.kind WHEN 'redeem' THEN '#' || s WHEN 'clawback' THEN (n * :each + s - 1)::text ELSE (n * :each + s)::text END,
       t.at, CASE WHEN fresh THEN now() ELSE now() - interval '2 days' END, :of_entry
FROM (SELECT n, s, false AS fresh FROM generate_series(1::bigint, :members - 1) n, generate_series(1, :each) s WHERE s < :each OR n % 70 <> 0
      UNION ALL -- at the end of the table, as they would be
      SELECT n, :each, true FROM generate_series(70::bigint, :members - 1, 70) n) o
JOIN loyalty.entry f ON f.kind = CASE WHEN s = :each AND n % 2 = 0 THEN 'redeem' WHEN s = :each - 1 AND n % 10 = 1 THEN 'clawback' ELSE 'earn' END
CROSS JOIN LATERAL (SELECT (CASE f.kind WHEN 'redeem' THEN -5 WHEN 'clawback' THEN -1 ELSE 5 + (n + 7 * s) % 20 END)::int AS points) p
CROSS JOIN LATERAL (SELECT now() - ((:each - s + (n * 7919 % 1000) / 1000.0) * 730 / :each) * interval '1 day' AS at) t;
ALTER TABLE loyalty.entry ADD CONSTRAINT entry_pkey PRIMARY KEY (member_id, source_id, source_key, rule_id, revision);

INSERT INTO loyalty.member (member_id, ref, seq, purse, enrolled_at, :member_columns)
SELECT e.member_id, 'm' || e.member_id, :each, e.purse, e.at, :of_member
FROM loyalty.member f
CROSS JOIN (SELECT member_id, loyalty.sum(lots) AS purse, min(occurred_at) AS at FROM loyalty.entry WHERE member_id < :members GROUP BY 1) e;
INSERT INTO loyalty.redemption (member_id, seq, requested_at, :redemption_columns)
SELECT e.member_id, e.seq, e.occurred_at, :of_redemption
FROM loyalty.redemption f
JOIN loyalty.entry e ON e.kind = 'redeem' AND e.member_id <> f.member_id;
INSERT INTO loyalty.feedback (member_id, score, at, :feedback_columns)
SELECT n, n % 11, now() - (n % 365) * interval '1 day', :of_feedback
FROM loyalty.feedback f
CROSS JOIN generate_series(1::bigint, :members - 1, 10) n;
INSERT INTO loyalty.tier_change (member_id, seq, at, posted_at, program_id, change_no, to_rank, to_tier, reason)
SELECT member_id, :each, now() - interval '300 days', now(), program_id, 1, 1, 'silver', 'earned'
FROM loyalty.member WHERE member_id < :members AND member_id % 4 = 0;
-- every tenth order is a guest's
INSERT INTO orders
SELECT source_key::int, 'm' || member_id, amount, occurred_at, 's' || member_id % 100
FROM loyalty.entry WHERE kind = 'earn' AND member_id < :members;
INSERT INTO orders
SELECT -n, NULL, 10, now() - (n % 730) * interval '1 day', 's1' FROM generate_series(1, :members) n;
RESET session_replication_role;
