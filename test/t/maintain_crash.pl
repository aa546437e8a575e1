# Maintenance that crashes is simply called again: in the end the ledger is that
# of a run which nothing disturbed, also when two runs share what is left.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $nmembers = 20000;

my $node = PostgreSQL::Test::Cluster->new('maintain_crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nwork_mem = '64kB'\n");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# Members with one to three lots, some of which have lapsed; nobody came back.
$node->safe_psql('postgres', 'CREATE DATABASE calm');
$node->safe_psql('calm', <<"SQL");
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry) VALUES ('beans', '12 months'), ('idle', 'inactive 12 months');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1'), ('idle', 'base', '1 per 2');
CREATE TABLE orders (order_id integer PRIMARY KEY, customer integer, total numeric, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', program => 'beans');
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => 'customer % 5 = 0', program => 'idle');
INSERT INTO orders
SELECT n, n * 7919 % $nmembers, 2 + n % 97, '2021-01-01'::timestamptz + n * interval '1 hour'
FROM generate_series(1, $nmembers * 2) n;
INSERT INTO orders SELECT -n, n, 5, now() FROM generate_series(1, $nmembers, 9) n;
SQL
$node->safe_psql('postgres', 'CREATE DATABASE crash TEMPLATE calm');

# Everything but what depends on when it was written.
sub ledger
{
	my ($db) = @_;

	return $node->safe_psql($db,
		'SET timezone = \'UTC\'; SELECT m.program_id, m.ref, e.seq, e.kind, e.points, e.lots, e.source_key, e.occurred_at::date
		 FROM loyalty.entry e JOIN loyalty.member m USING (member_id) ORDER BY 1, 2, 3')
	  . "\n"
	  . $node->safe_psql($db,
		'SELECT program_id, ref, seq, lifetime, status, purse, next_expiry FROM loyalty.member ORDER BY 1, 2');
}

# Start a statement that is not waited for.
sub start
{
	my ($sql) = @_;
	my $output = '';

	return IPC::Run::start [ 'psql', '-Xq', '-d', 'crash', '-c', $sql ], '>', \$output, '2>&1';
}

sub now
{
	return $node->safe_psql('crash', 'SELECT now()');
}

sub written
{
	return $node->safe_psql('crash', q{SELECT count(*) FROM loyalty.entry WHERE kind = 'expire'});
}

# Until so many entries have been committed.
sub wait_for
{
	my ($count) = @_;
	my $deadline = time + 180;

	while (written() < $count) { die 'no progress' if time > $deadline; }
	return;
}

# What the record of the run says is what was committed, and all of it is sound.
sub is_clean_cut
{
	my ($name, $before, $since) = @_;

	is(written() - $before, $node->safe_psql('crash', "SELECT sum(entries) FROM loyalty.maintenance WHERE started_at > '$since'"),
		"$name: what was committed is on record");
	is($node->safe_psql('crash', 'SELECT * FROM loyalty.verify()'), '', "$name: loyalty.verify() finds nothing");
	return;
}

# Undisturbed.
$node->psql('calm', 'CALL loyalty.maintain()');
is($node->safe_psql('calm', 'SELECT * FROM loyalty.verify()'), '', 'undisturbed: loyalty.verify() finds nothing');
my $total = $node->safe_psql('calm', q{SELECT count(*) FROM loyalty.entry WHERE kind = 'expire'});
my $calm = ledger('calm');

# SIGKILL with a batch written and not yet committed: its end waits for its row in the record.
my $start = written();
my $since = now();
my $run = start('CALL loyalty.maintain(batch_size => 20)');
wait_for($start + 500);
my $holder = start('BEGIN; SELECT FROM loyalty.maintenance FOR UPDATE; SELECT pg_sleep(600)');
my $waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL loyalty.maintain%' AND wait_event_type = 'Lock'";
$node->poll_query_until('crash', "SELECT count(*) = 1 FROM ($waiting) w") or die 'the run did not come to the lock';
kill 'KILL', $node->safe_psql('crash', $waiting);
$run->finish;
$holder->finish;
ok($node->poll_query_until('crash', undef, ''), 'killed: the server is back');
is_clean_cut('killed', $start, $since);
my $before = written();
cmp_ok($total - $before, '>', $nmembers / 2, 'killed: much is left');

# Wherever it happens to be.
$since = now();
$run = start('CALL loyalty.maintain(batch_size => 10)');
wait_for($before + 300);
$node->stop('immediate');
$run->finish;
$node->start;
is_clean_cut('server stopped', $before, $since);

# To the end, by two at once.
my @runs = map { start("CALL loyalty.maintain(batch_size => $_)") } (70, 110);
$_->finish for @runs;
$node->safe_psql('crash', 'CALL loyalty.maintain()');
is(written(), $total, 'resumed: as many entries as undisturbed');
ok(ledger('crash') eq $calm, 'resumed: the ledger is that of the undisturbed run');
is($node->safe_psql('crash', 'SELECT * FROM loyalty.verify()'), '', 'resumed: loyalty.verify() finds nothing');
is($node->safe_psql('crash', 'SELECT count(*) FROM loyalty.maintenance WHERE finished_at > started_at AND skipped + failed = 0'),
	2, 'resumed: and on record');

# Once more, with nothing to do.
$node->safe_psql('crash', 'CALL loyalty.maintain()');
is($node->safe_psql('crash', 'SELECT sum(members) FROM loyalty.maintenance'), 0, 'again: nobody is left to be looked at');

$node->stop;
done_testing();
