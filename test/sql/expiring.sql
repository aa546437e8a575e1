--
-- expiring: what members lose if nothing is done
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('expiring_a', 'Asia/Kuala_Lumpur');
INSERT INTO loyalty.program (name, expiry) VALUES ('expiring_idle', 'inactive 2 months end of month');
INSERT INTO loyalty.program (name, pending) VALUES ('expiring_b', '10 days');
INSERT INTO loyalty.rule (program, name, award, expiry) VALUES ('expiring_b', 'base', '1 per 1', '20 days');
SET loyalty.program = 'expiring_a';

-- Members and days, in the program's zone; lots of one day are one row
SELECT sum(points::numeric) AS given FROM (VALUES ('ann', 1, '2990-01-30'::date), ('ann', 2, '2990-01-31'), ('ann', 4, '2990-03-01'), ('ann', 8, 'infinity'),
	('bob', 16, '2990-01-31'), ('cid', 32, '2990-03-02')) v(m, p, e), loyalty.adjust(m, p, expires => e);
SELECT * FROM loyalty.expiring(at => '2990-01-30 12:00Z') ORDER BY 3, 1;
SELECT * FROM loyalty.expiring(at => '2990-01-30 16:00Z') ORDER BY 3, 1;
SELECT * FROM loyalty.expiring(at => '2990-01-30 16:00Z', within => '0') ORDER BY 3, 1;
SELECT * FROM loyalty.expiring(at => '2990-01-30 16:00Z', within => '1 month 1 day') ORDER BY 3, 1;
SELECT * FROM loyalty.expiring('expiring_a', '2 months', '2990-01-01') ORDER BY 3, 1;
SELECT count(*) FROM loyalty.expiring();
SELECT count(*) FROM loyalty.expiring(NULL, NULL, NULL);
SELECT sum(points::numeric) FROM loyalty.expiring(within => '2000 years');
-- what has lapsed already is not about to
SELECT * FROM loyalty.expiring(at => '2990-02-01 12:00Z') ORDER BY 3, 1;

-- Inactivity, before maintenance has seen the program and after
SELECT points FROM loyalty.enroll('ida', at => '2024-01-10', program => 'expiring_idle'), loyalty.adjust('ida', 5, at => '2024-01-15', program => 'expiring_idle');
SELECT points FROM loyalty.adjust('ivo', 7, program => 'expiring_idle');
SELECT member, points FROM loyalty.expiring('expiring_idle', '3 months');
CALL loyalty.maintain(program => 'expiring_idle');
SELECT member, points FROM loyalty.expiring('expiring_idle', '3 months');
SELECT members_known FROM loyalty.maintenance WHERE program = 'expiring_idle';
-- another expiry is known at once, also where next_expiry knows nothing of it
UPDATE loyalty.program SET expiry = 'inactive 1 month' WHERE name = 'expiring_idle';
SELECT members_known FROM loyalty.maintenance WHERE program = 'expiring_idle';
SELECT member, points FROM loyalty.expiring('expiring_idle', '1 month');
UPDATE loyalty.program SET expiry = 'inactive 1 month' WHERE name = 'expiring_a';
SELECT member, points FROM loyalty.expiring(within => '1 month') ORDER BY 1;

-- The past, from the entries
SELECT * FROM loyalty.expiring('expiring_idle', at => '2024-01-16', within => '2 months') ORDER BY 1;
SELECT * FROM loyalty.expiring('expiring_idle', at => '2024-01-14', within => '2 months') ORDER BY 1;

-- A debt takes what opens meanwhile, so that is not lost
CREATE TABLE expiring_order (id int PRIMARY KEY, customer text, total numeric, at timestamptz);
SELECT loyalty.attach('expiring_order', member => 'customer', amount => 'total', at => 'at', program => 'expiring_b') > 0 AS attached;
INSERT INTO expiring_order VALUES (1, 'deb', 50, now() - interval '11 days');
SELECT points FROM loyalty.adjust('deb', -50, program => 'expiring_b');
DELETE FROM expiring_order WHERE id = 1;
INSERT INTO expiring_order VALUES (2, 'deb', 70, now() - interval '1 day');
SELECT available, pending, debt FROM loyalty.balance('deb', program => 'expiring_b');
SELECT member, points FROM loyalty.expiring('expiring_b');
SELECT available, debt, next_expiry_points FROM loyalty.balance('deb', at => now() + interval '10 days', program => 'expiring_b');

-- Refused
SELECT * FROM loyalty.expiring(within => '-1 day');
SELECT * FROM loyalty.expiring(at => 'infinity');
SELECT * FROM loyalty.expiring('expiring_nowhere');
