--
-- voucher: codes that are worth something: issuing, using, returning, making void, and looking at them
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"; times of now and hints, which differ, are not shown
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	detail := regexp_replace(regexp_replace(detail, '^Failing row .*', ''), to_char(now(), 'YYYY-MM-DD') || ' [0-9:.]+\+00', '(now)', 'g');
	message := regexp_replace(message, 'voucher [0-9A-Z]{4} ', 'voucher (hint) ');
	detail := regexp_replace(detail, 'oucher [0-9A-Z]{4},', 'oucher (hint),');
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, currency) VALUES ('voucher_a', 'USD'), ('voucher_b', 'USD');
INSERT INTO loyalty.program (name, auto_enroll) VALUES ('voucher_club', false);
SET loyalty.program = 'voucher_a';

-- The secret: long enough, and shown to nobody
SELECT pg_temp.try($$SET loyalty.voucher_secret = 'fifteen bytes..'$$);
SELECT pg_temp.try($$ALTER ROLE CURRENT_USER SET loyalty.voucher_secret = 'sixteen bytes...'$$);
SELECT pg_temp.try($$CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET loyalty.voucher_secret = 'sixteen bytes...' AS 'SELECT 1'$$);
SHOW loyalty.voucher_secret;
SET loyalty.voucher_secret = 'sixteen bytes...';
SHOW loyalty.voucher_secret;
SELECT count(*) FROM pg_settings WHERE name = 'loyalty.voucher_secret' OR setting ~ 'sixteen';
CREATE ROLE regress_loyalty_clerk;
GRANT pg_monitor TO regress_loyalty_clerk;
SET ROLE regress_loyalty_clerk;
SHOW loyalty.voucher_secret;
SELECT pg_temp.try($$SET loyalty.voucher_secret = 'a secret of the clerk'$$);
SELECT pg_temp.try($$SELECT loyalty.use_voucher('x', 1)$$);
RESET ROLE;
DROP ROLE regress_loyalty_clerk;

-- A code is derived from what it is for: HMAC-SHA-256 under the secret, by hand
SELECT code, hint, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'k1') \gset
CREATE FUNCTION pg_temp.pad(key bytea, filler int) RETURNS bytea LANGUAGE sql AS $$
	SELECT decode(string_agg(lpad(to_hex(get_byte(key || decode(repeat('00', 64), 'hex'), i) # filler), 2, '0'), '' ORDER BY i), 'hex') FROM generate_series(0, 63) i
$$;
CREATE FUNCTION pg_temp.hmac(key bytea, message text) RETURNS bytea LANGUAGE sql AS $$
	SELECT sha256(pg_temp.pad(key, 92) || sha256(pg_temp.pad(key, 54) || convert_to(message, 'UTF8')))
$$;
SELECT pg_temp.hmac('Jefe', 'what do ya want for nothing?') = '\x5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' AS hand_of_rfc_4231;
SELECT :'code' = loyalty.derive_voucher_code(pg_temp.hmac('sixteen bytes...', format('issue %s %s k1', program_id, encode(nonce, 'hex'))))::text AS by_hand
	FROM loyalty.program JOIN loyalty.voucher USING (program_id) WHERE key = 'k1' AND name = 'voucher_a';
-- also with a secret that is longer than a block of SHA-256
SET loyalty.voucher_secret = '0123456789012345678901234567890123456789012345678901234567890123456789';
SELECT code AS long FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'long') \gset
SELECT :'long' = loyalty.derive_voucher_code(pg_temp.hmac(sha256('0123456789012345678901234567890123456789012345678901234567890123456789'), format('issue %s %s long', program_id, encode(nonce, 'hex'))))::text AS by_hand
	FROM loyalty.program JOIN loyalty.voucher USING (program_id) WHERE key = 'long' AND name = 'voucher_a';
SET loyalty.voucher_secret = 'sixteen bytes...';
-- the table has its hash, and a hint that is of the hash
SELECT count(*), bool_and(hint = left(loyalty.derive_voucher_code(hash)::text, 4)) AS hint FROM loyalty.voucher WHERE hash = loyalty.voucher_hash(:'code');
SELECT count(*) FROM loyalty.voucher v WHERE v::text ~ replace(:'code', '-', '') OR v::text ~ :'code';

-- The same key: the same code
SELECT code = :'code' AS same, hint = :'hint' AS hint, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25.00, key => 'k1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.issue_voucher(%s)', arguments)) FROM unnest(ARRAY[
	$$kind => 'value', value => 26, key => 'k1'$$, $$kind => 'value', value => 25, stored => false, key => 'k1'$$, $$'ann', 'value', 25, key => 'k1'$$,
	$$kind => 'value', value => 25, valid_for => '1 day', key => 'k1'$$, $$kind => 'value', value => 25, reason => 'x', key => 'k1'$$,
	$$kind => 'percentage', percent => 25, key => 'k1'$$, $$kind => 'value', value => 25, key => 'k1', at => '2024-01-01'$$]) AS arguments;
SELECT code <> :'code' AS another FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'k1', program => 'voucher_b');
SELECT repeated FROM loyalty.issue_voucher('ann', 'percentage', percent => 10, valid_for => '1 month', key => 'month', at => '2024-01-31 12:00Z');
SELECT repeated FROM loyalty.issue_voucher('ann', 'percentage', percent => 10, valid_for => '1 month', key => 'month');
SELECT valid_until FROM loyalty.voucher WHERE key = 'month';
-- with another secret, or none, it cannot be shown again
SET loyalty.voucher_secret = 'another secret of 31 bytes here';
SELECT code, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'k1');
SET loyalty.voucher_secret = '';
SELECT code, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'k1');
SELECT code ~ '^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$' AS code, length(hint) AS hint, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'random');
SELECT code, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'random');
SET loyalty.voucher_secret = 'sixteen bytes...';
SELECT code, repeated, why FROM loyalty.issue_voucher(kind => 'value', value => 25, key => 'random');
-- without a key it is random all the same
SELECT count(DISTINCT code), bool_or(repeated) AS repeated FROM generate_series(1, 20) n, loyalty.issue_voucher(kind => 'value', value => n);

-- What makes no sense
SELECT arguments, pg_temp.try(format('SELECT loyalty.issue_voucher(%s)', arguments)) FROM unnest(ARRAY[
	$$'ann'$$, $$kind => 'gift', value => 1$$, $$kind => 'value'$$, $$kind => 'value', value => 0$$, $$kind => 'value', value => -1$$, $$kind => 'value', value => 'NaN'$$, $$kind => 'value', value => 'Infinity'$$,
	$$kind => 'value', value => 1, percent => 1$$, $$kind => 'value', value => 1, maximum => 1$$, $$kind => 'value', value => 1, product => 'tea'$$, $$kind => 'value', value => 1, points => 1$$,
	$$kind => 'percentage'$$, $$kind => 'percentage', percent => 0$$, $$kind => 'percentage', percent => 100.01$$, $$kind => 'percentage', percent => 'NaN'$$, $$kind => 'percentage', percent => 1.00001$$,
	$$kind => 'percentage', percent => 10, maximum => 0$$, $$kind => 'percentage', percent => 10, stored => true$$,
	$$kind => 'product'$$, $$kind => 'product', product => ''$$, $$kind => 'product', product => repeat('x', 2001)$$, $$kind => 'points'$$, $$kind => 'points', points => -1$$, $$kind => 'points', points => 0.00001$$,
	$$kind => 'value', value => 1, uses => -1$$, $$kind => 'value', value => 1, per_member => -1$$, $$kind => 'value', value => 1, min_amount => -0.01$$, $$kind => 'value', value => 1, stored => true, uses => 1$$,
	$$kind => 'value', value => 1, valid_from => '2024-01-02', valid_until => '2024-01-02'$$, $$kind => 'value', value => 1, valid_for => '0'$$, $$kind => 'value', value => 1, valid_for => '-1 day'$$,
	$$kind => 'value', value => 1, key => repeat('k', 2000)$$, $$'', 'value', 1$$, $$'stranger', 'value', 1, program => 'voucher_club'$$, $$kind => 'value', value => 1, program => 'voucher_nowhere'$$,
	$$kind => 'value', value => 1, at => now() + interval '1 hour'$$]) AS arguments;

-- A stored value: every use takes what fits
SELECT * FROM loyalty.use_voucher(:'code', 10.50, 'ann', 'o1', 'till 3', key => 'u1');
SELECT * FROM loyalty.use_voucher(lower(replace(:'code', '-', ' ')), 9, 42);
SELECT * FROM loyalty.use_voucher(:'code', 10, purchase => 'o2');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 1, program => %L)', :'code', p)) FROM unnest('{voucher_a,voucher_b}'::text[]) p;
SELECT u.use_no, m.ref, u.amount, u.taken, u.given_back, u.remaining, u.purchase, u.key, u.note FROM loyalty.voucher_use u LEFT JOIN loyalty.member m USING (member_id) WHERE u.hash = loyalty.voucher_hash(:'code') ORDER BY 1;
-- the same key answers the same
SELECT * FROM loyalty.use_voucher(:'code', 10.5, 'ann', 'o1', 'till 3', key => 'u1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.use_voucher(%L, %s)', :'code', arguments)) FROM unnest(ARRAY[
	$$10, 'ann', 'o1', 'till 3', 'u1'$$, $$10.5, 'ben', 'o1', 'till 3', 'u1'$$, $$10.5, 'ann', 'o2', 'till 3', 'u1'$$, $$10.5, 'ann', 'o1', NULL, 'u1'$$, $$10.5, 'ann', 'o1', 'till 3', 'u1', '2024-01-01'$$]) AS arguments;
SELECT code AS other FROM loyalty.issue_voucher(kind => 'value', value => 5, stored => false, key => 'other') \gset
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 10.5, %L, %L, %L, %L)', :'other', 'ann', 'o1', 'till 3', 'u1'));
-- what makes no sense
SELECT arguments, pg_temp.try(format('SELECT loyalty.use_voucher(%s)', arguments)) FROM unnest(ARRAY[
	$$NULL, 1$$, $$'', 1$$, $$' ', 1$$, $$repeat('x', 201), 1$$, $$'7KQ4-9XMT-2R8X', 1$$, $$'7KQ4-9XMT-2R8W', 1$$, $$'nonsense', 1$$, $$'x', 0$$, $$'x', -1$$, $$'x', 'NaN'$$, $$'x', 'Infinity'$$, $$'x', 1, ''$$, $$'x', 1, purchase => ''$$,
	$$'x', 1, purchase => repeat('x', 2001)$$, $$'x', 1, key => repeat('k', 2000)$$, $$'x', 1, at => 'infinity'$$, $$'x', 1, at => now() + interval '1 hour'$$, $$'x', 1, 'stranger', program => 'voucher_club'$$]) AS arguments;

-- A value that is not stored: nothing is left after
SELECT * FROM loyalty.use_voucher(:'other', 3);
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 1)', :'other'));
SELECT code AS thrice FROM loyalty.issue_voucher(kind => 'value', value => 5, uses => 3, key => 'thrice') \gset
SELECT taken, "left", use_no FROM unnest(ARRAY[7, 3, 5]) WITH ORDINALITY a(amount, n), loyalty.use_voucher(:'thrice', amount) ORDER BY n;
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 1)', :'thrice'));
-- A percentage: down to the decimals of the amount, and at least two; up to its maximum
SELECT code AS tenth FROM loyalty.issue_voucher(kind => 'percentage', percent => 12.5, maximum => 20, min_amount => 0.1, uses => 0, key => 'tenth') \gset
SELECT amount, taken FROM unnest(ARRAY[9.99, 10, 0.1, 33.3333, 160, 1000, 159.99, 1e15]) WITH ORDINALITY a(amount, n), loyalty.use_voucher(:'tenth', amount) ORDER BY n;
SELECT amount, pg_temp.try(format('SELECT loyalty.use_voucher(%L, %L)', :'tenth', amount)) FROM unnest(ARRAY[0.05, NULL]) amount;
SELECT code AS small FROM loyalty.issue_voucher(kind => 'percentage', percent => 1, key => 'small') \gset
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 0.99)', :'small'));
-- A product, whatever it costs
SELECT code AS latte FROM loyalty.issue_voucher('ann', 'product', product => 'latte', key => 'latte') \gset
SELECT member, pg_temp.try(format('SELECT loyalty.use_voucher(%L, 4.20, %L)', :'latte', member)) FROM unnest('{NULL,ben}'::text[]) member;
SELECT * FROM loyalty.use_voucher(:'latte', 4.20, 'ann');
-- Points: they are the member's at once
SELECT code AS fifty FROM loyalty.issue_voucher(kind => 'points', points => 50.5, uses => 10, per_member => 2, key => 'fifty') \gset
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L)', :'fifty'));
SELECT * FROM loyalty.use_voucher(:'fifty', member => 'ben', purchase => 'o9', reason => 'welcome', key => 'p1');
SELECT * FROM loyalty.use_voucher(:'fifty', member => 'ben', purchase => 'o9', reason => 'welcome', key => 'p1');
SELECT taken, use_no FROM loyalty.use_voucher(:'fifty', 12, 'ben');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, member => %L)', :'fifty', 'ben'));
SELECT taken, use_no FROM loyalty.use_voucher(:'fifty', NULL, 7);
SELECT available, lifetime FROM loyalty.balance('ben');
SELECT kind, points, lots, note, context - 'voucher' AS context, source_key = format('voucher %s#%s', encode(loyalty.voucher_hash(:'fifty'), 'hex'), seq) AS key
	FROM loyalty.entry WHERE member_id = loyalty.find_member('ben') ORDER BY seq;
-- Who may use it
SELECT loyalty.enroll('sue') IS NOT NULL AS enrolled, loyalty.set_member('sue', 'suspended');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, member => %L)', :'fifty', 'sue'));
-- When
SELECT code AS spring FROM loyalty.issue_voucher('ann', 'value', 10, min_amount => 20, valid_from => '2024-03-01', valid_until => '2024-06-01', key => 'spring') \gset
SELECT at, (loyalty.voucher(:'spring', at)).state FROM unnest(ARRAY['2024-02-01', '2024-03-01', '2024-06-01', '2990-01-01']::timestamptz[]) at;
SELECT at, pg_temp.try(format('SELECT loyalty.use_voucher(%L, 20, %L, at => %L)', :'spring', 'ann', at)) FROM unnest(ARRAY['2024-02-29 23:59:59.999999', '2024-06-01']::timestamptz[]) at;
SELECT amount, pg_temp.try(format('SELECT loyalty.use_voucher(%L, %s, %L, at => %L)', :'spring', amount, 'ann', '2024-05-01')) FROM unnest('{19.99,20}'::numeric[]) amount;
SELECT (loyalty.voucher(:'spring', '2024-05-01')).state;

-- Giving back: never more than was taken, the latest use of the purchase first
SELECT * FROM loyalty.return_voucher(:'code', 4.5, 'o1', 'one item', key => 'r1');
SELECT * FROM loyalty.return_voucher(:'code', 4.50, 'o1', 'one item', key => 'r1');
SELECT arguments, pg_temp.try(format('SELECT loyalty.return_voucher(%L, %s)', :'code', arguments)) FROM unnest(ARRAY[
	$$4, 'o1', 'one item', 'r1'$$, $$NULL, 'o1', 'one item', 'r1'$$, $$4.5, 'o2', 'one item', 'r1'$$, $$4.5, 'o1', NULL, 'r1'$$, $$4.5, 'o1', 'one item', 'r1', '2024-01-01'$$,
	$$6.01, 'o1'$$, $$1, 'o3'$$, $$0$$, $$-1$$, $$'NaN'$$, $$1, ''$$, $$1, 'o1', at => '2024-01-01'$$]) AS arguments;
SELECT given_back, "left", use_no FROM loyalty.return_voucher(:'code', 6, 'o1');
SELECT pg_temp.try(format('SELECT loyalty.return_voucher(%L, 0.01, %L)', :'other', 'o1'));
SELECT given_back, "left", use_no FROM loyalty.return_voucher(:'code');
SELECT given_back, "left", use_no FROM loyalty.return_voucher(:'code');
SELECT pg_temp.try(format('SELECT loyalty.return_voucher(%L)', :'code'));
SELECT state, value, "left", used FROM loyalty.voucher(:'code');
-- a use that went back whole does not count any more, one that went back in part does
SELECT given_back, use_no FROM loyalty.return_voucher(:'thrice', 2);
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 1)', :'thrice'));
SELECT given_back, use_no FROM loyalty.return_voucher(:'thrice');
SELECT taken, "left", use_no FROM loyalty.use_voucher(:'thrice', 1);
-- also when it has ended, or is void, meanwhile
SELECT given_back, "left" FROM loyalty.return_voucher(:'spring', 7);
SELECT (loyalty.voucher(:'spring')).state;
-- points are taken back, as far as they are there
SELECT given_back, "left", use_no FROM loyalty.return_voucher(:'fifty', 20, 'o9', key => 'pr');
SELECT points FROM loyalty.spend('ben', 60);
SELECT pg_temp.try(format('SELECT loyalty.return_voucher(%L, purchase => %L)', :'fifty', 'o9'));
SELECT points FROM loyalty.adjust('ben', 10);
SELECT given_back, repeated FROM loyalty.return_voucher(:'fifty', purchase => 'o9');
SELECT kind, points, nullif(context - '{by,voucher}'::text[], '{}') AS context FROM loyalty.entry WHERE member_id = loyalty.find_member('ben') ORDER BY seq;
SELECT taken, use_no FROM loyalty.use_voucher(:'fifty', member => 'ben');
SELECT points, pg_temp.try(format('SELECT loyalty.return_voucher(%L, %s, %L)', :'fifty', points, 'o9')) FROM unnest('{0.5}'::numeric[]) points;
-- those first that came by it, though others end sooner
SELECT points FROM loyalty.adjust('dan', 50, expires => '2990-01-31');
SELECT code AS never FROM loyalty.issue_voucher('dan', 'points', points => 30, key => 'never') \gset
SELECT taken FROM loyalty.use_voucher(:'never', member => 'dan');
SELECT points FROM loyalty.adjust('dan', -60);
SELECT given_back FROM loyalty.return_voucher(:'never', 15);
SELECT given_back FROM loyalty.return_voucher(:'never', 4.5);
SELECT points, lots FROM loyalty.entry WHERE member_id = loyalty.find_member('dan') ORDER BY seq;

-- Void: once and for all
SELECT void_at = now() AS now, "left", repeated FROM loyalty.void_voucher(:'code', 'reported stolen');
SELECT "left", repeated FROM loyalty.void_voucher(:'code', 'again', at => '2024-01-01');
SELECT state, void_reason FROM loyalty.voucher(:'code');
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 1)', :'code'));
SELECT arguments, pg_temp.try(format('SELECT loyalty.void_voucher(%s)', arguments)) FROM unnest(ARRAY[$$NULL$$, $$'7KQ4-9XMT-2R8W'$$, $$'x', at => 'infinity'$$]) AS arguments;

-- Looking at one
SELECT state, kind, value, stored, "left", percent, maximum, product, points, uses, used, per_member, min_amount, member, bearer, pool FROM unnest(ARRAY[:'code', :'other', :'tenth', :'latte', :'fifty', :'spring', :'never']) WITH ORDINALITY c(code, n), loyalty.voucher(code) ORDER BY n;
SELECT pg_temp.try($$SELECT loyalty.voucher('7KQ4-9XMT-2R8W')$$), pg_temp.try(format('SELECT loyalty.voucher(%L, program => %L)', :'fifty', 'voucher_b'));
-- those that a member could use, and what each would take
SELECT code AS e1 FROM loyalty.issue_voucher('eve', 'value', 10, valid_until => '2990-02-01', key => 'e1') \gset
SELECT repeated FROM loyalty.issue_voucher('eve', 'percentage', percent => 50, maximum => 8, min_amount => 12, valid_until => '2990-01-01', key => 'e2');
SELECT repeated FROM loyalty.issue_voucher('eve', 'points', points => 5, uses => 2, key => 'e3');
SELECT repeated FROM loyalty.issue_voucher('eve', 'product', product => 'tea', valid_until => '2024-01-01', valid_from => '2023-01-01');
SELECT taken FROM loyalty.use_voucher(:'e1', 4, 'eve');
SELECT code IS NOT NULL AS code, kind, takes, "left", percent, maximum, product, points, uses_left, min_amount, valid_until, bearer FROM loyalty.vouchers('eve', 15);
SELECT code = :'e1' AS code, kind, takes FROM loyalty.vouchers('eve');
SELECT kind, takes FROM loyalty.vouchers('eve', 11.99);
SELECT kind, takes FROM loyalty.vouchers('eve', 3, '2023-06-01');
SELECT kind, takes FROM loyalty.vouchers('eve', 3, '2990-01-15');
-- whoever only reads sees no code, whomever he names
CREATE ROLE regress_loyalty_voucher_reader;
SELECT loyalty.grant_access('regress_loyalty_voucher_reader', 'read', 'voucher_a');
SET ROLE regress_loyalty_voucher_reader;
SELECT code, kind FROM loyalty.vouchers('eve');
SET loyalty.member_ref = 'eve';
SELECT code, kind FROM loyalty.vouchers('eve');
RESET loyalty.member_ref;
RESET ROLE;
SELECT loyalty.revoke_access('regress_loyalty_voucher_reader', 'read', 'voucher_a');
DROP ROLE regress_loyalty_voucher_reader;
SET loyalty.voucher_secret = '';
SELECT code, kind FROM loyalty.vouchers('eve');
SELECT kind FROM loyalty.vouchers(7);
SELECT kind FROM loyalty.vouchers('stranger');
SELECT arguments, pg_temp.try(format('SELECT loyalty.vouchers(%s)', arguments)) FROM unnest(ARRAY[$$NULL::text$$, $$''$$, $$'eve', 0$$, $$'eve', 'NaN'$$, $$'eve', 1, 'infinity'$$, $$'stranger', program => 'voucher_club'$$]) AS arguments;
-- reading writes nothing
BEGIN READ ONLY;
SELECT count(*) FROM loyalty.vouchers('eve', 1);
SELECT state FROM loyalty.voucher(:'e1');
SELECT pg_current_xact_id_if_assigned() IS NULL AS nothing_written;
COMMIT;
SELECT * FROM loyalty.verify('voucher_a');
SELECT * FROM loyalty.verify('voucher_b');
