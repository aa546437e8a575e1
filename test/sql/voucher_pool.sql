--
-- voucher_pool: codes that a supplier made: pools, imports, handing out
--
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET datestyle = iso;
SET intervalstyle = postgres;
SET timezone = 'UTC';
-- what a command answers: SQLSTATE, message, DETAIL and HINT, or "accepted"
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	code text; message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code || ' ' || message, 'DETAIL ' || nullif(regexp_replace(detail, '^Failing row .*', ''), ''), 'HINT ' || nullif(hint, ''));
END $$;
INSERT INTO loyalty.program (name, currency, time_zone) VALUES ('pool_a', 'USD', 'America/New_York'), ('pool_b', 'USD', 'UTC');
SET loyalty.program = 'pool_a';

-- A pool is a row, and makes sense
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[
	$$INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('pool_nowhere', 'x', 'value', 1)$$, $$INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('pool_a', '', 'value', 1)$$,
	$$INSERT INTO loyalty.voucher_pool (program, name, kind) VALUES ('pool_a', 'x', 'gift')$$, $$INSERT INTO loyalty.voucher_pool (program, name, kind) VALUES ('pool_a', 'x', 'value')$$,
	$$INSERT INTO loyalty.voucher_pool (program, name) VALUES ('pool_a', 'x')$$, $$INSERT INTO loyalty.voucher_pool (program, name, kind, percent) VALUES ('pool_a', 'x', 'percentage', 0)$$,
	$$INSERT INTO loyalty.voucher_pool (program, name, kind, value, stored) VALUES ('pool_a', 'x', 'value', 1, true)$$, $$INSERT INTO loyalty.voucher_pool (program, name, kind, value, uses) VALUES ('pool_a', 'x', 'value', 1, 0)$$,
	$$INSERT INTO loyalty.voucher_pool (program, name, kind, points, valid_for) VALUES ('pool_a', 'x', 'points', 1, '0')$$, $$INSERT INTO loyalty.voucher_pool (program, name, kind, points, maximum) VALUES ('pool_a', 'x', 'points', 1, 1)$$,
	$$INSERT INTO loyalty.voucher_pool (program, name, kind, points, valid_from, valid_until) VALUES ('pool_a', 'x', 'points', 1, '2024-02-01', '2024-01-01')$$, $$TRUNCATE loyalty.voucher_pool$$]) AS command;
-- the constraints say the same to whom no trigger tells
SET session_replication_role = replica;
SELECT command, pg_temp.try('INSERT INTO loyalty.voucher_pool (program, name, kind, value, percent, product, points, uses) VALUES (''pool_a'', ''x'', ' || command || ')') FROM unnest(ARRAY[
	$$'gift', 1, NULL, NULL, NULL, 1$$, $$'value', 'NaN', NULL, NULL, NULL, 1$$, $$'value', NULL, NULL, NULL, NULL, 1$$, $$'value', 1, 1, NULL, NULL, 1$$, $$'percentage', NULL, 101, NULL, NULL, 1$$, $$'product', NULL, NULL, '', NULL, 1$$,
	$$'points', NULL, NULL, NULL, 0, 1$$, $$'value', 1, NULL, NULL, NULL, 0$$]) AS command;
RESET session_replication_role;
INSERT INTO loyalty.voucher_pool (program, name, kind, value, valid_for) VALUES ('pool_a', 'film', 'value', 12, '1 month');
INSERT INTO loyalty.voucher_pool (program, name, kind, value, stored, uses, valid_until) VALUES ('pool_a', 'card', 'value', 50, true, NULL, '2990-01-01');
INSERT INTO loyalty.voucher_pool (program, name, kind, points) VALUES ('pool_b', 'film', 'points', 5);
SELECT pg_temp.try($$UPDATE loyalty.voucher_pool SET name = 'cinema' WHERE program = 'pool_b'$$), pg_temp.try($$UPDATE loyalty.voucher_pool SET points = -1 WHERE program = 'pool_b'$$);
UPDATE loyalty.voucher_pool SET name = 'film' WHERE program = 'pool_b';

-- Importing: once, however often
SELECT loyalty.import_vouchers('film', ARRAY['FILM-001', ' FILM-002' || E'\t\n', 'film-001', 'FILM-001', 'Zürich €7', '7kq4 9xmt 2r8w'], 'delivery 1');
SELECT loyalty.import_vouchers('film', ARRAY['FILM-001', ' FILM-002' || E'\t\n', 'film-001', 'FILM-001', 'Zürich €7', '7kq4 9xmt 2r8w'], 'delivery 1');
SELECT loyalty.import_vouchers('film', ARRAY['FILM-001', '7KQ4-9XMT-2R8W', 'FILM-003']);
SELECT loyalty.import_vouchers('film', '{}'), loyalty.import_vouchers('film', '{}', 'delivery 2'), loyalty.import_vouchers('film', ARRAY['FILM-003'], 'delivery 2');
SELECT loyalty.import_vouchers('card', (SELECT array_agg('card ' || n) FROM generate_series(1, 2500) n), 'all');
SELECT loyalty.import_vouchers('card', ARRAY['card 1', 'card 2501']);
SELECT arguments, pg_temp.try(format('SELECT loyalty.import_vouchers(%s)', arguments)) FROM unnest(ARRAY[
	$$NULL, '{a}'$$, $$'film', NULL$$, $$'nowhere', '{a}'$$, $$'card', '{a}', program => 'pool_b'$$, $$'film', '{a}', program => 'pool_nowhere'$$, $$'film', ARRAY['a', NULL]$$, $$'film', ARRAY['a', ' ']$$, $$'film', ARRAY['a', repeat('b', 201)]$$,
	$$'film', '{a}', repeat('k', 2000)$$, $$'card', ARRAY['new', 'other', 'FILM-001']$$, $$'film', ARRAY['new', 'FILM-002'], program => 'pool_b'$$, $$'film', ARRAY['card 17', 'new']$$]) AS arguments;
SELECT * FROM loyalty.voucher_stock WHERE program ~ '^pool_';
-- the hash is of the text in UTF-8, of a code like ours of its canonical form
SELECT convert_from(code, 'UTF8') AS code, hash = sha256(code) AS of_text, pool, delivery, issued_at, kind, value FROM loyalty.voucher WHERE pool = 'film' ORDER BY code;
SELECT count(*) FROM loyalty.voucher WHERE hash = loyalty.voucher_hash('7KQ4-9XMT-2R8W');
-- what is in a pool cannot be used yet
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.use_voucher('FILM-001', 1)$$), 'voucher \w+', 'voucher (hint)') AS try, (loyalty.voucher('FILM-001')).state;

-- Handing out, under the terms that the pool has then
UPDATE loyalty.voucher_pool SET value = 15, min_amount = 5 WHERE program = 'pool_a' AND name = 'film';
SELECT code, hint, repeated, why FROM loyalty.issue_voucher('ann', pool => 'film', reason => 'sorry', key => 'k1', at => '2024-02-29 04:59Z') \gset
SELECT hint = :'hint' AS hint, state, value, min_amount, uses, member, bearer, valid_until, issued_at, pool, note FROM loyalty.voucher(:'code', '2024-03-01');
-- in plain it is not kept, so it was shown once
SELECT code, hint = :'hint' AS hint, repeated, why FROM loyalty.issue_voucher('ann', pool => 'film', reason => 'sorry', key => 'k1');
SELECT count(*) FROM loyalty.voucher WHERE pool = 'film' AND issued_at IS NOT NULL AND code IS NULL AND NOT sealed;
SELECT arguments, regexp_replace(pg_temp.try(format('SELECT loyalty.issue_voucher(%s)', arguments)), 'voucher \w{4},', 'voucher (hint),') AS try FROM unnest(ARRAY[
	$$'ben', pool => 'film', reason => 'sorry', key => 'k1'$$, $$'ann', pool => 'card', reason => 'sorry', key => 'k1'$$, $$'ann', 'value', 15, reason => 'sorry', key => 'k1'$$, $$'ann', pool => 'film', key => 'k1'$$,
	$$'ann', pool => 'film', value => 3$$, $$'ann', 'value', pool => 'film'$$, $$pool => 'film', valid_for => '1 day'$$, $$pool => 'nowhere'$$, $$pool => 'film', program => 'pool_b'$$]) AS arguments;
-- with the secret it is kept sealed, and can be shown again
SET loyalty.voucher_secret = 'sixteen bytes...';
SELECT code AS sealed FROM loyalty.issue_voucher(pool => 'film', key => 'k2') \gset
SELECT code = :'sealed' AS same, repeated, why FROM loyalty.issue_voucher(pool => 'film', key => 'k2');
SELECT sealed, convert_to(:'sealed', 'UTF8') <> code AS unreadable FROM loyalty.voucher WHERE key = 'k2';
SELECT loyalty.import_vouchers('card', ARRAY['sealed from the start, and longer than one block of the key stream'], 'sealed');
SELECT sealed, length(code), position('sealed' IN encode(code, 'escape')) FROM loyalty.voucher WHERE delivery = 'sealed';
SET loyalty.voucher_secret = 'another secret of the shop';
SELECT code, repeated, why FROM loyalty.issue_voucher(pool => 'film', key => 'k2');
INSERT INTO loyalty.voucher_pool (program, name, kind, points) VALUES ('pool_a', 'one', 'points', 5);
SELECT loyalty.import_vouchers('one', ARRAY['only one, under another secret']);
SET loyalty.voucher_secret = '';
SELECT code, repeated, why FROM loyalty.issue_voucher(pool => 'film', key => 'k2');
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.issue_voucher(pool => 'one')$$), 'code \w{4} ', 'code (hint) ') AS try;
SET loyalty.voucher_secret = 'sixteen bytes...';
SELECT regexp_replace(pg_temp.try($$SELECT loyalty.issue_voucher(pool => 'one')$$), 'code \w{4} ', 'code (hint) ') AS try;
SET loyalty.voucher_secret = 'another secret of the shop';
SELECT code, repeated FROM loyalty.issue_voucher('ann', pool => 'one');
SELECT code, kind, takes FROM loyalty.vouchers('ann', 100, '2024-03-01');
SET loyalty.voucher_secret = '';

-- until it is empty; each code once, and no void one
SELECT convert_from(code, 'UTF8') AS void FROM loyalty.voucher WHERE pool = 'film' AND issued_at IS NULL ORDER BY code LIMIT 1 \gset
SELECT "left", repeated FROM loyalty.void_voucher(:'void', 'printed wrongly');
CREATE TEMP TABLE handed_out AS SELECT i.code FROM generate_series(1, 3) n, loyalty.issue_voucher(pool => 'film', reason => 'number ' || n) i;
SELECT count(DISTINCT code), bool_or(code = :'void') AS void, bool_or(code IN (:'code', :'sealed')) AS twice FROM handed_out;
SELECT pg_temp.try($$SELECT loyalty.issue_voucher(pool => 'film')$$);
SELECT pg_temp.try($$SELECT loyalty.issue_voucher(pool => 'film', key => 'k3')$$);
INSERT INTO loyalty.voucher_pool (program, name, kind, product) VALUES ('pool_a', 'none', 'product', 'tea');
SELECT pg_temp.try($$SELECT loyalty.issue_voucher(pool => 'none')$$);
SELECT * FROM loyalty.voucher_stock WHERE program ~ '^pool_';
-- an import does not bring back what has been handed out
SELECT loyalty.import_vouchers('film', ARRAY['FILM-001', 'FILM-002', 'film-001', 'FILM-003']);

-- What is handed out is a voucher like any other, in whatever way its code is written
SELECT code AS card FROM loyalty.issue_voucher(pool => 'card') \gset
SELECT taken, "left" FROM loyalty.use_voucher(' ' || :'card' || ' ', 20);
SELECT pg_temp.try(format('SELECT loyalty.use_voucher(%L, 20)', upper(:'card')));
SELECT taken, "left" FROM loyalty.use_voucher(:'card', 40);
SELECT given_back, "left" FROM loyalty.return_voucher(:'card', 5);

-- A pool with codes keeps its name, and stays; its terms may change
SELECT command, pg_temp.try(command) FROM unnest(ARRAY[$$DELETE FROM loyalty.voucher_pool WHERE program = 'pool_a' AND name = 'film'$$, $$UPDATE loyalty.voucher_pool SET name = 'cinema' WHERE program = 'pool_a' AND name = 'film'$$,
	$$UPDATE loyalty.voucher_pool SET program = 'pool_b' WHERE program = 'pool_a' AND name = 'card'$$, $$UPDATE loyalty.voucher_pool SET value = 20 WHERE program = 'pool_a' AND name = 'film'$$, $$DELETE FROM loyalty.voucher_pool WHERE program = 'pool_a' AND name = 'none'$$,
	$$UPDATE loyalty.voucher_pool SET valid_from = '2990-01-01' WHERE program = 'pool_a' AND name = 'card'$$, $$UPDATE loyalty.voucher_pool SET valid_from = '2989-12-31', valid_for = '1 day' WHERE program = 'pool_a' AND name = 'card'$$, $$SELECT loyalty.issue_voucher(pool => 'card')$$]) AS command;
SELECT * FROM loyalty.verify('pool_a');
