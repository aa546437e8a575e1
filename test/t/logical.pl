# Logical replication.  Orders earn where they are made; a subscriber with a
# ledger of its own earns by backfill, once.  A ledger that is replicated along
# with its orders is the same ledger, and can take over.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber', allows_streaming => 'logical');
$_->start foreach $publisher, $subscriber;
my $connection = 'host=' . $publisher->host . ' port=' . $publisher->port;

my $orders = q{
	CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric, at timestamptz NOT NULL DEFAULT '2026-01-02');
	CREATE TABLE head (id integer PRIMARY KEY, customer text, at timestamptz);
	CREATE TABLE line (id integer, no integer, amount numeric, PRIMARY KEY (id, no));
};
my $program = q{
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name) VALUES ('beans');
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
};
my $attach = q{
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
	SELECT loyalty.attach_query('lines', 'SELECT id AS key, customer AS member, at, amount FROM head JOIN line USING (id)', '{head.id, line.id}');
};
my $backfill = "CALL loyalty.backfill('orders'); CALL loyalty.backfill('lines')";

sub on_both { my ($db, $sql) = @_; $_->safe_psql($db, $sql) foreach $publisher, $subscriber; return }

sub catch_up
{
	my ($db, $name) = @_;

	$publisher->wait_for_catchup($name);
	$subscriber->poll_query_until($db, q{SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel}) or die 'not synchronized';
	$publisher->wait_for_catchup($name);
	return;
}

sub run_calls { my ($node, $db, $calls) = @_; $node->safe_psql($db, $_) foreach split /; */, $calls; return }

sub points
{
	my ($node, $db) = @_;
	return $node->safe_psql($db, 'SELECT ref, (loyalty.balance(ref)).available FROM loyalty.member ORDER BY 1');
}

# Each side with a ledger of its own.
on_both('postgres', 'CREATE DATABASE own');
on_both('own', "$orders $program $attach");
$publisher->safe_psql('own', q{
	INSERT INTO orders SELECT n, 'c' || n % 3, 10 * n FROM generate_series(1, 9) n;
	INSERT INTO head SELECT n, 'c' || n % 2, '2026-01-03' FROM generate_series(1, 4) n;
	INSERT INTO line SELECT i, n, i + n FROM generate_series(1, 4) i, generate_series(1, 2) n;
	CREATE PUBLICATION orders FOR TABLE orders, head, line});
$subscriber->safe_psql('own', "CREATE SUBSCRIPTION own CONNECTION '$connection dbname=own' PUBLICATION orders");
catch_up('own', 'own');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM orders'), 9, 'orders are copied at first');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM loyalty.entry'), 0, 'and earn nothing there');

$publisher->safe_psql('own', q{INSERT INTO orders VALUES (10, 'c1', 7); INSERT INTO line VALUES (4, 3, 100)});
catch_up('own', 'own');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM orders'), 10, 'orders are applied');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM loyalty.entry'), 0, 'nor do they earn then');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM loyalty.verify()'), 0, 'which is as it should be');

run_calls($subscriber, 'own', $backfill);
my $points = points($publisher, 'own');
is(points($subscriber, 'own'), $points, 'backfill earns what the publisher has given');
run_calls($subscriber, 'own', $backfill);
is(points($subscriber, 'own'), $points, 'once');
is($subscriber->safe_psql('own', 'SELECT count(*) FROM loyalty.verify()'), 0, 'sound');

$publisher->safe_psql('own', q{INSERT INTO orders VALUES (11, 'c9', 20)});
catch_up('own', 'own');
run_calls($subscriber, 'own', $backfill);
$points = points($publisher, 'own');
is(points($subscriber, 'own'), $points, 'new orders, by the next backfill');

# What was changed there after it has earned here is reported, and brought in line by attaching anew.
$publisher->safe_psql('own', q{UPDATE orders SET total = total + 5 WHERE id = 3; UPDATE line SET amount = 50 WHERE id = 2 AND no = 1; DELETE FROM orders WHERE id = 4});
catch_up('own', 'own');
is($subscriber->safe_psql('own', 'SELECT DISTINCT invariant, purchase FROM loyalty.verify() ORDER BY 1, 2'), "I4|lines 2\nI4|orders 3\nI4 vanished|orders 4", 'verify reports what was changed');
run_calls($subscriber, 'own', q{SELECT loyalty.detach('orders'); SELECT loyalty.detach('lines')});
$subscriber->safe_psql('own', $attach);
run_calls($subscriber, 'own', $backfill);
is($subscriber->safe_psql('own', 'SELECT DISTINCT invariant, purchase FROM loyalty.verify() ORDER BY 1, 2'), 'I4 vanished|orders 4', 'attached again, what was updated is in line');

# A trigger of ours that is to fire always: in the first copy it does, later no statement trigger fires.
on_both('postgres', 'CREATE DATABASE always');
on_both('always', "$orders $program $attach");
$subscriber->safe_psql('always', 'ALTER TABLE orders ENABLE ALWAYS TRIGGER loyalty_1_insert; ALTER TABLE orders ENABLE ALWAYS TRIGGER loyalty_1_update');
$publisher->safe_psql('always', q{INSERT INTO orders SELECT n, 'c' || n % 3, 10 * n FROM generate_series(1, 9) n; CREATE PUBLICATION orders FOR TABLE orders});
$subscriber->safe_psql('always', "CREATE SUBSCRIPTION always CONNECTION '$connection dbname=always' PUBLICATION orders");
catch_up('always', 'always');
is(points($subscriber, 'always'), points($publisher, 'always'), 'ENABLE ALWAYS: what is copied at first earns');
$publisher->safe_psql('always', q{INSERT INTO orders VALUES (10, 'c1', 7)});
catch_up('always', 'always');
is($subscriber->safe_psql('always', 'SELECT count(*) FROM loyalty.entry'), 9, 'what is applied does not');
run_calls($subscriber, 'always', q{CALL loyalty.backfill('orders')});
is(points($subscriber, 'always'), points($publisher, 'always'), 'but by backfill, and nothing twice');
is($subscriber->safe_psql('always', 'SELECT count(*) FROM loyalty.verify()'), 0, 'sound');

# The whole shop, ledger and all, into a database with its schema.
on_node($publisher);
open_shop('shop');
$publisher->safe_psql('shop', 'CREATE PUBLICATION everything FOR ALL TABLES; ALTER TABLE zzz.code REPLICA IDENTITY FULL');
my $schema = PostgreSQL::Test::Utils::tempdir . '/schema.sql';
command_ok([ 'pg_dump', '-s', '--no-publications', '-f', $schema, 'shop' ], 'the schema is dumped');
command_ok([ 'pg_dumpall', '-r', '--no-role-passwords', '-f', "$schema.roles" ], 'and the roles');
on_node($subscriber);
$subscriber->safe_psql('postgres', 'CREATE DATABASE shop');
IPC::Run::run([ 'psql', '-Xqf', "$schema.roles", 'postgres' ], '2>', \my $ignored);
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $schema, 'shop' ], 'and restored');

# A session that has read the configuration before it comes.
my $early = $subscriber->background_psql('shop', on_error_stop => 0);
$early->query(q{SELECT * FROM loyalty.verify()});
$subscriber->safe_psql('shop', "CREATE SUBSCRIPTION everything CONNECTION '$connection dbname=shop' PUBLICATION everything");
catch_up('shop', 'everything');
my $state = sub {
	my ($node) = @_;
	on_node($node);
	return whole_ledger('shop');
};
is($state->($subscriber), $state->($publisher), 'the ledger is replicated');
on_node($subscriber);
is_sound('shop', 'replicated');
is($early->query(q{SELECT status FROM loyalty.household('mum', 'beans') h, loyalty.member m WHERE m.ref = h.member LIMIT 1}), 'active', 'sessions from before see it');

# What happens meanwhile comes along, also to the configuration.
$publisher->safe_psql('shop', q{
	INSERT INTO aaa.orders (customer, total) SELECT 'n' || n % 3, n FROM generate_series(1, 30) n;
	UPDATE aaa.orders SET total = total + 1 WHERE order_id IN (5, 1004);
	SELECT loyalty.adjust('new member', 10, program => 'beans'), loyalty.merge_members('lone1', 'lone2', program => 'beans');
	SELECT loyalty.revise_rule('base', '{"award": "2 per 1"}', program => 'beans');
	INSERT INTO loyalty.program (name) VALUES ('later');
	SELECT loyalty.adjust('new member', 20, program => 'later');
});
catch_up('shop', 'everything');
is($state->($subscriber), $state->($publisher), 'whatever is posted is replicated');
on_node($subscriber);
is_sound('shop', 'replicated further');
is($early->query(q{SELECT available FROM loyalty.balance('new member', program => 'later')}), '20', 'sessions from before see a new program');
is($early->query(q{SELECT available = (SELECT available FROM loyalty.balance('lone2', program => 'beans')) FROM loyalty.balance('lone1', program => 'beans')}), 't', 'and who was merged');

# It takes over.  Sequences are not replicated.
$publisher->stop;
$subscriber->safe_psql('shop', q{
	ALTER SUBSCRIPTION everything DISABLE;
	ALTER SUBSCRIPTION everything SET (slot_name = NONE);
	DROP SUBSCRIPTION everything;
	SELECT setval(pg_get_serial_sequence('loyalty.program', 'program_id'), max(program_id)) FROM loyalty.program;
	SELECT setval(pg_get_serial_sequence('loyalty.rule', 'rule_id'), max(rule_id)) FROM loyalty.rule;
	SELECT setval(pg_get_serial_sequence('loyalty.reward', 'reward_id'), max(reward_id)) FROM loyalty.reward;
	SELECT setval(pg_get_serial_sequence('loyalty.source', 'source_id'), max(source_id)) FROM loyalty.source;
	SELECT setval(pg_get_serial_sequence('loyalty.config_change', 'change_no'), max(change_no)) FROM loyalty.config_change;
	SELECT setval('aaa.orders_order_id_seq', (SELECT max(order_id) FROM aaa.orders))});
is($subscriber->safe_psql('shop', q{SELECT string_agg(sequencename, ' ' ORDER BY sequencename) FROM pg_sequences WHERE schemaname = 'loyalty'}),
	'config_change_change_no_seq estimate_estimate_no_seq program_program_id_seq reward_reward_id_seq rule_rule_id_seq source_source_id_seq', 'there are no other sequences');
is($early->query(q{INSERT INTO aaa.orders (customer, total) VALUES ('taken over', 10); SELECT available FROM loyalty.balance('taken over', program => 'beans')}), '20',
	'sessions from before earn by the rules as they are now');
$subscriber->safe_psql('shop', q{SELECT loyalty.unmerge_members('lone1', program => 'beans'); SELECT loyalty.revise_rule('base', '{"award": "1 per 1"}', program => 'beans')});
$early->quit;
goes_on('shop', 'taken over');

$subscriber->stop;
done_testing();
