-- voucher: whatever is used and given back, a voucher pays what it is worth and no more; verify finds what was changed by hand
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL search_path = public;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = iso;
SET LOCAL client_min_messages = error;
SET LOCAL loyalty.voucher_secret = 'a secret of the tests';
SELECT no_plan();

-- SQLSTATE of a command, 00000 when it is accepted; then it stands
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN '00000';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION found() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', v.invariant, v.member, regexp_replace(v.problem, 'voucher [0-9A-Z]{4}\M', 'voucher'), v.expected, v.actual)
	FROM loyalty.verify() v WHERE v.invariant <> 'I3'
$$;
-- a change by hand, what verify() says of it, and the change undone
CREATE FUNCTION tamper(change text, VARIADIC lines text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		EXECUTE change;
		answer := is((SELECT coalesce(array_agg(f ORDER BY f COLLATE "C"), '{}') FROM found() f), lines, change);
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
	END;
	RETURN answer;
END $$;
CREATE FUNCTION sound(description text) RETURNS text LANGUAGE sql AS $$
	SELECT is_empty('SELECT * FROM found()', description)
$$;

INSERT INTO loyalty.program (name, expiry) VALUES ('beans', '12 months');

-- A model of vouchers, beside which random uses and returns are made
CREATE TABLE voucher (n int PRIMARY KEY, code text, kind text, value numeric, stored boolean, percent numeric, maximum numeric, points numeric, uses int, per_member int, owner text, void boolean DEFAULT false);
CREATE TABLE use (n int, use_no int, member text, purchase text, taken numeric, back numeric DEFAULT 0, PRIMARY KEY (n, use_no));
SELECT setseed(0.2718) \g /dev/null
INSERT INTO voucher (n, kind, value, stored, percent, maximum, points, uses, per_member, owner)
	SELECT n, kind, CASE kind WHEN 'value' THEN 10 + n * 3.33 END, kind = 'value' AND n % 8 >= 4, CASE kind WHEN 'percentage' THEN 1 + n * 1.5 END,
		CASE WHEN kind = 'percentage' AND n % 3 = 0 THEN 5.55 END, CASE kind WHEN 'points' THEN 12.5 END,
		CASE WHEN kind = 'value' AND n % 8 >= 4 THEN (CASE WHEN n % 5 = 0 THEN 3 ELSE 0 END) ELSE 1 + n % 4 END, CASE WHEN n % 3 = 1 THEN 2 ELSE 0 END, CASE WHEN n % 5 = 4 THEN 'm' || 1 + n % 3 END
	FROM (SELECT n, (ARRAY['value', 'percentage', 'product', 'points'])[1 + n % 4] AS kind FROM generate_series(1, 40) n) k;
UPDATE voucher v SET code = i.code FROM voucher w, LATERAL loyalty.issue_voucher(w.owner, w.kind, value => w.value, percent => w.percent, maximum => w.maximum, points => w.points,
	product => CASE w.kind WHEN 'product' THEN 'tea' END, stored => w.stored, uses => w.uses, per_member => w.per_member, key => w.n::text) i WHERE w.n = v.n;
SELECT is(count(DISTINCT code), 40::bigint, 'codes') FROM voucher;
SELECT is_empty($$SELECT * FROM voucher v, loyalty.issue_voucher(v.owner, v.kind, value => v.value, percent => v.percent, maximum => v.maximum, points => v.points,
	product => CASE v.kind WHEN 'product' THEN 'tea' END, stored => v.stored, uses => v.uses, per_member => v.per_member, key => v.n::text) i WHERE i.code <> v.code OR NOT i.repeated$$, 'which a key answers again');
SELECT is_empty($$SELECT * FROM voucher v WHERE NOT EXISTS (SELECT FROM loyalty.voucher w WHERE w.hash = loyalty.voucher_hash(v.code::loyalty.voucher_code))$$, 'and the table has the hash of');

CREATE FUNCTION expected_use(v voucher, who text, amount numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	standing int := (SELECT count(*) FROM use u WHERE u.n = v.n AND u.back < u.taken);
	own int := (SELECT count(*) FROM use u WHERE u.n = v.n AND u.back < u.taken AND u.member = who);
	rest numeric := v.value - (SELECT coalesce(sum(u.taken - u.back), 0) FROM use u WHERE u.n = v.n);
	result numeric;
BEGIN
	IF v.void OR (v.uses > 0 AND standing >= v.uses) OR (v.owner IS NOT NULL AND v.owner IS DISTINCT FROM who) OR (who IS NULL AND (v.per_member > 0 OR v.kind = 'points'))
		OR (v.per_member > 0 AND own >= v.per_member) THEN
		RETURN NULL;
	END IF;
	result := CASE v.kind WHEN 'value' THEN least(amount, CASE WHEN v.stored THEN rest ELSE v.value END) WHEN 'product' THEN amount WHEN 'points' THEN v.points
		ELSE least(floor(amount * v.percent) / 100, coalesce(v.maximum, 'Infinity')) END;
	RETURN CASE WHEN result > 0 THEN result END;
END $$;
CREATE FUNCTION go(times int) RETURNS TABLE (what text, expected text, got text) LANGUAGE plpgsql AS $$
DECLARE
	v voucher;
	u use;
	who text;
	cash numeric;
	bill text;
	a record;
BEGIN
	FOR i IN 1 .. times LOOP
		SELECT * INTO v FROM voucher ORDER BY random() LIMIT 1;
		who := (ARRAY['m1', 'm2', 'm3', NULL])[1 + floor(random() * 4)];
		cash := round((random() ^ 3 * 60 + 0.01)::numeric, 2);
		bill := 'o' || floor(random() * 6);
		expected := NULL;
		got := NULL;
		IF random() < 0.6 THEN
			what := format('use %s %s %s %s', v.n, v.kind, who, cash);
			expected := expected_use(v, who, cash)::text;
			BEGIN
				SELECT * INTO a FROM loyalty.use_voucher(v.code, cash, who, bill, key => i::text);
				got := a.taken;
				INSERT INTO use VALUES (v.n, a.use_no, who, bill, a.taken);
				IF a.taken <> (SELECT r.taken FROM loyalty.use_voucher(v.code, cash, who, bill, key => i::text) r WHERE r.repeated AND r.use_no = a.use_no) THEN
					got := 'another answer';
				END IF;
			EXCEPTION WHEN SQLSTATE 'LY025' THEN
			END;
		ELSIF random() < 0.95 THEN
			IF random() < 0.3 THEN
				bill := NULL;
			END IF;
			IF random() < 0.4 THEN
				cash := NULL;
			END IF;
			SELECT * INTO u FROM use s WHERE s.n = v.n AND s.back < s.taken AND (bill IS NULL OR s.purchase = bill) ORDER BY s.use_no DESC LIMIT 1;
			what := format('return %s %s of %s of %s', v.n, v.kind, cash, u);
			IF u.n IS NOT NULL AND (cash IS NULL OR cash <= u.taken - u.back) THEN
				expected := coalesce(cash, u.taken - u.back);
			END IF;
			BEGIN
				SELECT * INTO a FROM loyalty.return_voucher(v.code, cash, bill, key => i::text);
				got := a.given_back;
				UPDATE use s SET back = back + a.given_back WHERE s.n = v.n AND s.use_no = a.use_no;
				IF a.given_back <> (SELECT r.given_back FROM loyalty.return_voucher(v.code, cash, bill, key => i::text) r WHERE r.repeated AND r.use_no = a.use_no) THEN
					got := 'another answer';
				END IF;
			EXCEPTION WHEN SQLSTATE 'LY018' THEN
			END;
		ELSE
			CONTINUE WHEN random() < 0.7;
			what := 'void';
			PERFORM loyalty.void_voucher(v.code, 'now and then');
			UPDATE voucher w SET void = true WHERE w.n = v.n;
		END IF;
		got := trim_scale(nullif(got, 'another answer')::numeric)::text;
		expected := trim_scale(expected::numeric)::text;
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE outcome AS SELECT * FROM go(2500);
SELECT is_empty('SELECT * FROM outcome WHERE expected IS DISTINCT FROM got', 'uses and returns take and give what they should');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE what ~ 'use' AND got IS NOT NULL), '>', 250::bigint, 'of both there are many');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE what ~ 'return' AND got IS NOT NULL), '>', 150::bigint, 'accepted');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE got IS NULL AND what <> 'void'), '>', 500::bigint, 'and refused');
SELECT sound('verify finds nothing');
SELECT is_empty($$SELECT * FROM voucher v JOIN loyalty.voucher w ON w.hash = loyalty.voucher_hash(v.code::loyalty.voucher_code) WHERE v.stored AND w.remaining <> v.value - (SELECT coalesce(sum(taken - back), 0) FROM use u WHERE u.n = v.n)$$, 'what is left is what was not taken');
SELECT is((SELECT sum(available::numeric - debt::numeric) FROM loyalty.member m, loyalty.balance(m.ref) b), (SELECT sum(taken - back) FROM use JOIN voucher USING (n) WHERE kind = 'points'), 'members have the points');
-- all goes back, and all is as new
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT v.code FROM use u JOIN voucher v USING (n) WHERE u.back < u.taken LOOP
		PERFORM loyalty.return_voucher(r.code);
	END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM loyalty.voucher WHERE used <> 0 OR remaining <> value$$, 'after all has gone back, vouchers are as new');
SELECT is_empty($$SELECT * FROM loyalty.member, loyalty.balance(ref) b WHERE b.available::text <> '0' OR b.debt::text <> '0'$$, 'and points are gone');
SELECT sound('verify finds nothing then');

-- What vouchers() lists is what can be used, and takes what it says
CREATE TABLE listed AS SELECT m, l.* FROM unnest('{m1,m2,m3}'::text[]) m, loyalty.vouchers(m, 17.77) l;
SELECT cmp_ok((SELECT count(*) FROM listed), '>', 3::bigint, 'there are vouchers');
SELECT is_empty($$SELECT * FROM listed WHERE code IS NULL$$, 'with their codes');
SELECT is_empty($$SELECT * FROM listed l, LATERAL loyalty.use_voucher(l.code, 17.77, l.m) u WHERE u.taken <> l.takes$$, 'which take what was said');

-- Codes are of all values, and each once: of 55 bits nobody meets one twice
SELECT is(count(DISTINCT i.code), 2000::bigint, 'no code is there twice') FROM generate_series(1, 2000) n, loyalty.issue_voucher(kind => 'value', value => n) i;
SELECT is_empty($$SELECT * FROM generate_series(1, 500) n, try('SELECT loyalty.use_voucher(''' || loyalty.new_voucher_code() || ''', ' || n || ')') t WHERE t <> 'LY024'$$, 'and none is guessed');

-- What was changed by hand
INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('beans', 'film', 'value', 12);
SELECT loyalty.import_vouchers('film', ARRAY['FILM']) \g /dev/null
CREATE TABLE x AS SELECT 'card' AS name, code FROM loyalty.issue_voucher(kind => 'value', value => 50, key => 'card') UNION ALL SELECT 'points', code FROM loyalty.issue_voucher('ann', 'points', points => 20, uses => 5, per_member => 3, key => 'points')
	UNION ALL SELECT 'tea', code FROM loyalty.issue_voucher('ann', 'product', product => 'tea', uses => 0, key => 'tea');
SELECT loyalty.use_voucher(code, 20, 'ann', 'o1') FROM x WHERE name <> 'tea' \g /dev/null
SELECT loyalty.use_voucher(code, 20, 'ann', 'o1', 'again') FROM x WHERE name <> 'tea' \g /dev/null
SELECT loyalty.return_voucher(code, 7, 'o1') FROM x WHERE name <> 'tea' \g /dev/null
SELECT sound('verify finds nothing before');
CREATE FUNCTION h(name text) RETURNS bytea LANGUAGE sql AS $$ SELECT loyalty.voucher_hash(code::loyalty.voucher_code) FROM x WHERE x.name = h.name $$;
SELECT tamper($$UPDATE loyalty.voucher SET remaining = 50 WHERE hash = h('card')$$, 'I6 vouchers | what is left of voucher is not what its uses left | 17 | 50');
SELECT tamper($$UPDATE loyalty.voucher SET used = 1 WHERE hash = h('card')$$, 'I6 vouchers | uses of voucher that stand are not those that are counted | 2 | 1');
SELECT tamper($$UPDATE loyalty.voucher SET last_use = 3, last_return = 2 WHERE hash = h('card')$$, 'I6 vouchers | returns of voucher do not count up to the last one | 2 | 1, the last is 1',
	'I6 vouchers | uses of voucher do not count up to the last one | 3 | 2, the last is 2');
SELECT tamper($$DELETE FROM loyalty.voucher_use WHERE hash = h('card') AND use_no = 1$$, 'I6 vouchers | uses of voucher do not count up to the last one | 2 | 1, the last is 2',
	'I6 vouchers | uses of voucher that stand are not those that are counted | 1 | 2', 'I6 vouchers | what is left of voucher is not what its uses left | 37 | 17');
SELECT tamper($$DELETE FROM loyalty.voucher_return WHERE hash = h('card')$$, 'I6 vouchers | ann | what use 2 of voucher gave back is not what its returns say | 0 | 7', 'I6 vouchers | returns of voucher do not count up to the last one | 1 | 0, the last is 0');
SELECT tamper($$UPDATE loyalty.voucher_return SET use_no = 9 WHERE hash = h('card')$$, 'I6 vouchers | a return of voucher gives back use 9, which is not there | 0 | 7', 'I6 vouchers | ann | what use 2 of voucher gave back is not what its returns say | 0 | 7');
SELECT tamper($$UPDATE loyalty.voucher SET member_id = 7 WHERE hash = h('tea')$$, 'I6 vouchers | member_id 7 | voucher belongs to nobody | a member | none');
SELECT tamper($$UPDATE loyalty.voucher SET redeemer_id = member_id, seq = 1 WHERE hash = h('tea')$$, 'I6 vouchers | ann | voucher comes from entry 1, which redeems nothing | redeem | adjust');
SELECT tamper($$UPDATE loyalty.voucher SET redeemer_id = member_id, seq = 99 WHERE hash = h('tea')$$, 'I6 vouchers | ann | voucher comes from entry 99, which redeems nothing | redeem | none');
SELECT tamper($$UPDATE loyalty.voucher_pool SET name = 'cinema'$$, 'I6 vouchers | voucher is of a pool that is not there | film | none');
SELECT tamper($$UPDATE loyalty.voucher SET per_member = 1 WHERE hash = h('points')$$, 'I6 vouchers | ann | voucher was used more often by one member than it lets him | 1 | 2');
SELECT tamper($$UPDATE loyalty.voucher_use SET member_id = 7 WHERE hash = h('card') AND use_no = 1$$, 'I6 vouchers | use 1 of voucher is of nobody | a member | member_id 7');
SELECT tamper($$UPDATE loyalty.voucher_use SET taken = 21 WHERE hash = h('points') AND use_no = 1$$, 'I6 vouchers | ann | points of entry 1 are not those that the voucher moved | 21 | 20');
SELECT tamper($$UPDATE loyalty.voucher_use SET seq = 2 WHERE hash = h('points') AND use_no = 1$$, 'I6 vouchers | ann | the voucher that moved points of entry 1 names another | 1 | 2');
SELECT tamper($$UPDATE loyalty.entry SET source_key = 'x' || seq WHERE member_id = loyalty.find_member('ann') AND seq = 3$$, format('I6 vouchers | ann | points that voucher %s moved are in no entry | -7 | 0', left(encode(h('points'), 'hex'), 8)));
SELECT tamper($$UPDATE loyalty.voucher_use SET hash = sha256('x') WHERE hash = h('card') AND use_no = 1$$, 'I6 vouchers | ann | use 1 is of no voucher | a voucher | ' || encode(sha256('x'), 'hex'),
	'I6 vouchers | uses of voucher do not count up to the last one | 2 | 1, the last is 2', 'I6 vouchers | uses of voucher that stand are not those that are counted | 1 | 2', 'I6 vouchers | what is left of voucher is not what its uses left | 37 | 17');
SELECT sound('verify finds nothing after');

SELECT * FROM finish();
ROLLBACK;
