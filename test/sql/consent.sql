--
-- consent: what members have agreed to
--
\set SHOW_CONTEXT never
\pset format unaligned
SET datestyle = iso;
SET timezone = 'UTC';
INSERT INTO loyalty.program (name) VALUES ('consent');
INSERT INTO loyalty.program (name) VALUES ('consent_other');
SET loyalty.program = 'consent';
SELECT program_id AS pid FROM loyalty.program WHERE name = 'consent' \gset
SELECT loyalty.enroll('ann', at => '2026-01-01Z') IS NOT NULL AS enrolled;

-- What he said last counts, not what was written down last
SELECT loyalty.has_consent('ann', 'marketing');
SELECT loyalty.set_consent('ann', 'marketing', true, source => 'web form', at => '2026-01-02 10:00Z', key => 'form 1');
SELECT loyalty.set_consent('ann', 'marketing', false, source => 'call', at => '2026-03-01 10:00Z');
SELECT loyalty.set_consent('ann', 'marketing', true, source => 'paper from February', at => '2026-02-01 10:00Z');
SELECT loyalty.set_consent('ann', 'profiling', true, at => '2026-02-01 10:00Z');
SELECT program, member, purpose, granted, since, source FROM loyalty.consents WHERE program = 'consent' ORDER BY purpose;
SELECT loyalty.has_consent('ann', 'marketing') AS now, loyalty.has_consent('ann', 'marketing', at => '2026-02-15Z') AS in_february,
	loyalty.has_consent('ann', 'marketing', at => '2026-01-01Z') AS before, loyalty.has_consent('ann', 'profiling') AS profiling,
	loyalty.has_consent('nobody', 'marketing') AS nobody;
SELECT purpose, consent_no, granted, at, source, role = current_user AS by_me, key FROM loyalty.consent WHERE program_id = :pid ORDER BY purpose, consent_no;

-- A key names one statement; saying the same again is a statement of its own
SELECT loyalty.set_consent('ann', 'marketing', true, source => 'web form', at => '2026-01-02 10:00Z', key => 'form 1');
SELECT loyalty.set_consent('ann', 'marketing', true, source => 'web form', key => 'form 1');
SELECT loyalty.set_consent('ann', 'marketing', false, source => 'web form', key => 'form 1');
SELECT loyalty.set_consent('ann', 'profiling', true, key => 'form 1');
SELECT loyalty.set_consent('ann', 'profiling', true, source => 'renewed');
SELECT purpose, count(*) FROM loyalty.consent WHERE program_id = :pid GROUP BY 1 ORDER BY 1;

-- What is wrong
SELECT loyalty.set_consent('nobody', 'marketing', true);
SELECT loyalty.set_consent('ann', NULL, true);
SELECT loyalty.set_consent('ann', 'marketing', NULL);
SELECT loyalty.set_consent('ann', '', true);
SELECT loyalty.set_consent('ann', repeat('x', 201), true);
SELECT loyalty.set_consent('ann', 'marketing', true, at => now() + '1 day');
SELECT loyalty.set_consent(NULL::text, 'marketing', true);

-- Numeric customer ids; another program's members have said nothing
SELECT loyalty.enroll(42) IS NOT NULL, loyalty.enroll('ann', program => 'consent_other') IS NOT NULL;
SELECT loyalty.set_consent(42, 'marketing', true);
SELECT loyalty.has_consent(42, 'marketing'), loyalty.has_consent('ann', 'profiling', program => 'consent_other');

-- Two who are one person have said it both; parted, each has what both had said
SELECT loyalty.set_consent('42', 'profiling', false, at => '2026-01-15Z');
SELECT loyalty.merge_members('42', 'ann');
SELECT loyalty.has_consent('42', 'marketing') AS marketing, loyalty.has_consent('42', 'profiling') AS profiling;
SELECT c.purpose, c.consent_no, c.granted, c.source FROM loyalty.consent c WHERE c.member_id = loyalty.find_member('ann') ORDER BY 1, 2;
SELECT loyalty.unmerge_members('42');
SELECT loyalty.has_consent('ann', 'marketing') AS ann, loyalty.has_consent('42', 'profiling') AS "42";

-- Who operates writes; who only reads does not see persons; he himself sees his own
CREATE ROLE regress_loyalty_consent_reader;
CREATE ROLE regress_loyalty_consent_clerk;
CREATE ROLE regress_loyalty_consent_app;
SELECT loyalty.grant_access('regress_loyalty_consent_reader', 'read', 'consent'),
	loyalty.grant_access('regress_loyalty_consent_clerk', 'operate', 'consent'),
	loyalty.grant_access('regress_loyalty_consent_app', 'member', 'consent');
SET ROLE regress_loyalty_consent_reader;
SELECT count(*) FROM loyalty.consents;
SELECT count(*) FROM loyalty.consent;
SELECT loyalty.set_consent('ann', 'marketing', true);
SET ROLE regress_loyalty_consent_clerk;
SELECT loyalty.set_consent('ann', 'newsletter', true);
SELECT loyalty.set_consent('ann', 'newsletter', true, program => 'consent_other');
SELECT count(*) FROM loyalty.consents;
SET ROLE regress_loyalty_consent_app;
SET loyalty.member_ref = 'ann';
SELECT purpose, granted FROM loyalty.consent ORDER BY purpose, consent_no;
SELECT loyalty.has_consent('ann', 'newsletter');
SELECT loyalty.has_consent('42', 'newsletter');
RESET ROLE;
RESET loyalty.member_ref;
SELECT * FROM loyalty.verify('consent');
SELECT loyalty.revoke_access('regress_loyalty_consent_reader', 'read', 'consent'),
	loyalty.revoke_access('regress_loyalty_consent_clerk', 'operate', 'consent'),
	loyalty.revoke_access('regress_loyalty_consent_app', 'member', 'consent');
DROP ROLE regress_loyalty_consent_reader, regress_loyalty_consent_clerk, regress_loyalty_consent_app;
