-- cancel: undoing an act, whole or in part
\pset format unaligned
\pset null -
SET TimeZone = 'UTC';
INSERT INTO loyalty.program (name, point_value) VALUES ('cancel', 0.01);
SET loyalty.program = 'cancel';
SELECT points FROM loyalty.adjust('ada', 100, expires => '2090-01-31');
SELECT points FROM loyalty.adjust('ada', 100, expires => '2090-02-28');
SELECT * FROM loyalty.spend('ada', 150, purchase => 'o1');

-- in parts: the longest-lived come back first
SELECT * FROM loyalty.cancel('ada', 3, 70, reason => 'broken', key => 'k');
SELECT points, ends FROM loyalty.lots('ada');
SELECT * FROM loyalty.cancel('ada', 3, 70, reason => 'broken', key => 'k');
SELECT * FROM loyalty.cancel('ada', 3, 60, reason => 'broken', key => 'k');
SELECT * FROM loyalty.cancel('ada', 3, 81);
SELECT * FROM loyalty.cancel('ada', 3);
SELECT * FROM loyalty.cancel('ada', 3);
SELECT points, ends FROM loyalty.lots('ada');
SELECT * FROM loyalty.verify('cancel');
RESET loyalty.program;
