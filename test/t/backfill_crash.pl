# A backfill that crashes goes on where it was: in the end the ledger is that of
# a run which nothing disturbed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $norders = 20000;

my $node = PostgreSQL::Test::Cluster->new('backfill_crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# Four years of orders, so that points also expire on the way.  The member with
# the greatest member_id, who is locked last, buys only in the last quarter.
$node->safe_psql('postgres', 'CREATE DATABASE calm');
$node->safe_psql('calm', <<"SQL");
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry, points_scale) VALUES ('beans', '6 months', 1);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1'), ('beans', 'more', '3%');
CREATE TABLE orders (order_id integer PRIMARY KEY, customer text, total numeric, status text, at timestamptz NOT NULL);
CREATE TABLE last_member AS
SELECT 'm' || n AS ref, loyalty.member_id('m' || n, 'beans') AS id FROM generate_series(1, 400) n ORDER BY 2 DESC LIMIT 1;
INSERT INTO orders
SELECT n, nullif('m' || 1 + n * 7919 % 400, CASE WHEN n <= $norders * 3 / 4 THEN (SELECT ref FROM last_member) END),
	   n % 97 + 0.37, CASE WHEN n % 11 = 0 THEN 'open' ELSE 'paid' END,
	   '2020-01-01'::timestamptz + n * interval '100 minutes'
FROM generate_series(1, $norders) n;
SELECT loyalty.enroll(ref, at => '2020-01-01') FROM last_member;
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => \$\$status = 'paid'\$\$);
SQL
$node->safe_psql('postgres', 'CREATE DATABASE crash TEMPLATE calm');

# Everything but what depends on when it was written.
sub ledger
{
	my ($db) = @_;

	return $node->safe_psql($db,
		'SET timezone = \'UTC\'; SELECT m.ref, e.seq, e.kind, e.points, e.lots, e.amount, e.rule_id, e.source_key,
		 e.revision, e.occurred_at, e.context FROM loyalty.entry e JOIN loyalty.member m USING (member_id)
		 ORDER BY m.ref, e.seq')
	  . "\n"
	  . $node->safe_psql($db,
		'SET timezone = \'UTC\'; SELECT ref, seq, lifetime, enrolled_at, last_activity, status, purse FROM loyalty.member ORDER BY ref');
}

sub progress
{
	return $node->safe_psql('crash', 'SELECT backfilled_rows FROM loyalty.source');
}

# Start a statement that is not waited for.
sub start
{
	my ($sql) = @_;
	my $output = '';

	return IPC::Run::start [ 'psql', '-Xq', '-d', 'crash', '-c', $sql ], '>', \$output, '2>&1';
}

# The backend that runs a CALL and waits for a lock.
sub waiting_backfill
{
	my $pid;

	$node->poll_query_until('crash',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL loyalty.backfill%' AND wait_event_type = 'Lock'")
	  or die 'the backfill did not come to the lock';
	return $node->safe_psql('crash',
		"SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL loyalty.backfill%' AND wait_event_type = 'Lock'");
}

# The orders that have been through, and no others, have earned, each once.
sub is_clean_cut
{
	my ($name) = @_;

	is($node->safe_psql('crash',
			"SELECT count(*) FROM orders o, loyalty.source s
			 WHERE o.status = 'paid' AND o.customer IS NOT NULL
			   AND (o.at <= s.backfilled_at) <> ((SELECT count(DISTINCT revision) FROM loyalty.entry e
				    WHERE e.member_id = loyalty.member_id(o.customer, 'beans') AND e.source_id = s.source_id
				      AND e.source_key = o.order_id::text) = 1)"),
		0, "$name: what was committed has earned once, the rest has not");
	is($node->safe_psql('crash', 'SELECT backfill_finished_at FROM loyalty.source'), '', "$name: the backfill is not finished");
	is($node->safe_psql('crash', 'SELECT * FROM loyalty.verify()'), '', "$name: loyalty.verify() finds nothing");
	return;
}

# SIGKILL to a backend while others hold it up; all sessions end.
sub crash_while_blocked
{
	my ($name, $blocker, $batch_size) = @_;
	my $holder = start("BEGIN; $blocker; SELECT pg_sleep(600)");
	my $backfill;

	$node->poll_query_until('crash', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die;
	$backfill = start("CALL loyalty.backfill('orders', $batch_size)");
	kill 'KILL', waiting_backfill();
	$backfill->finish;
	$holder->finish;
	ok($node->poll_query_until('crash', undef, ''), "$name: the server is back");
	is_clean_cut($name);
	return;
}

# Undisturbed.
$node->psql('calm', "CALL loyalty.backfill('orders', 1000)");
is($node->safe_psql('calm', 'SELECT * FROM loyalty.verify()'), '', 'undisturbed: loyalty.verify() finds nothing');
my $calm = ledger('calm');

# Before a batch has written anything.
crash_while_blocked('killed between batches', "UPDATE orders SET total = total WHERE order_id = $norders * 3 / 8", 1000);
is(progress(), $node->safe_psql('crash',
		"SELECT count(*) FROM orders WHERE customer IS NOT NULL AND status = 'paid' AND at <= (SELECT backfilled_at FROM loyalty.source)")
	  + $node->safe_psql('crash', "SELECT count(*) FROM orders WHERE customer IS NOT NULL AND status <> 'paid'"),
	'killed between batches: progress is what was committed');

# Wherever it happens to be.
my $before = progress();
my $backfill = start("CALL loyalty.backfill('orders', 10)");
my $deadline = time + 180;
while (progress() <= $before + 200) { die 'no progress' if time > $deadline; }
$node->stop('immediate');
$backfill->finish;
$node->start;
cmp_ok(progress(), '>', $before + 200, 'server stopped: it had gone on from where it was');
is_clean_cut('server stopped');

# With half a batch written: all members but the last are posted to.
crash_while_blocked('killed within a batch',
	'SELECT FROM loyalty.member WHERE member_id = (SELECT id FROM last_member) FOR UPDATE', 4000);

# To the end.
my ($status, $stdout, $stderr) = $node->psql('crash', "CALL loyalty.backfill('orders', 700)");
is($status, 0, 'resumed: the backfill ends');
like($stderr, qr/NOTICE:  backfill of orders is complete/, 'resumed: and says so');
unlike($stderr, qr/ of $norders purchases/, 'resumed: it did not start all over');
is($node->safe_psql('crash', 'SELECT backfill_finished_at IS NOT NULL FROM loyalty.source'), 't', 'resumed: it is on record');
ok(ledger('crash') eq $calm, 'resumed: the ledger is that of the undisturbed run');
is($node->safe_psql('crash', 'SELECT * FROM loyalty.verify()'), '', 'resumed: loyalty.verify() finds nothing');
is( $node->safe_psql('crash',
		"SELECT count(*) FROM (SELECT source_key, rule_id FROM loyalty.entry WHERE source_id <> 0
		 GROUP BY 1, 2 HAVING count(*) > 1) twice"),
	0, 'resumed: no purchase has earned twice');

# Once more from the beginning, with nothing to do.
my $entries = $node->safe_psql('crash', 'SELECT count(*) FROM loyalty.entry');
$node->psql('crash', "CALL loyalty.backfill('orders')");
is($node->safe_psql('crash', 'SELECT count(*) FROM loyalty.entry'), $entries, 'again: nothing is left to earn');

$node->stop;
done_testing();
