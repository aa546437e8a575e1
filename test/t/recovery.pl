# After a crash, and after recovery from an archive to a point in time, the
# ledger is what it was, and goes on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop', has_archiving => 1, allows_streaming => 1);
$node->append_conf('postgresql.conf', 'full_page_writes = on');
$node->start;
$node->backup('before');
on_node($node);
open_shop('shop');
$node->backup('between');

# To come back to.
$node->safe_psql('shop', q{
	INSERT INTO aaa.orders (customer, total) SELECT 'p' || n % 5, n FROM generate_series(1, 200) n;
	SELECT loyalty.transfer('p1', 'p2', 5, program => 'beans');
	UPDATE loyalty.tier SET min_amount = 120 WHERE name = 'silver'});
my $at = $node->safe_psql('shop', 'SELECT now()');
my $ledger = whole_ledger('shop');
my $balances = balances('shop', $at);
$node->safe_psql('postgres', q{SELECT pg_create_restore_point('then')});

# What is under way when it crashes.
$node->safe_psql('shop', q{INSERT INTO aaa.orders (customer, total) VALUES ('p1', 77)});
my $later = whole_ledger('shop');
my $open = $node->background_psql('shop');
$open->query_safe(q{BEGIN; INSERT INTO aaa.orders (customer, total) SELECT 'p' || n % 5, 300 FROM generate_series(1, 50) n;
	SELECT loyalty.hold('holder', 10, amount => 100, program => 'beans'), loyalty.accept('reviewer 3', 1, program => 'beans'), loyalty.redeem('redeemer', 'tour', program => 'beans')});
$node->safe_psql('postgres', 'CHECKPOINT');
$open->query_safe(q{UPDATE aaa.orders SET total = total + 1 WHERE customer = 'p1'});
$node->stop('immediate');
$node->start;
is(whole_ledger('shop'), $later, 'after a crash the ledger is what was committed');
is_sound('shop', 'after a crash');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->stop;

foreach my $backup (qw(before between))
{
	my $recovered = PostgreSQL::Test::Cluster->new("recovered_$backup");

	$recovered->init_from_backup($node, $backup, has_restoring => 1, standby => 0);
	$recovered->append_conf('postgresql.conf', "recovery_target_name = 'then'\nrecovery_target_action = 'promote'\narchive_mode = off");
	$recovered->start;
	$recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'still in recovery';
	on_node($recovered);
	is(whole_ledger('shop'), $ledger, "$backup: at the point in time the ledger is what it was then");
	is(balances('shop', $at), $balances, "$backup: so are the balances");
	is_sound('shop', $backup);
	goes_on('shop', $backup);
	$recovered->stop;
}

done_testing();
