--
-- verify: the proof that the ledger is sound.  What it finds is tested one by
-- one in test/pgtap/verify.sql.
--
SET TimeZone = 'UTC';
INSERT INTO loyalty.program (name) VALUES ('beans'), ('other');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', program => 'beans') > 0 AS attached;
INSERT INTO orders VALUES (1, 'ada', 10), (2, 'ada', 20), (3, 'bob', 30);
UPDATE orders SET total = 15 WHERE id = 2;
SELECT * FROM loyalty.verify();

-- Behind the engine's back.
SET session_replication_role = replica;
DELETE FROM orders WHERE id = 3;
UPDATE orders SET total = 11 WHERE id = 1;
RESET session_replication_role;
SET session_replication_role = replica;
UPDATE loyalty.member SET lifetime = 0 WHERE ref = 'bob' AND program_id = (SELECT program_id FROM loyalty.program WHERE name = 'beans');
RESET session_replication_role;
SELECT invariant, program, member, purchase FROM loyalty.verify() ORDER BY 1, 3;
SELECT problem, expected, actual FROM loyalty.verify('beans') ORDER BY 1;
SELECT * FROM loyalty.verify('other');

-- What is not there, and who may not ask.
SELECT * FROM loyalty.verify('none');
CREATE ROLE regress_loyalty_guest;
SET ROLE regress_loyalty_guest;
SELECT * FROM loyalty.verify();
RESET ROLE;
DROP ROLE regress_loyalty_guest;

DROP TABLE orders;
