--
-- proposal: adjustments that await a second person
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset footer off
SET datestyle = iso;
SET timezone = 'UTC';
SET client_min_messages = warning; -- roles of an earlier run
DROP ROLE IF EXISTS regress_loyalty_proposal_ann, regress_loyalty_proposal_bob, regress_loyalty_proposal_cleo, regress_loyalty_proposal_desk;
RESET client_min_messages;
CREATE ROLE regress_loyalty_proposal_ann;
CREATE ROLE regress_loyalty_proposal_bob;
CREATE ROLE regress_loyalty_proposal_cleo;
CREATE ROLE regress_loyalty_proposal_desk;
GRANT regress_loyalty_proposal_desk TO regress_loyalty_proposal_ann, regress_loyalty_proposal_bob;
INSERT INTO loyalty.program (name, adjust_limit) VALUES ('proposal_a', 100);
INSERT INTO loyalty.program (name) VALUES ('proposal_b');
SELECT loyalty.grant_access(r, 'operate', p) FROM unnest('{regress_loyalty_proposal_ann,regress_loyalty_proposal_bob,regress_loyalty_proposal_desk}'::regrole[]) r, unnest('{proposal_a,proposal_b}'::text[]) p \g /dev/null
SELECT loyalty.grant_access('regress_loyalty_proposal_cleo', 'read', 'proposal_a');
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
-- the newest proposal of a member
CREATE FUNCTION newest(ref text) RETURNS text LANGUAGE sql AS $$
	SELECT proposal FROM loyalty.proposals WHERE member = ref ORDER BY length(proposal) DESC, proposal DESC LIMIT 1
$$;
UPDATE loyalty.program SET adjust_limit = 0 WHERE name = 'proposal_a';
UPDATE loyalty.program SET adjust_limit = -1 WHERE name = 'proposal_a';

-- Up to the limit one person will do, beyond it nothing is posted
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SET loyalty.program = 'proposal_a';
SELECT * FROM loyalty.adjust('m', 60, expires => '2990-12-31', reason => 'sorry');
SELECT * FROM loyalty.adjust('m', 40);
SELECT * FROM loyalty.adjust('m', 0.0001);
SELECT * FROM loyalty.adjust('m', -50, reason => 'mistake', key => 'k');
SELECT available FROM loyalty.balance('m');
-- a repeated key answers the same proposal, and other arguments are refused
SELECT * FROM loyalty.adjust('m', -50, reason => 'mistake', key => 'k');
SELECT command, try(command) FROM unnest(ARRAY[$$SELECT loyalty.adjust('m', -51, reason => 'mistake', key => 'k')$$, $$SELECT loyalty.adjust('m', -50, key => 'k')$$,
	$$SELECT loyalty.adjust('m', -50, reason => 'mistake', at => '2024-01-01', key => 'k')$$]) AS command;
-- what could not be posted is not proposed
SELECT command, try(command) FROM unnest(ARRAY[$$SELECT loyalty.adjust('m', -101)$$, $$SELECT loyalty.adjust('m', 500, expires => '2001-01-01')$$, $$SELECT loyalty.adjust('m', 0)$$]) AS command;
SELECT program, proposal, member, points, state, reason, key, proposed_by, proposed_session, decided_by FROM loyalty.proposals ORDER BY 2;
-- another member, and a program without a limit, are another matter
SELECT * FROM loyalty.adjust('n', -1);
SELECT * FROM loyalty.adjust('n', 100);
SELECT * FROM loyalty.adjust('n', 1000000, program => 'proposal_b');

-- Who proposed it does not approve it, whatever role he takes on, nor decline it
SELECT newest('m') AS p \gset
SELECT try(format('SELECT loyalty.%s(%L)', f, :'p')) FROM unnest('{approve,decline}'::text[]) f;
SET ROLE regress_loyalty_proposal_desk;
SELECT try(format('SELECT loyalty.%s(%L)', f, :'p')) FROM unnest('{approve,decline,withdraw}'::text[]) f;
-- and so he cannot split it either
SELECT * FROM loyalty.adjust('m', 1);
RESET ROLE;
-- who only reads sees it
SET SESSION AUTHORIZATION regress_loyalty_proposal_cleo;
SELECT count(*) FROM loyalty.proposals;
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
-- somebody else
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT command, try(command) FROM unnest(ARRAY[format('SELECT loyalty.withdraw(%L)', :'p'), format('SELECT loyalty.approve(%L, program => ''proposal_b'')', :'p'),
	'SELECT loyalty.approve(NULL)', $$SELECT loyalty.approve('')$$, $$SELECT loyalty.approve('m#1')$$, $$SELECT loyalty.approve('#1')$$, $$SELECT loyalty.approve('1#')$$, $$SELECT loyalty.approve('1#1')$$,
	$$SELECT loyalty.approve('-1#1')$$, $$SELECT loyalty.approve('1# 1')$$, $$SELECT loyalty.approve('99999999999999999999#1')$$, $$SELECT loyalty.approve('1#99999999999')$$]) AS command;
SELECT * FROM loyalty.approve(:'p', 'I saw it');
-- again: the same answer
SELECT * FROM loyalty.approve(:'p');
SELECT try(format('SELECT loyalty.%s(%L)', f, :'p')) FROM unnest('{decline,withdraw}'::text[]) f;
SELECT points, lots, source_key, context, note FROM loyalty.entry JOIN loyalty.program USING (program_id) WHERE name = 'proposal_a' AND member_id = loyalty.find_member('m') AND seq = 3;
SELECT state, decided_by, decided_session, decision_reason, entry_member, entry FROM loyalty.proposals WHERE proposal = :'p';
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT * FROM loyalty.adjust('m', -50, reason => 'mistake', key => 'k');
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
-- what two agreed on does not count toward what one may do
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT points FROM loyalty.adjust('m', 100);

-- Declined, withdrawn
SELECT * FROM loyalty.adjust('m', 500, key => 'd');
SELECT newest('m') AS p \gset
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT loyalty.decline(:'p', 'why?');
SELECT loyalty.decline(:'p', 'why?');
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT * FROM loyalty.adjust('m', 500, key => 'd');
SELECT try(format('SELECT loyalty.withdraw(%L)', :'p'));
SELECT * FROM loyalty.adjust('m', 600);
SELECT newest('m') AS p \gset
SELECT loyalty.withdraw(:'p');
SELECT loyalty.withdraw(:'p', 'again');
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT try(format('SELECT loyalty.%s(%L)', f, :'p')) FROM unnest('{approve,decline}'::text[]) f;
SELECT proposal, points, state, proposed_by, decided_by, decision_reason, proposed_at <= decided_at AS in_order FROM loyalty.proposals ORDER BY 1;

-- A last day and a time of its own; what has become impossible meanwhile is refused and stays open
SELECT * FROM loyalty.adjust('o', 300, expires => current_date, at => now() - interval '3 days');
SELECT newest('o') AS p \gset
RESET SESSION AUTHORIZATION;
SET session_replication_role = replica;
UPDATE loyalty.proposal SET expires = expires - 4 WHERE member_id = loyalty.member_id('o', 'proposal_a');
RESET session_replication_role;
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
RESET SESSION AUTHORIZATION;
SET session_replication_role = replica;
UPDATE loyalty.proposal SET expires = expires + 4 WHERE member_id = loyalty.member_id('o', 'proposal_a');
RESET session_replication_role;
SELECT loyalty.set_member('o', status => 'closed') \g /dev/null
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
SELECT loyalty.set_member('o', status => 'active') \g /dev/null
SELECT points FROM loyalty.approve(:'p');
SELECT occurred_at = at AS at, lots::text = format('{300@%s}', expires) AS lots FROM loyalty.proposals, loyalty.entry WHERE member = 'o' AND member_id = loyalty.find_member('o');

-- It follows a member who is merged
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT * FROM loyalty.adjust('old', 300, key => 'k');
SELECT * FROM loyalty.adjust('new', 7, key => 'k');
SELECT newest('old') AS p \gset
SELECT * FROM loyalty.adjust('old', 400, key => 'q');
SELECT loyalty.merge_members('old', 'new');
SELECT * FROM loyalty.adjust('old', 400, key => 'q');
-- what was adjusted of one was of the other
SELECT * FROM loyalty.adjust('old', 94);
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT points, balance FROM loyalty.approve(:'p');
SELECT member, state, entry_member, entry FROM loyalty.proposals WHERE proposal = :'p';
SELECT points, repeated FROM loyalty.approve(:'p');

-- Other ways to give points by hand take one, too, or another way
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT points FROM loyalty.adjust('x', 100, expires => '2990-01-01');
SELECT try($$SELECT loyalty.extend('x', '2990-01-01', '2991-01-01', points => 1)$$);
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT points FROM loyalty.extend('x', '2990-01-01', '2991-01-01', points => 30);
SELECT try($$SELECT loyalty.extend('x', '2990-01-01', '2991-01-01', points => 70.5)$$);
SELECT points FROM loyalty.extend('x', '2990-01-01', '2991-01-01', points => 70);
SELECT * FROM loyalty.adjust('x', 1);
-- to undo what somebody else, or two, have adjusted; not what one has just done himself
SELECT try($$SELECT loyalty.cancel('x', 1)$$);
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT points FROM loyalty.cancel('x', 1);
SELECT try($$SELECT loyalty.cancel('m', 3)$$);
SELECT context FROM loyalty.entry WHERE member_id = loyalty.find_member('x') AND seq = 4;
-- vouchers that give points
SELECT try($$SELECT loyalty.issue_voucher('y', 'points', points => 101)$$);
SELECT try($$SELECT loyalty.issue_voucher('y', 'points', points => 34, uses => 3)$$);
SELECT try($$SELECT loyalty.issue_voucher(NULL::text, 'points', points => 101)$$);
SELECT hint IS NOT NULL AS issued FROM loyalty.issue_voucher('y', 'points', points => 33, uses => 3, key => 'v');
SELECT try($$SELECT loyalty.issue_voucher('y', 'points', points => 2)$$);
SELECT hint IS NOT NULL AS issued FROM loyalty.issue_voucher('v', 'points', points => 60, at => now() - interval '3 days');
SELECT try($$SELECT loyalty.issue_voucher('v', 'points', points => 60, at => now() - interval '3 days')$$);
SELECT repeated FROM loyalty.issue_voucher('y', 'points', points => 33, uses => 3, key => 'v');
SELECT hint IS NOT NULL AS issued FROM loyalty.issue_voucher('y', 'value', value => 1000);
-- points that come back
RESET SESSION AUTHORIZATION;
SELECT points FROM loyalty.adjust('z', 90, expires => current_date - 1, at => now() - interval '3 days');
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT points FROM loyalty.adjust('z', 11);
SELECT try($$SELECT loyalty.reinstate('z')$$);
SELECT points FROM loyalty.reinstate('z', 89);
-- a day later one may again
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE loyalty.entry SET posted_at = posted_at - interval '1 day' WHERE member_id = loyalty.find_member('z');
SET LOCAL session_replication_role = origin;
SET LOCAL SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT points FROM loyalty.adjust('z', 100);
SELECT points FROM loyalty.adjust('z', 1);
ROLLBACK;

-- Of a velocity limit, a proposal that is approved is an adjustment like others
INSERT INTO loyalty.velocity_limit (program, name, kind, within, max_points) VALUES ('proposal_a', 'big', 'adjust', '1 day', 1000);
SET SESSION AUTHORIZATION regress_loyalty_proposal_ann;
SELECT * FROM loyalty.adjust('w', 1001);
SELECT newest('w') AS p \gset
SET SESSION AUTHORIZATION regress_loyalty_proposal_bob;
SELECT try(format('SELECT loyalty.approve(%L)', :'p'));
RESET SESSION AUTHORIZATION;
DELETE FROM loyalty.velocity_limit WHERE program = 'proposal_a';
SELECT * FROM loyalty.verify('proposal_a');
SELECT member, points, state FROM loyalty.proposals WHERE program = 'proposal_a' ORDER BY member, proposal;
DROP FUNCTION try, newest;
SELECT loyalty.revoke_access(a.role::regrole, a.access, p.name) FROM loyalty.access a JOIN loyalty.program p USING (program_id) WHERE p.name ~ '^proposal_';
DROP ROLE regress_loyalty_proposal_ann, regress_loyalty_proposal_bob, regress_loyalty_proposal_cleo, regress_loyalty_proposal_desk;
