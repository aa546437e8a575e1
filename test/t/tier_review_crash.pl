# A review of tiers that crashes is simply called again: in the end every member
# has the tier, the tally and the history of a run which nothing disturbed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $nmembers = 8000;
my $at = '2023-06-01 12:00+00';

my $node = PostgreSQL::Test::Cluster->new('tier_review_crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nwork_mem = '64kB'\n");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

# Members of all tiers; by the day of the review most of them fall, some by one
# tier and some further, and others have come back and stay.
$node->safe_psql('postgres', 'CREATE DATABASE calm');
$node->safe_psql('calm', <<"SQL");
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, tier_window) VALUES ('beans', 'rolling 365 days');
INSERT INTO loyalty.program (name, tier_window, tier_validity, tier_downgrade, tier_grace)
VALUES ('years', 'calendar year', '12 months end of year', 'one', '10 days');
INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 1' FROM loyalty.program;
INSERT INTO loyalty.tier (program, name, rank, min_amount)
SELECT p.name, t.name, rank, amount FROM loyalty.program p, (VALUES ('base', 0, 0), ('silver', 1, 100), ('gold', 2, 200)) t (name, rank, amount);
CREATE TABLE orders (order_id integer PRIMARY KEY, customer integer, total numeric, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', program => 'beans'),
	   loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', counts => 'customer % 3 = 0', program => 'years');
INSERT INTO orders SELECT n, n, 50 + n * 7919 % 230, '2021-01-01'::timestamptz + n % 360 * interval '1 day' FROM generate_series(1, $nmembers) n;
INSERT INTO orders SELECT -n, n, n * 31 % 220, '2022-09-01'::timestamptz + n % 90 * interval '1 day' FROM generate_series(1, $nmembers, 7) n;
SQL

# Everything but what depends on when it was written.
sub standing
{
	my ($db) = @_;

	return $node->safe_psql($db,
		'SET timezone = \'UTC\'; SELECT m.program_id, m.ref, c.change_no, c.seq, c.at, c.from_tier, c.from_rank, c.to_tier, c.to_rank, c.until, c.reason
		 FROM loyalty.tier_change c JOIN loyalty.member m USING (member_id) ORDER BY 1, 2, 3')
	  . "\n"
	  . $node->safe_psql($db,
		'SET timezone = \'UTC\'; SELECT program_id, ref, seq, purse, tier, tier_since, tier_until, tier_changes, tally, tally_since, next_expiry FROM loyalty.member ORDER BY 1, 2');
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
	my ($db) = @_;

	return $node->safe_psql($db, q{SELECT count(*) FROM loyalty.tier_change WHERE reason IN ('lapsed', 'kept')});
}

# Until so many changes have been committed.
sub wait_for
{
	my ($count) = @_;
	my $deadline = time + 120;

	while (written('crash') < $count) { die 'no progress' if time > $deadline; }
	return;
}

# Members and their history agree, and all of it is sound.
sub is_sound
{
	my ($db, $name) = @_;

	is($node->safe_psql($db,
			'SELECT m.ref, m.tier, c.to_tier FROM loyalty.member m JOIN (SELECT DISTINCT ON (member_id) * FROM loyalty.tier_change ORDER BY member_id, change_no DESC) c USING (member_id)
			 WHERE m.tier IS DISTINCT FROM c.to_tier OR m.tier_changes <> c.change_no'),
		'', "$name: each member has the tier of his last change");
	is($node->safe_psql($db, 'SELECT * FROM loyalty.verify()'), '', "$name: loyalty.verify() finds nothing");
	return;
}

# Undisturbed.
$node->safe_psql('postgres', 'CREATE DATABASE crash TEMPLATE calm');
$node->safe_psql('calm', "CALL loyalty.maintain('$at')");
is_sound('calm', 'undisturbed');
my $total = written('calm');
my $calm = standing('calm');
cmp_ok($total, '>', $nmembers / 2, 'undisturbed: many fell');

# A review is too quick to be met half way: here each change takes its time.
$node->safe_psql('crash', <<'SQL');
CREATE FUNCTION slowly() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN true; END';
ALTER TABLE loyalty.tier_change ADD CONSTRAINT slowly CHECK (slowly()) NOT VALID;
SQL

# SIGKILL with a batch written and not yet committed: its end waits for its row in the record.
my $run = start("CALL loyalty.maintain('$at', batch_size => 5)");
wait_for(200);
my $holder = start('BEGIN; SELECT FROM loyalty.maintenance FOR UPDATE; SELECT pg_sleep(600)');
my $waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL loyalty.maintain%' AND wait_event_type = 'Lock'";
$node->poll_query_until('crash', "SELECT count(*) = 1 FROM ($waiting) w") or die 'the run did not come to the lock';
kill 'KILL', $node->safe_psql('crash', $waiting);
$run->finish;
$holder->finish;
ok($node->poll_query_until('crash', undef, ''), 'killed: the server is back');
my $before = written('crash');
cmp_ok($total - $before, '>', $nmembers / 4, 'killed: much is left');
is_sound('crash', 'killed');

# Wherever it happens to be.
$run = start("CALL loyalty.maintain('$at', batch_size => 3)");
wait_for($before + 100);
$node->stop('immediate');
$run->finish;
$node->start;
is_sound('crash', 'server stopped');

# To the end, by two at once.
$node->safe_psql('crash', 'ALTER TABLE loyalty.tier_change DROP CONSTRAINT slowly');
my @runs = map { start("CALL loyalty.maintain('$at', batch_size => $_)") } (70, 110);
$_->finish for @runs;
$node->safe_psql('crash', "CALL loyalty.maintain('$at')");
is(written('crash'), $total, 'resumed: as many changes as undisturbed');
ok(standing('crash') eq $calm, 'resumed: tiers, tallies and history are those of the undisturbed run');
is_sound('crash', 'resumed');

# Once more, with nothing to do.
$node->safe_psql('crash', "CALL loyalty.maintain('$at')");
is($node->safe_psql('crash', 'SELECT sum(members) FROM loyalty.maintenance'), 0, 'again: nobody is left to be looked at');

$node->stop;
done_testing();
