# What is fuzzed: for each target a grammar of inputs, and what is done with each.
#
# A grammar is a list of "symbol=alternative"; the first symbol's words are the
# inputs. A symbol's first alternative ends the recursion, so it comes first.
package Targets;

use strict;
use warnings;

# symbol => [alternatives] as rules, in order
sub rules
{
	my @rules;

	while (my ($symbol, $alternatives) = splice @_, 0, 2)
	{
		push @rules, map { "$symbol=$_" } @$alternatives;
	}
	return \@rules;
}

my @digits = (digit => [ 0 .. 9 ]);
my @dates = (
	early => [ '2019-06-30', '2000-01-01', '1999-12-31', '20<ten>-0<nine>-1<digit>', '4713-11-24 BC', '0044-03-15' ],
	late => [ '2026-12-31', '20<fifty><digit>-0<nine>-2<eight>', '2028-02-29', '5874897-12-31', '9999-12-31' ],
	ten => [ '10', '09', '15', '19' ],
	fifty => [ 2 .. 9 ],
	nine => [ 1 .. 9 ],
	eight => [ 0 .. 8 ]);

# Texts of types; all words are values, for their binary forms are made of them.
our %types = (
	points => rules(
		points => [ '<sign><whole>', '<sign><whole>.<decimals>', '  <sign><whole> ', '-922337203685477.5807', '922337203685477.5807' ],
		sign => [ '', '-', '+' ],
		whole => [ '0', '7', '12', '9999', '<digit><digit><digit>', '<digit><digit><digit><digit><digit><digit>', '92233720368547' ],
		decimals => [ '5', '25', '0001', '<digit><digit>', '<digit><digit><digit><digit>0' ],
		@digits),
	purse => rules(
		purse => [ '{<lots>}', '{}', '{922337203685477.5807@infinity}', '{-922337203685477.5807@2001-01-01/5874897-12-31, 1@infinity}' ],
		lots => [ '<lot>', '<lot>, <lots>', '<lot>, <lot>,<lot> , <lots>', '<lot>, <lot>, <lot>, <lot>, <lot>, <lot>, <lots>' ],
		lot => [ '<points>@<span>' ],
		points => [ '5', '<digit><digit>', '-<digit>.<digit>', '<digit><digit><digit><digit><digit>', '0.0001', '12.5' ],
		span => [ '<late>', '<early>/<late>', 'infinity', '<early>/infinity', '<early>/2020-01-01' ],
		@dates, @digits),
	tally => rules(
		tally => [ '{<days>}', '{<months>}', '{ever: <figures>}', '{}', '{ever: 999999999999999999.999999/922337203685477.5807/2147483647}' ],
		days => [ '<day>', '<day>, <days>', '<day>, <day>, <day>, <days>' ],
		months => [ '<month>', '<month>, <months>', '<month>, <month>, <month>, <months>' ],
		day => [ '<early>: <figures>', '<late>: <figures>' ],
		month => [ '20<ten>-0<nine>: <figures>', '20<fifty><digit>-1<two>: <figures>', '5874897-12: <figures>' ],
		two => [ 0 .. 2 ],
		figures => [ '<amount>/<points>/<purchases>' ],
		amount => [ '9', '<digit><digit>.<digit><digit>', '-<digit>.5', '0', '0.000001', '<digit><digit><digit><digit><digit>.25' ],
		points => [ '0', '<digit><digit>', '-<digit>.<digit>', '0.0001', '<digit><digit><digit><digit>' ],
		purchases => [ '1', '<digit>', '-1', '<digit><digit><digit>' ],
		@dates, @digits),
	award => rules(
		award => [ '<number>', '<number> per <positive>', '<number> per full <positive>', '<number> each', '<number>%', 'x<number>', 'X <number>' ],
		number => [ '1', '<digit>', '<digit>.<digit>', '.5', '<digit><digit><digit>.000001', '1000000000', '0' ],
		positive => [ '1', '10', '0.5', '1<digit><digit>', '1000000000', '0.000001' ],
		@digits),
	expiry => rules(
		expiry => [ 'never', '<length>', '<length> <end>', '<end>', 'end of next <period>', '<yearly>', '<yearly> after <length>', 'inactive <length>', 'inactive <length> <end>' ],
		length => [ '12 months', '<count> <unit>', '1 year 6 months', '1 year <count> days', '<nine> years <nine> months <nine> weeks <nine> days', '100 years', '36525 days' ],
		count => [ '1', '<nine>', '<nine><digit>', '1<digit><digit>' ],
		unit => [ 'months', 'days', 'weeks', 'day', 'MONTH' ],
		end => [ 'end of <period>' ],
		period => [ 'month', 'quarter', 'half-year', 'half year', 'year' ],
		yearly => [ '03-31', '02-29', '12-31', '0<nine>-1<digit>' ],
		nine => [ 1 .. 9 ],
		@digits),
	qualification => rules(
		qualification => [ 'lifetime', 'calendar year', 'membership year', 'rolling <count> days', 'rolling <nine> months', 'rolling <nine> years', 'rolling 365 days' ],
		count => [ '1', '<nine>', '<nine><digit>', '1<digit><digit>' ],
		nine => [ 1 .. 9 ],
		@digits),
	voucher_code => undef);    # of codes that there are: see fuzz.pl

# What follows is put into texts, which has them meet the readers of texts.
my @json = (
	json => [ '{}', '<object>', '<value>', '[<object>]' ],
	object => [ '{<pair>}', '{<pair>, <pair>}', '{<pair>, <pair>, <pair>, <pair>}', '{"birthday": "1990-05-17", <pair>}' ],
	pair => [ '"<name>": <value>' ],
	value => [ 'null', '"<text>"', '<json_number>', 'true', 'false', '[]', '[<value>, <value>]', '["vip", "staff"]', '<object>', '{}' ],
	text => [ '', 'vip', '1990-05-17', '02-29', 'infinity', 'now', '42', '1 per 10', 'x2', '<digit> months', 'amount > <digit>', '\\u00e9\\n', '\\u0000', "\xc3\xa9", '2026-01-31 10:00:00+00', 'gold', 'true' ],
	json_number => [ '1', '0', '-1', '<digit>.<digit><digit>', '1e5', '1e-5', '1e300', '922337203685477.5807', '9223372036854775808' ],
	@digits);
my @lines = (
	lines => [ '[<line>]', '[<line>, <line>]', '[<line>, <line>, <line>, <line>]', '[]', '<line>' ],
	line => [ '{"amount": <json_number>, <field>}', '{"amount": <json_number>}', '{"amount": <json_number>, <field>, <field>, <field>}', '{<field>}' ],
	field => [ '"quantity": <json_number>', '"item": "<text>"', '"category": "<text>"', '"channel": "<text>"', '"store": "<text>"', '"currency": "<text>"', '"at": "<time>"', '"data": <json>', '"<name>": <value>', '"at": <value>', '"item": <value>' ],
	time => [ '2026-01-01', '2026-03-29 02:30', '-infinity', 'infinity', '294276-12-31 23:59:59', '4713-01-01 BC', 'tomorrow' ]);

# Expressions over facts: what is SQL, whether or not it is let in.
my @expressions = (
	bool => [ 'amount > 10', '<num> <compare> <num>', '<text> = <text>', '<text> LIKE <text>', '<text> ~ <pattern>', '<text> IN (<text>, <text>)',
		'(<bool> AND <bool>)', '(<bool> OR <bool>)', 'NOT (<bool>)', '<any> IS NULL', '<any> IS NOT NULL', '<num> BETWEEN <num> AND <num>',
		'<time> <compare> <time>', '<text> = ANY (member.segments)', 'member.segments @> ARRAY[<text>]', 'data @> <json>', 'member.data ? <text>', 'data ->> <text> = <text>',
		'(data ->> <text>)::boolean', 'coalesce(<bool>, <bool>)', 'CASE WHEN <bool> THEN <bool> ELSE <bool> END', '<any> IS DISTINCT FROM <any>',
		'<num> = ANY (ARRAY[<num>, <num>])', 'ROW(<num>, <text>) < ROW(<num>, <text>)', 'data @? <path>', 'starts_with(<text>, <text>)',
		'num_nonnulls(<any>, <any>) = 1', '<time>::date = <date>', 'true', 'NULL', '(<bool>) IS UNKNOWN', 'isfinite(<time>)', '<refused>' ],
	num => [ 'amount', '<digit>', '-<digit>.<digit>', 'quantity', 'order_amount', 'order_quantity', 'purchase_no', 'member.qualifying', '(<num> + <num>)', '(<num> - <num>)',
		'(<num> * <num>)', '(<num> / <num>)', '(<num> % <num>)', 'abs(<num>)', 'round(<num>, <digit>)', 'trunc(<num>)', 'length(<text>)', 'extract(<part> FROM <time>)',
		'greatest(<num>, <num>)', 'least(<num>, <num>, <num>)', 'coalesce(<num>, 0)', 'nullif(<num>, <num>)', '(data ->> <text>)::numeric', 'cardinality(member.segments)',
		'(<num>)::integer', '(<num>)::double precision', 'mod(<num>, <num>)', 'sqrt(<num>)', 'power(<num>, <num>)', 'ln(<num>)', 'sign(<num>)', 'ceil(<num>)',
		'CASE <text> WHEN <text> THEN <num> ELSE <num> END', 'array_position(member.segments, <text>)', '9223372036854775807', '1e100', 'strpos(<text>, <text>)',
		"'NaN'::numeric", "(<date> - <date>)", "('<digit>'::loyalty.points)::numeric", 'date_part(\'<part>\', <time>)', 'hashtext(<text>)', '(member.segments)[<digit>]::numeric' ],
	text => [ "'vip'", 'item', 'category', 'channel', 'store', 'currency', 'member.tier', "'gold'", "'<digit>'", "lower(<text>)", "upper(<text>)", '(<text> || <text>)',
		"substr(<text>, <digit>, <digit>)", "replace(<text>, <text>, <text>)", "data ->> <text>", "coalesce(<text>, '')", "(<num>)::text", "to_char(<time>, 'YYYY-MM')",
		"split_part(<text>, <text>, <digit>)", "trim(<text>)", 'left(<text>, <num>::int)', '<text> COLLATE "C"', "(member.segments)[<digit>]", "md5(<text>)", "jsonb_typeof(data)",
		"format('%s-%s', <text>, <num>)", "regexp_replace(<text>, <pattern>, <text>)", "data #>> ARRAY[<text>]", "concat(<any>, <any>)", "quote_literal(<text>)", "''", "E'\\\\'", "reverse(<text>)" ],
	time => [ 'at', 'member.enrolled_at', '(<time> + <interval>)', '(<time> - <interval>)', "date_trunc('<part>', <time>)", "'2026-01-01'::timestamp", "timestamp '2026-03-01 10:00'",
		"'infinity'::timestamp", 'member.birthday::timestamp', "make_timestamp(2026, <digit>, <digit>, <digit>, 0, 0)", "(data ->> 'at')::timestamp", "'today'::timestamp", 'now()', "(<time> AT TIME ZONE 'UTC')" ],
	date => [ 'member.birthday', "'2026-02-28'::date", '(<time>)::date', '(<date> + <digit>)', 'make_date(2026, <digit>, <digit>)' ],
	interval => [ "'1 day'::interval", '(<time> - <time>)', "make_interval(<digit>)", '(<interval> * <num>)', "age(<time>, <time>)", "'<digit> months'::interval" ],
	any => [ 'item', '<num>', '<text>', '<bool>', '<time>', '<date>', '<interval>', 'data', 'member.data', 'member.segments', 'NULL' ],
	compare => [ '=', '<>', '<', '<=', '>', '>=' ],
	part => [ 'day', 'month', 'isodow', 'hour', 'year', 'week', 'quarter', 'epoch', 'century', 'julian' ],
	pattern => [ "'^v'", "'[a-z]+'", "'(a|b)*'", "'\\d{1,3}'", "'['", "<text>" ],
	path => [ "'\$.a'", "'\$.** ? (@ > 1)'", "'\$[*]'" ],
	json => [ "'{}'", "'{\"a\": 1}'", "'[1]'", "'{\"vip\": true}'", "jsonb_build_object(<text>, <any>)", 'data', 'member.data', "to_jsonb(<any>)" ],
	# What is not let in, or should not be there at all.
	refused => [ '(SELECT true)', 'EXISTS (SELECT FROM orders)', 'now() > at', 'random() < 0.5', 'count(*) > 1', 'sum(<num>) OVER () > 1', 'generate_series(1, 3) > 1', '$1', '*', 'members.tier = 1', 'member.* IS NULL',
		'orders.total > 1', 'pg_sleep(1) IS NULL', "nextval('loyalty.rule_id_seq') > 0", 'current_user = <text>', "current_setting('work_mem') = <text>", 'loyalty.verify() IS NULL',
		'(ROW(1, 2)).f3 = 1', 'a.b.c.d = 1', "'x'::regclass > 0", "CAST(<text> AS loyalty.purse) = '{}'", "xmlelement(name a) IS NULL", 'DEFAULT', 'CURRENT OF c', 'GROUPING(amount) = 1', 'amount::nothing', 'at::timestamptz > at',
		"'now'::timestamp > at", "pg_read_file('/etc/hostname') > ''", 'VARIADIC ARRAY[1]', 'amount OPERATOR(public.+) 1', "(amount)[1] = 1", 'amount NOTNULL', 'true; DROP TABLE orders', 'array_agg(<num>) IS NULL', "unnest(member.segments) = 'a'" ],
	@digits);

our $sound = q{SELECT fuzz_assert(NOT EXISTS (SELECT FROM loyalty.verify()), (SELECT v::text FROM loyalty.verify() v LIMIT 1))};

# Statements, each run with the input as $1: the first accepts or refuses it, the
# others are done with what it left. slow: how many times fewer inputs than a type has.
our %statements = (
	condition => {
		statements => [
			q{INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'fuzz', '3', $1)},
			q{SELECT * FROM loyalty.quote('42', at => '2026-02-28 12:00', lines => '[{"amount": 20.50, "item": "a", "category": "food", "quantity": 3, "channel": "web", "store": "s1", "data": {"a": 1, "vip": true, "at": "2026-01-05"}}, {"amount": -2, "item": "vip"}]')},
		],
		grammar => rules(@expressions),
	},
	# As orders come and change.
	condition_orders => {
		slow => 20,
		statements => [
			q{INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'fuzz', '3', $1)},
			q{INSERT INTO line VALUES (1, 'a', 'food', 3, 'web', 's1', 20.50, '{"a": 1, "vip": true, "at": "2026-01-05"}'), (1, 'vip', NULL, NULL, NULL, NULL, -2, NULL)},
			q{INSERT INTO head VALUES (1, '42', '2026-02-28 12:00', 'paid')},
			q{UPDATE line SET amount = amount + 1 WHERE id = 1 AND item = 'a'},
			q{UPDATE head SET state = 'paid' WHERE id = 1},
		],
		grammar => rules(@expressions),
	},
	# The same, and the ledger is proved.
	condition_proved => {
		slow => 100,
		statements => [
			q{INSERT INTO loyalty.rule (program, name, award, condition, once) VALUES ('beans', 'fuzz', 'x2', $1, length($1) % 2 = 0)},
			q{INSERT INTO line VALUES (1, 'a', 'food', 3, 'web', 's1', 20.50, '{"a": 1, "vip": true, "at": "2026-01-05"}'), (1, 'vip', NULL, NULL, NULL, NULL, -2, NULL)},
			q{INSERT INTO head VALUES (1, '42', '2026-02-28 12:00', 'paid'), (2, '7', '2026-03-01', 'paid')},
			q{UPDATE head SET member = '7' WHERE id = 1},
			q{DELETE FROM line WHERE id = 1 AND item = 'vip'},
			$sound,
		],
		grammar => rules(@expressions),
	},
	award_points => {
		slow => 4,
		statements => [
			q{INSERT INTO loyalty.rule (program, name, award_points) VALUES ('beans', 'fuzz', $1)},
			q{SELECT * FROM loyalty.quote('42', lines => '[{"amount": 20.50, "item": "a", "category": "food", "quantity": 3, "data": {"a": 1}}, {"amount": -2, "item": "vip"}]')},
		],
		grammar => rules(root => [ '<num>', '(<num>)::numeric', 'CASE WHEN <bool> THEN <num> ELSE 0 END' ], @expressions),
	},
	reward_condition => {
		slow => 4,
		statements => [
			q{INSERT INTO loyalty.reward (program, name, kind, cost, condition) VALUES ('beans', 'FUZZ', 'product', 1, $1)},
			q{SELECT * FROM loyalty.catalogue('42')},
			q{SELECT * FROM loyalty.redeem('42', 'FUZZ')},
		],
		grammar => rules(@expressions),
	},
	# Expressions over the rows of a table.
	source => {
		slow => 20,
		statements => [
			q{SELECT loyalty.attach('plain', member => 'member', amount => $1, at => 'at', on_error => 'fail', program => 'beans')},
			q{INSERT INTO plain VALUES (1, '42', 12.5, '2026-01-01', '{"a": 1}'), (2, '7', NULL, NULL, NULL)},
			q{UPDATE plain SET amount = 20},
			q{DELETE FROM plain},
		],
		grammar => rules(
			root => [ 'amount', '<num>' ],
			num => [ 'amount', '<digit>', '(<num> + <num>)', '(<num> / <num>)', 'id', 'length(<text>)', '(data ->> <text>)::numeric', 'round(<num>, 2)', 'extract(year FROM at)', 'plain.amount', '<num>::text', 'CASE WHEN <num> > 3 THEN <num> END',
				'coalesce(<num>, <num>)', 'random()', '(SELECT 1)', 'ctid', 'tableoid::numeric', 'plain', 'now()', 'sum(<num>)', 'x', '$1', '*', 'generate_series(1, 2)', 'OLD.amount', "'NaN'::numeric", "'Infinity'::numeric", '1e300', 'float8(<num>)' ],
			text => [ "'a'", 'member', '<num>::text', 'lower(<text>)' ], @digits),
	},
	query => {
		slow => 20,
		statements => [
			q{SELECT loyalty.attach_query('fuzz', $1, '{head.id, line.id}', on_error => 'fail', program => 'beans')},
			q{INSERT INTO head VALUES (1, '42', '2026-02-28 12:00', 'paid')},
			q{INSERT INTO line VALUES (1, 'a', 'food', 3, 'web', 's1', 20.50, '{"a": 1}'), (1, 'vip', NULL, NULL, NULL, NULL, -2, NULL)},
			q{UPDATE line SET id = 2},
			q{DELETE FROM head},
		],
		grammar => rules(
			root => [ 'SELECT <columns> FROM <from>', 'SELECT <columns> FROM <from> WHERE <where>', 'SELECT <columns> FROM <from> ORDER BY <order>', 'WITH w AS (SELECT * FROM line) SELECT <columns> FROM head JOIN w line USING (id)',
				'SELECT <columns> FROM <from> UNION ALL SELECT <columns> FROM <from>', 'SELECT DISTINCT <columns> FROM <from>', 'SELECT id AS key, min(member) AS member, sum(amount) AS amount FROM head JOIN line USING (id) GROUP BY id',
				'VALUES (1, 2, 3)', 'TABLE head', 'SELECT 1; SELECT 2', 'DELETE FROM head RETURNING id AS key, member, id AS amount', '<columns>', 'SELECT <columns> FROM <from> LIMIT 1', 'SELECT <columns> FROM <from> FOR UPDATE', 'SELECT id AS key, * FROM <from>' ],
			columns => [ 'id AS key, member, amount', 'id AS key, member, at, amount', '<key> AS key, <member> AS member, <amount> AS amount', 'id AS key, member, at, amount, item, category, quantity, channel, store, data', 'head.id AS key, member, at, amount, <extra>', 'id AS key', '*' ],
			key => [ 'id', 'head.id', 'id::text', 'line.id', 'id + 0', 'item', 'NULL', 'ROW(id)', 'id::numeric', 'id::int2' ],
			member => [ 'member', 'member::int', 'upper(member)', 'NULL', 'NULL::text', 'ARRAY[member]', "'42'" ],
			amount => [ 'amount', 'amount * quantity', 'amount::float8', 'amount::text', 'NULL', '-amount', 'amount / 0', 'random()::numeric', 'sum(amount) OVER ()', '(SELECT 5)' ],
			extra => [ 'state = \'paid\' AS counts', 'item, category', 'quantity', 'data', 'at AS at', '1 AS nothing', 'state AS counts', 'store AS currency', 'item AS item, item AS item' ],
			from => [ 'head JOIN line USING (id)', 'head LEFT JOIN line USING (id)', 'head, line', 'head', 'line', 'line JOIN head USING (id)', '(SELECT * FROM head JOIN line USING (id)) x', 'head h JOIN line l ON h.id = l.id', 'generate_series(1, 3) id', 'loyalty.member', 'head NATURAL JOIN line', 'nothing' ],
			where => [ "state = 'paid'", 'amount > 0', 'head.id = line.id', 'now() > at', 'EXISTS (SELECT FROM line)', 'id = $1', 'random() < 1' ],
			order => [ 'id', 'line.item', 'random()' ], @digits),
	},
	profile => {
		statements => [ q{SELECT loyalty.enroll('fuzz', profile => $1::jsonb)}, q{SELECT * FROM loyalty.quote('fuzz', amount => 5)} ],
		grammar => rules(@json, name => [ 'birthday', 'segments', 'name', 'data', '', 'vip' ]),
	},
	member_data => {
		slow => 4,
		statements => [ q{SELECT loyalty.set_member('42', data => $1::jsonb, segments => ARRAY(SELECT jsonb_object_keys(CASE jsonb_typeof($1::jsonb) WHEN 'object' THEN $1::jsonb ELSE '{}' END)))}, q{SELECT * FROM loyalty.quote('42', amount => 5)} ],
		grammar => rules(@json, name => [ 'birthday', 'segments', 'vip', '' ]),
	},
	quote => {
		statements => [ q{SELECT * FROM loyalty.quote('42', lines => $1::jsonb)} ],
		grammar => rules(@lines, @json, name => [ 'amount', 'at', 'items', 'data', '' ]),
	},
	record => {
		slow => 4,
		statements => [ q{SELECT * FROM loyalty.record('42', 'purchase', lines => $1::jsonb, key => 'k', at => '2026-04-01')},
			q{SELECT fuzz_assert(repeated, 'not repeated') FROM loyalty.record('42', 'purchase', lines => $1::jsonb, key => 'k', at => '2026-04-01')} ],
		grammar => rules(@lines, @json, name => [ 'amount', 'at', 'items', 'data', '' ]),
	},
	record_data => {
		slow => 4,
		statements => [ q{SELECT * FROM loyalty.record('42', 'review', data => $1::jsonb)} ],
		grammar => rules(@json, name => [ 'vip', 'lines', 'amount', 'event', '' ]),
	},
	changes => {
		slow => 4,
		statements => [ q{SELECT loyalty.revise_rule('base', $1::jsonb)}, q{SELECT * FROM loyalty.quote('42', amount => 5)} ],
		grammar => rules(@json, name => [ qw(award award_points condition include_items exclude_stores min_amount min_quantity priority exclusive_group stop purchase_cap member_cap member_times cap_period cap_mode once cooldown
			budget budget_period expiry pending qualifies confirm confirm_within on_silence name rule_id program lineage owner active created_at nothing event), '' ]),
	},
	import => {
		slow => 100,
		statements => [ q{INSERT INTO old SELECT * FROM jsonb_populate_record(NULL::old, $1::jsonb)}, q{CALL loyalty.import_balance('old', key => 'fuzz', at => '2026-06-01', program => 'beans')}, $sound ],
		grammar => rules(
			root => [ '{"member": "<who>", <pair>}', '{"member": "<who>", <pair>, <pair>}', '{"member": "<who>", <pair>, <pair>, <pair>, <pair>}' ],
			who => [ 'new', '42', '7', '', ' ' ],
			pair => [ '"points": <number>', '"starts": "<date>"', '"ends": "<date>"', '"lifetime": <number>', '"enrolled_at": "<date>"', '"last_activity": "<date>"', '"tier": "<tier>"', '"tier_since": "<date>"', '"tier_until": "<date>"', '"tally": "<tally>"', '"birthday": "<date>"', '"segments": ["a", null]', '"data": {"a": 1}' ],
			number => [ '10', '0', '-5', '0.5', '922337203685477.5807', '1e30', '12.34567', 'null' ],
			date => [ '2026-05-01', 'infinity', '-infinity', '2026-12-31', '1999-01-01', '5874897-12-31', '294276-12-30', '2027-01-01', '0001-01-01 BC' ],
			tier => [ 'silver', 'gold', 'none', '' ],
			tally => [ '{2026-05-01: 120/5/1}', '{2026-01: 1/2/3}', '{ever: 500/0/9}', '{}', '{2030-01-01: 5/5/5}', '{2026-05-01: -120/5/-1}' ], @digits),
	},
	# The grammar comes from proofs that there are: see fuzz.pl. None but these hold; hex has two cases.
	proof => {
		statements => [ q{SELECT fuzz_assert(NOT coalesce(loyalty.check_proof($1::jsonb, k.hash), false) OR EXISTS (SELECT FROM kept k2 WHERE lower($1)::jsonb @> lower(k2.proof::text)::jsonb), 'another proof holds') FROM kept k LIMIT 1} ],
	},
	intervals => {
		slow => 20,
		statements => [
			q{INSERT INTO loyalty.program (name, pending, tier_grace, hold_ttl, expiry, tier_window, tier_validity)
				VALUES ('fuzz', $1::interval, nullif($1::interval, '0'), abs_interval($1), '12 months', 'rolling 30 days', '3 months')},
			q{INSERT INTO loyalty.rule (program, name, award, cooldown, pending) VALUES ('fuzz', 'base', '1 per 1', abs_interval($1), $1::interval)},
			q{INSERT INTO loyalty.rule (program, name, award, event, confirm, confirm_within) VALUES ('fuzz', 'asked', '9', 'review', true, $1::interval)},
			q{SELECT * FROM loyalty.record('1', 'purchase', amount => 50, program => 'fuzz')},
			q{SELECT * FROM loyalty.record('1', 'review', program => 'fuzz')},
			q{SELECT * FROM loyalty.balance('1', program => 'fuzz')},
			q{SELECT * FROM loyalty.expiring('fuzz', within => $1::interval)},
			q{SELECT * FROM loyalty.adjust('1', 5, program => 'fuzz')},
			q{SELECT * FROM loyalty.hold('1', 2, ttl => $1::interval, program => 'fuzz')},
			$sound,
		],
		grammar => rules(
			interval => [ '1 day', '<digit> days', '<digit><digit> hours', '0', '-1 day', '<digit> months', '1 year', '1 month -30 days', '178000000 years', '-178000000 years', '2147483647 days', '-2147483648 days', '2147483647 months', '1 microsecond', '36525 days', '36526 days',
				'876600 hours', '2562047788 hours', '1 day 24 hours', 'P1Y2M3DT4H5M6S', '1.5 days', '1 week', '@ 1 day ago', '1000000 days', '3000000 days' ], @digits),
	},
	settings => {
		slow => 50,
		statements => [
			q{INSERT INTO loyalty.program (name, time_zone, currency) VALUES (left($1, 3) || 'f', split_part($1, '|', 2), nullif(split_part($1, '|', 1), ''))},
			q{SELECT * FROM loyalty.record('1', 'purchase', amount => 50, program => left($1, 3) || 'f')},
		],
		grammar => rules(
			root => [ '<currency>|<zone>' ],
			currency => [ 'USD', 'EUR', '', 'usd', 'US', 'EURO', "\xc3\xa9\xc3\xa9\xc3\xa9", '   ' ],
			zone => [ 'UTC', 'Europe/Paris', 'Asia/Kuala_Lumpur', 'europe/paris', 'EST5EDT', 'GMT0', 'FOO+3', '+03', '<+03>-3', ':UTC', 'posixrules', '../../etc/passwd', 'right/UTC', 'localtime', 'America/', '/UTC', 'UTC<digit>', 'XXX<digit>YYY', '' ], @digits),
	},
);

# Arguments whose name says more than their type.
sub named
{
	return qw(program member key reason source rule reward event entry hold from_member into_member to_member code at since until query name watch option household pool codes within batch_size condition tier status);
}

# Calls of functions, given as rules "call=SELECT * FROM f(a => <a>, ...)": scripts of them and of acts that mean something.
sub calls
{
	my @calls = @_;

	return [
		'script=<act>', "script=<act>\n<script>", "script=<call>\n<script>", "script=<act>\n<call>\n<act>\n<script>", "script=<act>\n<act>\n<act>\n<call>\n<script>",
		@calls,
		@{ rules(
			act => [
				"SELECT loyalty.adjust(<member>, <good>)", "SELECT loyalty.spend(<member>, <good>, key => <key>)", "SELECT loyalty.hold(<member>, <good>)", "SELECT loyalty.transfer('42', '7', <good>, key => <key>)",
				"SELECT loyalty.release('42', <entry>)", "SELECT loyalty.capture('42', <entry>, <numeric>)", "SELECT loyalty.cancel('42', <entry>, <numeric>)", "SELECT loyalty.record(<member>, 'purchase', amount => <numeric>, at => <at>)",
				"INSERT INTO orders VALUES (<digit>00<digit>, <member>, <numeric>, <at>)", "UPDATE orders SET total = <numeric> WHERE id = <digit>", "UPDATE orders SET customer = <member> WHERE id = <digit>", "DELETE FROM orders WHERE id = 1<digit>",
				"SELECT loyalty.merge_members(<member>, <member>)", "SELECT loyalty.set_tier('42', 'gold', until => <date>)", "CALL loyalty.maintain(at => <at>)", "SELECT loyalty.extend('42', <date>, <date>)", "SELECT loyalty.reinstate('42', <entry>)",
				"INSERT INTO loyalty.reward (program, name, kind, cost, stock) VALUES ('beans', 'MUG', 'product', <good>, <digit>)", "SELECT loyalty.redeem(<member>, 'MUG', quantity => <digit>)", "UPDATE loyalty.program SET expiry = <loyalty_expiry>, pending = <interval>",
				"UPDATE loyalty.rule SET award = <loyalty_award>", "INSERT INTO loyalty.rule (program, name, award, member_cap, budget, pending) VALUES ('beans', 'extra', <loyalty_award>, <good>, <good>, <interval>)", "SELECT loyalty.issue_voucher('42', kind => 'value', value => <good>)",
				"SELECT loyalty.use_voucher((loyalty.issue_voucher('7', kind => 'value', value => 10, stored => true)).code, <numeric>, <member>)", "SELECT loyalty.create_household('h', '42')", "SELECT loyalty.join_household('7', 'h')", "SELECT loyalty.leave_household(<member>)",
				"SELECT loyalty.enroll(<member>, at => <at>)", "INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('beans', <text>, <digit>, <good>)", "CALL loyalty.backfill('orders')", "SELECT loyalty.unmerge_members(<member>)", "SET LOCAL timezone = 'Asia/Tokyo'", "UPDATE loyalty.program SET clawback = 'available'" ],
			program => [ 'NULL', "'beans'", "'beans'", "''", "'nope'" ],
			member => [ "'42'", "'7'", "'42'", "'new'", 'NULL', "''", "'1'" ],
			from_member => [ '<member>' ], into_member => [ '<member>' ], to_member => [ '<member>' ],
			member_number => [ '42', '7', '-1', 'NULL' ], from_member_number => [ '<member_number>' ], into_member_number => [ '<member_number>' ], to_member_number => [ '<member_number>' ],
			key => [ 'NULL', "'k'", "'1'", "''", "'#1'" ], key_number => [ '1', '12', 'NULL' ],
			reason => [ 'NULL', "'because'", "''" ],
			source => [ "'orders'", "'baskets'", "'api'", 'NULL', "'nope'" ],
			rule => [ "'base'", "'review'", "'extra'", 'NULL' ],
			reward => [ "'MUG'", 'NULL', "''" ], option => [ 'NULL', "'large'" ],
			event => [ "'review'", "'purchase'", "''", "'nope'", 'NULL' ],
			entry => [ '<digit>', '1<digit>', '-1', 'NULL', '9223372036854775807' ], entry_number => [ '<entry>' ], hold => [ '<entry>' ], hold_number => [ '<entry>' ],
			code => [ "'7KQ4-9XMT-2R8W'", "''", 'NULL', "(SELECT code FROM loyalty.issue_voucher('42', kind => 'value', value => 5, key => 'fuzz'))" ], codes => [ "ARRAY['A1', 'B2']", "'{}'", 'NULL', "ARRAY[NULL, '']" ],
			at => [ 'NULL', "'2026-03-01'", "'2026-01-15 10:00+00'", "'2024-02-29'", "'infinity'", "'-infinity'", "now() + interval '1 day'", "'294276-12-31 23:59:59+00'", "'4713-01-01 00:00:00+00 BC'" ], since => [ '<at>' ], until => [ '<at>' ],
			within => [ '<interval>' ], query => [ "'SELECT 1'", "'SELECT id AS key, member, at, amount FROM head JOIN line USING (id)'", "''" ], name => [ "'fuzz'", "'beans'", "''", 'NULL' ], watch => [ "'{head.id, line.id}'", "'{}'", "'{nope.id}'", 'NULL' ],
			household => [ "'h'", "''", 'NULL' ], pool => [ "'p'", "''", 'NULL' ], batch_size => [ '100', '0', '-1', '1', '2147483647' ], condition => [ "'true'", "'x'" ], tier => [ "'gold'", "'silver'", "'none'", 'NULL', "''" ], status => [ "'active'", "'suspended'", "'closed'", "'nope'", 'NULL' ],
			good => [ '<digit>', '1<digit>', '2.50', '0.01' ],
			text => [ "'a'", "''", 'NULL', "'own'", "'day'", "'value'", "E'\\\\'\\\\\\\\'", "repeat('x', 1000)", "'1 per 10'", "'amount'" ], text__ => [ "ARRAY['a']", "'{}'", 'NULL', "ARRAY[NULL, '']", "ARRAY[ARRAY['a'], ARRAY['b']]" ],
			numeric => [ '<good>', '0', '-5', 'NULL', "'NaN'", "'Infinity'", '922337203685477.5807', '1e30', '0.00001', '-922337203685477.5808', '1e-300' ],
			integer => [ '<digit>', '0', '-1', 'NULL', '2147483647', '-2147483648' ], bigint => [ '<digit>', '0', '-1', 'NULL', '9223372036854775807', '-9223372036854775808' ], smallint => [ '1', '-32768', 'NULL' ],
			boolean => [ 'true', 'false', 'NULL' ], regclass => [ "'orders'", "'plain'", "'head'", "'pg_class'", "'loyalty.entry'", 'NULL', '0' ], oid => [ '0', 'NULL', '1259' ], bytea => [ "'\\\\x00010203040506070809'", "''", 'NULL' ], "\"char\"" => [ "'a'" ],
			date => [ "'2026-12-31'", "'2027-06-30'", "'2024-02-29'", "'infinity'", "'-infinity'", 'NULL', "'5874897-12-31'", "'4713-01-01 BC'" ],
			interval => [ "'1 day'", "'0'", "'30 days'", "'-1 day'", 'NULL', "'1 month'", "'178000000 years'", "'1 second'", "'2147483647 days'" ],
			timestamp_with_time_zone => [ '<at>' ], timestamp_without_time_zone => [ "'2026-01-01'", "'infinity'", 'NULL' ], tstzrange => [ "'[2026-01-01,)'", "'empty'", 'NULL', "'(,)'" ],
			jsonb => [ 'NULL', "'{}'", "'[]'", "'null'", "'{\"a\": 1}'", "'[{\"amount\": 5}]'", "'{\"award\": \"2 per 1\"}'", "'{\"birthday\": \"1990-05-17\"}'", '\'"x"\'', '\'[{"amount": -3, "item": "a"}, {"amount": 9}]\'' ], json => [ "'{}'", 'NULL' ],
			loyalty_points => [ "'5'", "'-922337203685477.5807'", "'922337203685477.5807'", 'NULL', "'0.0001'" ],
			loyalty_purse => [ "'{5\@2026-12-31, 3\@infinity}'", "'{}'", "'{-7\@infinity}'", 'NULL', "'{922337203685477.5807\@infinity}'", "'{9\@2026-02-01/2026-03-01, 1\@2026-12-31}'" ],
			loyalty_tally => [ "'{2026-01: 120.50/37/2}'", "'{}'", "'{ever: 1/1/1}'", 'NULL', "'{2026-01-31: 9/9/1, 2026-02-01: -9/0.5/-1}'", "'{ever: 999999999999999999.999999/922337203685477.5807/2147483647}'" ],
			loyalty_award => [ "'2 per 1'", "'x2'", "'5%'", "'100'", "'1 per full 10'", "'1000000000 each'", 'NULL' ],
			loyalty_expiry => [ "'12 months'", "'never'", "'end of year'", "'inactive 6 months'", "'03-31 after 1 year'", "'1 day'", 'NULL', "'100 years'" ],
			loyalty_qualification => [ "'lifetime'", "'rolling 30 days'", "'calendar year'", 'NULL' ], loyalty_voucher_code => [ "loyalty.derive_voucher_code('\\\\x01020304050607')", 'NULL' ],
			record => [ 'NULL' ], anyelement => [ '1' ], @digits) }
	];
}

1;
