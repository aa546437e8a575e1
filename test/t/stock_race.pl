# Sixteen sessions at once: a stock is taken to the last unit, and not one more,
# also while units come back and the stock changes.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 16;
my $stock = 1_000;

my $node = PostgreSQL::Test::Cluster->new('stock');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 40\nsynchronous_commit = off\nfsync = off");
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name) VALUES ('beans');
	INSERT INTO loyalty.reward (program, name, cost, stock) VALUES ('beans', 'mug', 1, $stock), ('beans', 'cup', 1, $stock);
	INSERT INTO loyalty.reward (program, name, cost, stock, backorder) VALUES ('beans', 'jug', 1, 50, true);
	INSERT INTO loyalty.reward (program, name, cost, stock, stock_period) VALUES ('beans', 'daily', 1, 100, 'day');
	SELECT count(loyalty.adjust(n, 100000)) FROM generate_series(1, 300) n;
	CREATE FUNCTION take(customer int, reward text, quantity int) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM loyalty.redeem(customer, reward, quantity);
		RETURN 'taken';
	EXCEPTION WHEN SQLSTATE 'LY021' THEN
		RETURN 'out of stock';
	END \$\$;
});

# Run a pgbench script so many times in all sessions.
sub race
{
	my ($name, $times, $script) = @_;
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, $script);
	command_ok(
		[
			'pgbench', '-n', '-c', $sessions, '-j', '2', '-t', $times, '--max-tries=100',
			'-h', $node->host, '-p', $node->port, '-f', $file, 'postgres'
		],
		"$name: every transaction went through");
	return;
}

sub units
{
	my ($reward) = @_;

	return $node->safe_psql('postgres',
		"SELECT sum(quantity - returned - backordered), (SELECT sum(taken) FROM loyalty.stock s WHERE s.reward = d.reward)
		 FROM loyalty.redemptions d WHERE reward = '$reward' GROUP BY reward");
}

my $unsound = 'SELECT count(*) FROM loyalty.verify()';

race('one', 80, "\\set customer random(1, 300)\nSELECT take(:customer, 'mug', 1);\n");
is(units('mug'), "$stock|$stock", 'one by one: as many as there were');

race('several', 60, "\\set customer random(1, 300)\n\\set quantity random(1, 7)\nSELECT take(:customer, 'cup', :quantity);\n");
my ($taken, $known) = split /\|/, units('cup');
is($taken, $known, 'several at once: what is known to be taken was');
cmp_ok($taken, '<=', $stock, 'and is not more than there were');
$node->safe_psql('postgres', "SELECT take(n, 'cup', 1) FROM generate_series(1, 300) n");
is(units('cup'), "$stock|$stock", 'the last ones go to whoever asks for one');

# More and fewer, while they are being taken.
race('changes', 30, "\\set customer random(1, 300)\n\\set stock random(1000, 1400)\n"
	. "UPDATE loyalty.reward SET stock = :stock WHERE name = 'mug' AND random() < 0.1;\nSELECT take(:customer, 'mug', 2);\n");
($taken, $known) = split /\|/, units('mug');
is($taken, $known, 'while the stock changes: what is known to be taken was');
cmp_ok($taken, '<=', 1400, 'and is not more than there ever were');
$node->safe_psql('postgres', "UPDATE loyalty.reward SET stock = 100 WHERE name = 'mug'");
is($node->safe_psql('postgres', "SELECT take(1, 'mug', 1)"), 'out of stock', 'fewer than were taken: none is left');
$node->safe_psql('postgres', "UPDATE loyalty.reward SET stock = 2000 WHERE name = 'mug'");
race('rest', 60, "\\set customer random(1, 300)\nSELECT take(:customer, 'mug', 3);\n");
$node->safe_psql('postgres', "SELECT take(n, 'mug', 1) FROM generate_series(1, 30) n");
is(units('mug'), '2000|2000', 'more of them: all of those');

race('daily', 10, "\\set customer random(1, 300)\nSELECT take(:customer, 'daily', 1);\n");
is($node->safe_psql('postgres', "SELECT count(*) FROM loyalty.stock WHERE reward = 'daily' AND taken > 100"), 0, 'of each day as many as there are');

# Who asks for too many waits for stock, and is served in the order of asking.
race('backorders', 10, "\\set customer random(1, 300)\nSELECT take(:customer, 'jug', 1);\n");
is(units('jug'), '50|50', 'the rest waits');
is($node->safe_psql('postgres', "SELECT count(*) FROM loyalty.backorders"), 110, 'all of it');
$node->safe_psql('postgres', "UPDATE loyalty.reward SET stock = 100 WHERE name = 'jug'");
$node->psql('postgres', 'CALL loyalty.maintain(batch_size => 7)');
is(units('jug'), '100|100', 'and is served as far as the stock reaches');
is($node->safe_psql('postgres', "SELECT count(*) FROM loyalty.redemptions d WHERE reward = 'jug' AND backordered = 0
	AND requested_at > (SELECT min(since) FROM loyalty.backorders)"), 0, 'whoever asked first');

is($node->safe_psql('postgres', $unsound), '0', 'nothing contradicts itself');
done_testing();
