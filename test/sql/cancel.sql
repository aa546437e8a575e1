-- cancel: undoing an act, whole or in part
\pset format unaligned
\pset null -
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
INSERT INTO loyalty.program (name, point_value) VALUES ('cancel', 0.01);
SET loyalty.program = 'cancel';
SELECT points FROM loyalty.adjust('anja', 100, expires => '2090-01-31');
SELECT points FROM loyalty.adjust('anja', 100, expires => '2090-02-28');
SELECT * FROM loyalty.spend('anja', 150, purchase => 'o1');

-- in parts: the longest-lived come back first
SELECT * FROM loyalty.cancel('anja', 3, 70, reason => 'broken', key => 'k');
SELECT points, ends FROM loyalty.lots('anja');
SELECT * FROM loyalty.cancel('anja', 3, 70, reason => 'broken', key => 'k');
SELECT * FROM loyalty.cancel('anja', 3, 60, reason => 'broken', key => 'k');
SELECT * FROM loyalty.cancel('anja', 3, 81);
SELECT * FROM loyalty.cancel('anja', 3);
SELECT * FROM loyalty.cancel('anja', 3);
SELECT * FROM loyalty.cancel('anja', 3, 1);
SELECT points, ends FROM loyalty.lots('anja');
SELECT seq, kind, source_key, points, lots, context, note FROM loyalty.entry e WHERE e.member_id = loyalty.member_id('anja', 'cancel') AND seq > 2 ORDER BY seq;

-- a numeric customer id; parts of a point
SELECT points FROM loyalty.adjust(7, 10, expires => '2090-01-31');
SELECT points FROM loyalty.spend(7, 2.5);
SELECT * FROM loyalty.cancel(7, 2, 0.0001);
SELECT * FROM loyalty.cancel(7, 2);

-- adjustments: what was given is taken again, first from its own life span; what was taken goes back into its lots
SELECT entry FROM loyalty.adjust('adj', 50, expires => '2090-01-31');
SELECT entry FROM loyalty.adjust('adj', 50, expires => '2091-01-31');
SELECT * FROM loyalty.cancel('adj', 2, 20, reason => 'too many');
SELECT points, ends FROM loyalty.lots('adj');
SELECT entry FROM loyalty.adjust('adj', -60);
SELECT points, ends FROM loyalty.lots('adj');
SELECT * FROM loyalty.cancel('adj', 4, 15);
SELECT points, ends FROM loyalty.lots('adj');
SELECT * FROM loyalty.cancel('adj', 4);
-- what has been spent cannot be taken again
SELECT entry FROM loyalty.spend('adj', 75);
SELECT * FROM loyalty.cancel('adj', 1);
SELECT * FROM loyalty.cancel('adj', 1, 5);
SELECT kind, points, lots, nullif(context - 'by', '{}') AS context FROM loyalty.entry e WHERE e.member_id = loyalty.member_id('adj', 'cancel') ORDER BY seq;

-- transfers, by the giver and by the receiver; each entry names what it cancels
SELECT entry FROM loyalty.adjust('giver', 100, expires => '2090-01-31');
SELECT entry FROM loyalty.transfer('giver', 'receiver', 40);
SELECT * FROM loyalty.cancel('giver', 2, 10, key => 'by giver');
SELECT * FROM loyalty.cancel('receiver', 1, 5, key => 'by receiver');
SELECT * FROM loyalty.cancel('giver', 2, 10, key => 'by giver');
SELECT * FROM loyalty.cancel('receiver', 1, 5, key => 'by receiver');
SELECT * FROM loyalty.cancel('giver', 2, 26);
SELECT * FROM loyalty.cancel('receiver', 1);
SELECT * FROM loyalty.cancel('giver', 2);
SELECT m.ref, e.seq, e.source_key ~ '^transfer (to|from) ' AS linked, e.points, e.context - '{by,to_member_id,from_member_id}'::text[] AS context
FROM loyalty.member m JOIN loyalty.entry e USING (member_id) WHERE m.ref IN ('giver', 'receiver') ORDER BY m.ref, e.seq;
SELECT points, ends FROM loyalty.lots('giver');
-- what the receiver has spent
SELECT entry FROM loyalty.transfer('giver', 'receiver', 40);
SELECT entry FROM loyalty.spend('receiver', 15);
SELECT * FROM loyalty.cancel('giver', 6);
SELECT * FROM loyalty.cancel('giver', 6, 25);

-- an event that was recorded: whole, by any of its entries
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('cancel', 'review', 'review', '30'), ('cancel', 'photo', 'review', '20');
SELECT * FROM loyalty.record('eve', 'review', key => 'r1');
SELECT * FROM loyalty.cancel('eve', 1, 30);
SELECT * FROM loyalty.cancel('eve', 1, 51);
SELECT * FROM loyalty.cancel('eve', 2, reason => 'copied', key => 'e1');
SELECT * FROM loyalty.cancel('eve', 1, reason => 'copied', key => 'e1');
SELECT * FROM loyalty.cancel('eve', 1, reason => 'another', key => 'e1');
SELECT * FROM loyalty.cancel('eve', 1);
SELECT * FROM loyalty.cancel('eve', 3);
SELECT seq, kind, source_key, revision, points, context - 'facts' AS context, note FROM loyalty.entry e WHERE e.member_id = loyalty.member_id('eve', 'cancel') ORDER BY seq;
-- the event stays what it was
SELECT * FROM loyalty.record('eve', 'review', key => 'r1');
-- a key is one for cancellations of all kinds
SELECT * FROM loyalty.record('eve', 'review', key => 'r2');
SELECT * FROM loyalty.cancel('eve', 5, key => 'e1');
SELECT entry FROM loyalty.adjust('eve', 5);
SELECT * FROM loyalty.cancel('eve', 7, key => 'e1');
SELECT entry FROM loyalty.cancel('eve', 7, 5, key => 'e2');
SELECT * FROM loyalty.cancel('eve', 5, key => 'e2');
-- all points of it, in numbers
SELECT * FROM loyalty.cancel('eve', 5, 50);

-- LY017: what cannot be cancelled
SELECT * FROM loyalty.cancel('anja', 4);
SELECT * FROM loyalty.cancel('anja', 0);
SELECT * FROM loyalty.cancel('anja', -3);
SELECT * FROM loyalty.cancel('anja', 6);
SELECT * FROM loyalty.cancel('anja', 9223372036854775807);
CREATE TABLE cancel_order (id int PRIMARY KEY, customer text, total numeric);
INSERT INTO loyalty.rule (program, name, award) VALUES ('cancel', 'base', '1 per 1');
SELECT loyalty.attach('cancel_order', member => 'customer', amount => 'total') > 0 AS attached;
INSERT INTO cancel_order VALUES (1, 'order', 80);
SELECT * FROM loyalty.cancel('order', 1);
SELECT entry FROM loyalty.adjust('old', 10, expires => '2024-01-31', at => '2024-01-01 12:00+00');
SELECT entry FROM loyalty.adjust('old', 10, expires => '2090-01-31');
-- the first has lapsed, as the second entry says
SELECT * FROM loyalty.cancel('old', 2);
SELECT * FROM loyalty.cancel('old', 1);
SELECT * FROM loyalty.cancel('old', 1, at => '2024-01-31 12:00+00');
-- what moved no points
SELECT entry, points FROM loyalty.extend('old', '2090-01-31', '2095-01-31');
SELECT * FROM loyalty.cancel('old', 4);
-- a transfer whose points have lapsed at the receiver
SELECT entry FROM loyalty.adjust('late', 10, expires => '2024-01-31', at => '2024-01-01 12:00+00');
SELECT entry FROM loyalty.transfer('late', 'later', 10, at => '2024-01-02 12:00+00');
SELECT entry FROM loyalty.adjust('later', 10);
SELECT * FROM loyalty.cancel('late', 2);
-- LY003: one of the two is closed
SELECT entry FROM loyalty.adjust('open', 30);
SELECT entry FROM loyalty.transfer('open', 'closing', 10);
SELECT entry FROM loyalty.spend('open', 1);
SELECT loyalty.set_member('closing', status => 'closed') IS NOT NULL AS set;
SELECT * FROM loyalty.cancel('open', 2);
SELECT * FROM loyalty.cancel('closing', 1);
SELECT loyalty.set_member('open', status => 'suspended') IS NOT NULL AS set;
SELECT * FROM loyalty.cancel('open', 3);

-- the time: as given; not before the act, nor in the future
SELECT entry FROM loyalty.adjust('past', 100, at => '2024-01-01 12:00+00', expires => '2090-01-31');
SELECT entry FROM loyalty.spend('past', 60, at => '2024-02-01 12:00+00');
SELECT * FROM loyalty.cancel('past', 2, at => '2024-01-31 12:00+00');
SELECT * FROM loyalty.cancel('past', 2, at => 'infinity');
SELECT * FROM loyalty.cancel('past', 2, at => now() + interval '1 day');
SELECT * FROM loyalty.cancel('past', 2, 20, at => '2024-03-01 12:00+00', key => 'p');
SELECT * FROM loyalty.cancel('past', 2, 20, at => '2024-03-01 12:00+00', key => 'p');
SELECT * FROM loyalty.cancel('past', 2, 20, key => 'p');
SELECT * FROM loyalty.cancel('past', 2, 20, at => '2024-03-02 12:00+00', key => 'p');
SELECT * FROM loyalty.cancel('past', 2, at => '2024-03-01 12:00+00', key => 'p');
SELECT at, available FROM unnest('{2024-01-15,2024-02-15,2024-03-15}'::timestamptz[]) at, loyalty.balance('past', at => at);
-- what was given cannot be taken again at a time when it was spent
SELECT * FROM loyalty.cancel('past', 1, 41, at => '2024-02-15 12:00+00');
SELECT * FROM loyalty.cancel('past', 1, 40, at => '2024-02-15 12:00+00');

-- arguments
SELECT * FROM loyalty.cancel('past', NULL);
SELECT * FROM loyalty.cancel(NULL::text, 1);
SELECT * FROM loyalty.cancel('past', 2, 0);
SELECT * FROM loyalty.cancel('past', 2, -1);
SELECT * FROM loyalty.cancel('past', 2, 'NaN');
SELECT * FROM loyalty.cancel('past', 2, 'Infinity');
SELECT * FROM loyalty.cancel('past', 2, 0.00001);
SELECT * FROM loyalty.cancel('past', 2, key => repeat('k', 2000));
SELECT * FROM loyalty.cancel('nobody', 1);
SELECT * FROM loyalty.cancel('past', 2, program => 'none');

-- whose life span has passed: it lapses, or gets a new one
INSERT INTO loyalty.program (name, expiry) VALUES ('lapse', 'never');
INSERT INTO loyalty.program (name, reinstate) VALUES ('anew', '30 days'), ('ever', 'never'), ('soon', 'nonsense');
INSERT INTO loyalty.program (name, reinstate) VALUES ('anew', '30 days'), ('ever', 'never');
UPDATE loyalty.program SET reinstate = 'inactive 12 months' WHERE name = 'ever';
SELECT p, loyalty.adjust('x', 100, expires => '2024-01-31', at => '2024-01-01 12:00+00', program => p),
	loyalty.adjust('x', 50, expires => '2090-01-31', at => '2024-01-01 12:00+00', program => p),
	loyalty.spend('x', 120, at => '2024-01-10 12:00+00', program => p),
	loyalty.cancel('x', 3, 30, at => '2024-03-01 12:00+00', program => p)
FROM unnest('{lapse,anew,ever}'::text[]) p;
SELECT p, l.points, l.ends FROM unnest('{lapse,anew,ever}'::text[]) p, loyalty.lots('x', at => '2024-03-01 13:00+00', program => p) l;
SELECT p.name, e.seq, e.kind, e.points, e.lots, e.occurred_at::date FROM loyalty.entry e JOIN loyalty.program p USING (program_id)
WHERE p.name IN ('lapse', 'anew', 'ever') AND e.seq > 3 ORDER BY p.program_id, e.seq;

SELECT * FROM loyalty.verify();
RESET loyalty.program;
DROP TABLE cancel_order;
