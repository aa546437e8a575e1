# One session's memory does not grow, however many single orders, returns, acts and
# refused statements it has had.
#
# MEMORY_ORDERS=1000000 makes it long (6000).

use strict;
use warnings;

use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $orders = $ENV{MEMORY_ORDERS} || 6000;
# Until then caches fill: plans, the catalog, what a program's rules compile to.
my $warm = 1500;
my $most = 512;    # kB that may come to it

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off\nshared_buffers = '64MB'\nmax_wal_size = 1GB\nlog_statement = none\nlog_min_messages = fatal\nlog_min_error_statement = panic\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry, tier_window) VALUES ('beans', '12 months', 'rolling 12 months');
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period) VALUES ('beans', 'base', '1 per 1', 1000, 'day');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'gold', 'x2', $$member.tier = 'gold' AND extract(isodow FROM at) >= 6$$);
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 100), ('beans', 'gold', 2, 250);
CREATE TABLE orders (id serial PRIMARY KEY, customer text, total numeric, at timestamptz NOT NULL DEFAULT now());
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
CREATE TABLE head (id integer PRIMARY KEY, customer text);
CREATE TABLE line (id integer, amount numeric);
CREATE INDEX ON line (id);
SELECT loyalty.attach_query('baskets', 'SELECT id AS key, customer AS member, amount FROM head JOIN line USING (id)', '{head.id, line.id}');
SQL

# What the session has for itself, and what PostgreSQL's own book says of it.
my $memory = q{SELECT 'M|' || substring(pg_read_file('/proc/self/status') from 'RssAnon:\s+(\d+)') || '|' || (SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts)::bigint;};

# Each is a statement, and so a transaction, of its own.
sub flat
{
	my ($name, $count, @statements) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql" =~ tr/ /_/r;
	my $steps = 8;

	open my $script, '>', $file or die "$file: $!";
	print {$script} "SET client_min_messages = fatal;\n\\set ON_ERROR_STOP off\n";
	for my $n (1 .. $warm + $count)
	{
		# What autovacuum does to tables has sessions read them, and rules, again.
		print {$script} "ANALYZE loyalty.member;\nANALYZE loyalty.entry;\nANALYZE orders;\n" if $n < $warm && $n % 100 == 0;
		print {$script} "$memory\n" if $n == $warm || $n > $warm && ($n - $warm) % int($count / $steps) == 0;
		print {$script} $statements[ $n % @statements ] =~ s/\bN\b/$n/gr, ";\n";
	}
	close $script;
	my ($status, $output, $error) = ('', '', '');
	IPC::Run::run [ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', $file ], '>', \$output, '2>', '/dev/null';
	my @figures = map { [ (split /\|/)[ 1, 2 ] ] } grep { /^M\|/ } split /\n/, $output;

	note(sprintf '%s: %d statements; resident %s kB; contexts %s kB', $name, $count,
		join(' ', map { $_->[0] } @figures), join(' ', map { $_->[1] } @figures));
	cmp_ok(scalar @figures, '>', $steps / 2, "$name: went to the end");
	for my $figure (0, 1)
	{
		# What comes and goes may be there when it is asked, or not.
		my @half = map { $_->[$figure] } @figures;
		my @first = splice @half, 0, @half / 2 + 1;
		cmp_ok(max(@half) - max(@first), '<', $most, "$name: " . ('the session\'s memory does not grow', 'nor do its contexts')[$figure]);
	}
	return;
}

flat('orders', $orders, "INSERT INTO orders (customer, total) VALUES ('m' || N % 500, N % 70)");
flat('orders that change', $orders / 4,
	"INSERT INTO orders (id, customer, total) VALUES (-N, 'm' || N % 500, 30)", 'UPDATE orders SET total = total - 5 WHERE id = -(N - 1)',
	"UPDATE orders SET customer = 'm' || N % 400 WHERE id = -(N - 2)", 'DELETE FROM orders WHERE id = -(N - 3)');
flat('baskets', $orders / 4, "WITH h AS (INSERT INTO head VALUES (N, 'm' || N % 500)) INSERT INTO line VALUES (N, 5), (N, 7)", 'UPDATE line SET amount = 9 WHERE id = N - 1');
flat('acts', $orders / 4, q{SELECT loyalty.adjust('m1', 5)}, q{SELECT loyalty.spend('m1', 2)}, q{SELECT * FROM loyalty.balance('m1')}, q{SELECT loyalty.transfer('m1', 'm2', 1)},
	q{SELECT loyalty.release('m1', (loyalty.hold('m1', 1)).entry)}, q{SELECT * FROM loyalty.quote('m3', amount => 20)});
flat('refused statements', $orders / 4, q{SELECT loyalty.spend('m1', 1e9)}, q{SELECT loyalty.spend('nobody', 1)}, q{INSERT INTO orders (customer, total) VALUES ('m1', 'NaN')},
	q{INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'bad', '1', 'amount >')}, q{SELECT '{1@x}'::loyalty.purse});
# Rules are compiled anew in every session each time.
flat('changed configuration', $orders / 20, q{UPDATE loyalty.program SET pending = (N % 3) * interval '1 day'}, q{INSERT INTO orders (customer, total) VALUES ('m' || N % 500, 10)},
	q{BEGIN; SELECT loyalty.revise_rule('base', '{"award": "2 per 1"}'); INSERT INTO orders (customer, total) VALUES ('m' || N % 500, 10); ROLLBACK}, q{INSERT INTO orders (customer, total) VALUES ('m' || N % 500, 10)});
is($node->safe_psql('postgres', 'SELECT * FROM loyalty.verify()'), '', 'the ledger is sound');
$node->stop('immediate');
done_testing();
