# pg_upgrade takes a cluster with a shop along, copied and linked: nothing is
# different afterwards, and it goes on earning.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $old = new_node('old');
$old->start;
on_node($old);
open_shop('shop');
# Settings of the extension that a cluster keeps for roles and databases.
$old->safe_psql('postgres', "CREATE ROLE till; ALTER ROLE till SET loyalty.program = 'beans'; ALTER ROLE till IN DATABASE shop SET loyalty.program = 'club'");
my $at = $old->safe_psql('shop', 'SELECT now()');

# In use when it is copied: a database whose library was loaded, and one without the extension.
$old->safe_psql('postgres', 'CREATE DATABASE empty; CREATE DATABASE bare');
$old->safe_psql('empty', 'CREATE EXTENSION loyalty');

sub state_of
{
	my ($node) = @_;

	on_node($node);
	return {
		ledger => whole_ledger('shop'),
		sequences => sequences('shop'),
		balances => balances('shop', $at),
		triggers => triggers('shop'),
		rights => $node->safe_psql('shop', q{
			SELECT c.oid::regclass, ARRAY(SELECT unnest(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)))::text ORDER BY 1), c.relowner::regrole, c.relrowsecurity FROM pg_class c WHERE relnamespace = 'loyalty'::regnamespace ORDER BY c.oid::regclass::text;
			SELECT p.oid::regprocedure, ARRAY(SELECT unnest(coalesce(p.proacl, acldefault('f', p.proowner)))::text ORDER BY 1), p.proowner::regrole, p.proconfig FROM pg_proc p WHERE pronamespace = 'loyalty'::regnamespace ORDER BY p.oid::regprocedure::text;
			SELECT * FROM pg_policies ORDER BY tablename, policyname;
			SELECT evtname, evtevent, evtfoid::regproc, evtenabled, evttags FROM pg_event_trigger ORDER BY 1;
			SELECT classid::regclass, deptype, count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass GROUP BY 1, 2 ORDER BY 1, 2;
			SELECT extversion, extowner::regrole, extcondition, (SELECT array_agg(c::regclass ORDER BY c::regclass::text) FROM unnest(extconfig) c) FROM pg_extension WHERE extname = 'loyalty'}),
	};
}

sub upgrade
{
	my ($new, @options) = @_;
	my $bin = $old->config_data('--bindir');
	my $directory = PostgreSQL::Test::Utils::tempdir;
	my $output;

	# It writes where it stands.
	chdir $directory or die "$directory: $!";
	my $status = IPC::Run::run(
		[
			'pg_upgrade', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin, '-s', $new->host,
			'-p', $old->port, '-P', $new->port, '--no-sync', @options
		],
		'>', \$output, '2>&1');
	return ($status, $output);
}

my $before = state_of($old);
$old->stop;

foreach my $mode (qw(copy link))
{
	my $new = new_node("upgraded_$mode");
	my ($status, $output) = upgrade($new, '--check');

	ok($status, "pg_upgrade --check") or diag($output);
	like($output, qr/Clusters are compatible/, 'clusters are compatible');
	($status, $output) = upgrade($new, $mode eq 'link' ? '--link' : ());    # to copy is what it does by itself
	ok($status, "pg_upgrade --$mode") or diag($output);
	next if !$status;

	$new->start;
	my $after = state_of($new);
	is($after->{$_}, $before->{$_}, "$mode: the $_ are the same") foreach sort keys %$before;
	is($new->safe_psql('postgres', q{SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'till'::regrole ORDER BY 1}),
		"{loyalty.program=beans}\n{loyalty.program=club}", "$mode: settings of roles are kept");
	my @problems = slurp_file($new->logfile) =~ /(?:WARNING|ERROR|FATAL|PANIC):.*/g;
	is_deeply(\@problems, [], "$mode: not a word of complaint");
	is_sound('shop', $mode);
	is($new->safe_psql('empty', q{INSERT INTO loyalty.program (name) VALUES ('p'); SELECT points FROM loyalty.adjust('x', 5)}), 5, "$mode: one that is empty can be used");
	goes_on('shop', $mode);
	$new->stop;
}

done_testing();
