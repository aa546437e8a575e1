--
-- feedback: what members answer when they are asked how satisfied they are
--
\set SHOW_CONTEXT never
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name, time_zone) VALUES ('feedback_shop', 'Asia/Kuala_Lumpur'), ('feedback_other', 'UTC');
SET loyalty.program = 'feedback_shop';
INSERT INTO loyalty.rule (program, name, award) VALUES ('feedback_shop', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('feedback_shop', 'for an answer', 'feedback', '5');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('feedback_shop', 'basic', 0, 0), ('feedback_shop', 'gold', 1, 100);
SELECT count(loyalty.record(m, 'purchase', a, at => t::timestamptz)) FROM (VALUES ('ann', 50, '2026-01-05Z'), ('bob', 150, '2026-01-06Z'), ('cid', 10, '2026-02-10Z'), ('ann', 60, '2026-03-01Z')) v (m, a, t);
SELECT loyalty.set_member('ann', segments => '{coffee,students}'), loyalty.set_member('bob', segments => '{coffee}');

-- an answer keeps the tier of its time and the segments; it is no entry
SELECT loyalty.feedback('ann', 9, 'lovely', about => 'order 1', key => 'mail 1', at => '2026-01-10 00:00Z') AS no;
SELECT loyalty.feedback('ann', 7, key => 'mail 2', at => '2026-03-10 00:00Z') AS no;
SELECT loyalty.feedback('bob', 3, 'cold', key => 'mail 1', at => '2026-01-31 16:00Z') AS no;
SELECT loyalty.feedback('cid', 10, at => '2026-03-11 00:00Z') AS no;
SELECT loyalty.feedback('cid', 2, kind => 'satisfaction', at => '2026-02-11 00:00Z') AS no;
SELECT loyalty.feedback('cid', 4, kind => 'satisfaction', at => '2026-02-12 00:00Z') AS no;
SELECT m.ref, f.feedback_no, f.kind, f.score, f.tier, f.segments, f.about, f.comment, f.key, f.at, f.role = current_user AS by_me
FROM loyalty.feedback f JOIN loyalty.member m USING (member_id) WHERE m.program_id = loyalty.report_program() ORDER BY 1, 2;
SELECT ref, seq FROM loyalty.member WHERE program_id = loyalty.report_program() ORDER BY 1;
-- points for it are an event of their own, which can have the same key
SELECT points, repeated FROM loyalty.record('ann', 'feedback', key => 'mail 2');
SELECT points, repeated FROM loyalty.record('ann', 'feedback', key => 'mail 2');

-- a key names one answer
SELECT loyalty.feedback('ann', 9, 'lovely', about => 'order 1', key => 'mail 1', at => '2026-01-10 00:00Z') AS no;
SELECT loyalty.feedback('ann', 9, 'lovely', about => 'order 1', key => 'mail 1') AS no;
SELECT loyalty.feedback('ann', 8, 'lovely', about => 'order 1', key => 'mail 1');
SELECT loyalty.feedback('ann', 9, about => 'order 1', key => 'mail 1');
SELECT loyalty.feedback('ann', 9, 'lovely', about => 'order 1', key => 'mail 1', at => '2026-01-11 00:00Z');
SELECT count(*) FROM loyalty.feedback WHERE program_id = loyalty.report_program();

-- what makes no sense
SELECT loyalty.feedback('ann', 11);
SELECT loyalty.feedback('ann', -1);
SELECT loyalty.feedback('ann', 0, kind => 'satisfaction');
SELECT loyalty.feedback('ann', 6, kind => 'satisfaction');
SELECT loyalty.feedback('ann', 5, kind => 'effort');
SELECT loyalty.feedback('ann', NULL);
SELECT loyalty.feedback('ann', 5, kind => NULL);
SELECT loyalty.feedback('ann', 5, repeat('x', 10001));
SELECT loyalty.feedback('ann', 5, about => repeat('x', 201));
SELECT loyalty.feedback('ann', 5, at => now() + '1 day');
SELECT loyalty.feedback('nobody', 5);
SELECT loyalty.feedback(NULL::text, 5);
SELECT loyalty.feedback(42, 5);

-- by period; bob's answer is of February in Kuala Lumpur
SELECT * FROM loyalty.net_promoter_score();
SELECT * FROM loyalty.net_promoter_score('year');
SELECT starts, answers, score, response_rate FROM loyalty.net_promoter_score('quarter');
SELECT count(*), sum(answers) FROM loyalty.net_promoter_score('day');
SELECT starts, answers FROM loyalty.net_promoter_score('week') WHERE answers > 0;
SELECT * FROM loyalty.net_promoter_score('month', '2026-02-01', '2026-03-11');
SELECT * FROM loyalty.net_promoter_score('year', by => 'tier');
SELECT * FROM loyalty.net_promoter_score('year', by => 'segment');
SELECT * FROM loyalty.satisfaction();
SELECT * FROM loyalty.satisfaction(NULL);
SELECT * FROM loyalty.satisfaction('decade', program => 'feedback_other');
SELECT * FROM loyalty.satisfaction(by => 'store', program => 'feedback_other');
SELECT * FROM loyalty.satisfaction(program => 'feedback_none');
SELECT * FROM loyalty.satisfaction(program => 'feedback_other');
SELECT * FROM loyalty.feedback_by_period('effort');

-- merged: it stays where it is, and a key is known to both; parted, the same is known still
SELECT loyalty.merge_members('bob', 'ann');
SELECT loyalty.feedback('bob', 3, 'cold', key => 'mail 1') AS no;
SELECT loyalty.feedback('bob', 4, 'cold', key => 'mail 1');
SELECT loyalty.feedback('bob', 8, 'better', key => 'mail 3', at => '2026-04-01 00:00Z') AS no;
SELECT starts, answers, response_rate FROM loyalty.net_promoter_score('year');
SELECT loyalty.unmerge_members('bob');
SELECT loyalty.feedback('bob', 8, 'better', key => 'mail 3', at => '2026-04-01 00:00Z') AS no;
SELECT m.ref, count(*) FROM loyalty.feedback f JOIN loyalty.member m USING (member_id) WHERE m.program_id = loyalty.report_program() GROUP BY 1 ORDER BY 1;

-- of who is forgotten the score is left
SELECT starts, answers, score FROM loyalty.net_promoter_score('year', by => 'tier');
SELECT loyalty.forget_member('ann') IS NOT NULL AS forgotten;
SELECT f.kind, f.score, f.tier, f.segments, f.about, f.comment FROM loyalty.feedback f JOIN loyalty.member m USING (member_id)
WHERE m.program_id = loyalty.report_program() AND m.status = 'forgotten' ORDER BY f.feedback_no;
SELECT starts, answers, score FROM loyalty.net_promoter_score('year', by => 'tier');
SELECT * FROM loyalty.verify('feedback_shop');
SELECT loyalty.feedback('ann', 5);

-- who operates writes and reads the words; who reads has the figures; he himself sees his own
CREATE ROLE regress_loyalty_feedback_reader;
CREATE ROLE regress_loyalty_feedback_clerk;
CREATE ROLE regress_loyalty_feedback_app;
SELECT loyalty.grant_access('regress_loyalty_feedback_reader', 'read', 'feedback_shop'),
	loyalty.grant_access('regress_loyalty_feedback_clerk', 'operate', 'feedback_shop'),
	loyalty.grant_access('regress_loyalty_feedback_app', 'member', 'feedback_shop');
SET ROLE regress_loyalty_feedback_reader;
SELECT count(*) FROM loyalty.feedback;
SELECT sum(answers) FROM loyalty.feedback_by_day;
SELECT starts, answers, score FROM loyalty.net_promoter_score('year');
SELECT loyalty.feedback('bob', 1);
SELECT * FROM loyalty.net_promoter_score(program => 'feedback_other');
SET ROLE regress_loyalty_feedback_clerk;
SELECT loyalty.feedback('cid', 10, 'thanks', at => '2026-05-01Z') AS no;
SELECT loyalty.feedback('cid', 10, program => 'feedback_other');
SELECT count(*) FROM loyalty.feedback;
SET ROLE regress_loyalty_feedback_app;
SET loyalty.member_ref = 'bob';
SELECT score, comment FROM loyalty.feedback ORDER BY feedback_no;
SELECT count(*) FROM loyalty.feedback_by_day;
RESET ROLE;
RESET loyalty.member_ref;
SELECT jsonb_array_length(loyalty.export_member('bob') -> 'feedback') AS answers, loyalty.export_member('bob') -> 'feedback' -> 0 ->> 'comment' AS comment;
SELECT loyalty.revoke_access('regress_loyalty_feedback_reader', 'read', 'feedback_shop'),
	loyalty.revoke_access('regress_loyalty_feedback_clerk', 'operate', 'feedback_shop'),
	loyalty.revoke_access('regress_loyalty_feedback_app', 'member', 'feedback_shop');
DROP ROLE regress_loyalty_feedback_reader, regress_loyalty_feedback_clerk, regress_loyalty_feedback_app;
