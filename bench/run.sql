\timing on
\echo engine
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
INSERT INTO orders (order_id, customer_id, total, status, created_at) SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 1;
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
\timing off
CREATE TABLE written_entry1 AS SELECT * FROM loyalty.entry e ORDER BY e.ctid;
CREATE TABLE written_member1 AS SELECT * FROM loyalty.member m ORDER BY m.ctid;
ANALYZE;
CHECKPOINT;
\timing on
\echo bare
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
BEGIN;
INSERT INTO bare_orders (order_id, customer_id, total, status, created_at) SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 1;
INSERT INTO bare_member (member_id, program_id, ref, enrolled_at) SELECT member_id, program_id, ref, enrolled_at FROM written_member1;
INSERT INTO bare_entry SELECT * FROM written_entry1;
UPDATE bare_member m SET  seq = w.seq, lifetime = w.lifetime, awaiting = w.awaiting, held = w.held, last_activity = w.last_activity, tier_since = w.tier_since, hold_until = w.hold_until, next_expiry = w.next_expiry, purchases = w.purchases, tier_changes = w.tier_changes, tier_until = w.tier_until, tier_floor_until = w.tier_floor_until, tally_since = w.tally_since, status = w.status, purse = w.purse, head = w.head, tally = w.tally, tier = w.tier, tier_own = w.tier_own, tier_floor = w.tier_floor FROM written_member1 w WHERE w.member_id = m.member_id;
COMMIT;
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
\echo peer
INSERT INTO peer_orders (order_id, customer_id, total, status, created_at) SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 1;
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
\echo engine2
INSERT INTO orders (order_id, customer_id, total, status, created_at) SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 2;
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
\echo peer2
INSERT INTO peer_orders (order_id, customer_id, total, status, created_at) SELECT order_id, customer_id, total, status, created_at FROM incoming WHERE batch = 2;
\echo ticks
SELECT split_part(stat, ' ', 14)::bigint , split_part(stat, ' ', 15)::bigint FROM pg_read_file('/proc/self/stat', 0, 1000) stat;
