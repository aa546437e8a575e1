# An import that crashes is simply started again: in the end the ledger is that
# of a run which nothing disturbed, also when two runs share what is left.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $nmembers = 10000;

my $node = PostgreSQL::Test::Cluster->new('import_crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# Members with several lots, tiers and profiles, two of whom are wrong, beside some who are there already.
$node->safe_psql('postgres', 'CREATE DATABASE calm');
$node->safe_psql('calm', <<"SQL");
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry, tier_window, tier_validity) VALUES ('beans', '12 months', 'rolling 12 months', '12 months');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 100), ('beans', 'gold', 2, 250);
CREATE TABLE orders (order_id integer PRIMARY KEY, customer integer, total numeric, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
INSERT INTO orders SELECT n, n, 5, '2025-01-01' FROM generate_series(1, $nmembers, 9) n;
CREATE TABLE old AS
SELECT n AS member, n % 50 - CASE WHEN k = 2 AND n IN (77, 777) THEN 1000 ELSE 0 END AS points,
	'2030-01-01'::date + k * 30 + n % 7 AS ends, (ARRAY[NULL, 'silver', 'gold'])[1 + n % 3] AS tier,
	format('{2025-05-0%s: %s/0/1}', 1 + n % 9, n % 300)::loyalty.tally AS tally, CASE WHEN n % 5 = 0 THEN ARRAY['a'] END AS segments
FROM generate_series(1, $nmembers) n, generate_series(1, 3) k;
SQL
$node->safe_psql('postgres', 'CREATE DATABASE crash TEMPLATE calm');

# Everything but what depends on when it was written.
sub ledger
{
	my ($db) = @_;

	return $node->safe_psql($db,
		'SELECT m.ref, e.seq, e.kind, e.points, e.lots, e.source_key, e.context, e.occurred_at
		 FROM loyalty.entry e JOIN loyalty.member m USING (member_id) ORDER BY 1, 2')
	  . "\n"
	  . $node->safe_psql($db,
		'SELECT ref, seq, lifetime, enrolled_at, last_activity, purse, tier, tier_since, tier_until, tally, tally_since, next_expiry, segments
		 FROM loyalty.member LEFT JOIN loyalty.profile USING (member_id) ORDER BY 1')
	  . "\n"
	  . $node->safe_psql($db,
		'SELECT member_id, change_no, seq, at, from_tier, to_tier, until, reason FROM loyalty.tier_change ORDER BY 1, 2');
}

sub import_call
{
	my ($batch_size) = @_;

	return "CALL loyalty.import_balance('old', 'shop', at => '2025-06-01', batch_size => $batch_size)";
}

# Start a statement that is not waited for.
sub start
{
	my ($sql) = @_;
	my $output = '';

	return IPC::Run::start [ 'psql', '-Xq', '-d', 'crash', '-c', $sql ], '>', \$output, '2>&1';
}

sub written
{
	return $node->safe_psql('crash', q{SELECT count(*) FROM loyalty.entry WHERE kind = 'import'});
}

# Until so many members have been committed.
sub wait_for
{
	my ($count) = @_;
	my $deadline = time + 180;

	while (written() < $count) { die 'no progress' if time > $deadline; }
	return;
}

sub is_sound
{
	my ($db, $name) = @_;

	return is($node->safe_psql($db, 'SELECT * FROM loyalty.verify()'), '', "$name: loyalty.verify() finds nothing");
}

# Undisturbed.
$node->psql('calm', import_call(1000));
is_sound('calm', 'undisturbed');
my $total = $node->safe_psql('calm', q{SELECT count(*) FROM loyalty.entry WHERE kind = 'import'});
is($total, $nmembers - 2, 'undisturbed: all but those who are wrong');
my $calm = ledger('calm');

# SIGKILL with a batch under way: it waits for a member whom somebody else holds.
my $held = $node->safe_psql('crash', 'SELECT percentile_disc(0.3) WITHIN GROUP (ORDER BY member_id) FROM loyalty.member');
my $holder = start("BEGIN; SELECT FROM loyalty.member WHERE member_id = $held FOR UPDATE; SELECT pg_sleep(600)");
$node->poll_query_until('crash', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die 'nobody holds him';
my $run = start(import_call(100));
my $waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL loyalty.import_balance%' AND wait_event_type = 'Lock'";
$node->poll_query_until('crash', "SELECT count(*) = 1 FROM ($waiting) w") or die 'the run did not come to the lock';
kill 'KILL', $node->safe_psql('crash', $waiting);
$run->finish;
$holder->finish;
ok($node->poll_query_until('crash', undef, ''), 'killed: the server is back');
my $before = written();
is($before % 100, 0, 'killed: whole batches were committed');
cmp_ok($before, '>', 0, 'killed: some were');
cmp_ok($total - $before, '>', $nmembers / 2, 'killed: much is left');
is_sound('crash', 'killed');

# Wherever it happens to be.
$run = start(import_call(10));
wait_for($before + 300);
$node->stop('immediate');
$run->finish;
$node->start;
cmp_ok(written(), '<', $total, 'server stopped: something is left');
is_sound('crash', 'server stopped');

# To the end, by two at once.
my @runs = map { start(import_call($_)) } (70, 110);
$_->finish for @runs;
is(written(), $total, 'started again: as many as undisturbed');
ok(ledger('crash') eq $calm, 'started again: the ledger is that of the undisturbed run');
is_sound('crash', 'started again');

# Once more, with nothing to do.
$node->safe_psql('crash', import_call(1000));
ok(ledger('crash') eq $calm, 'once more: nothing has changed');
is($node->safe_psql('crash', 'SELECT ref FROM loyalty.import_failure ORDER BY ref'), "77\n777", 'who is wrong is on record');

$node->stop;
done_testing();
