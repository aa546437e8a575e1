# Sixteen sessions at once: a budget and the caps of members are used up, and not a point more.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 16;
my $orders = 60;	# of each session
my $budget = 5_003;
my $cap = 1_009;

my $node = PostgreSQL::Test::Cluster->new('race');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 40\nsynchronous_commit = off\nfsync = off");
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name, clawback) VALUES ('budget', 'debt'), ('caps', 'debt');
	INSERT INTO loyalty.rule (program, name, award, budget) VALUES ('budget', 'limited', '1 per 1', $budget);
	INSERT INTO loyalty.rule (program, name, award, member_cap) VALUES ('caps', 'limited', '1 per 1', $cap);
	INSERT INTO loyalty.rule (program, name, award) VALUES ('budget', 'base', '2 per 1');
	CREATE SEQUENCE ids;
	CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT nextval('ids'), customer text, total numeric);
	CREATE TABLE visits (LIKE orders INCLUDING ALL);
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total', program => 'budget');
	SELECT loyalty.attach('visits', member => 'customer', amount => 'total', program => 'caps');
});

# Run a pgbench script in all sessions.
sub race
{
	my ($name, $script) = @_;
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, $script);
	command_ok(
		[
			'pgbench', '-n', '-c', $sessions, '-j', '2', '-t', $orders, '--max-tries=100',
			'-h', $node->host, '-p', $node->port, '-f', $file, 'postgres'
		],
		"$name: every transaction went through");
	return;
}

# What the ledger says of the limited rule, and of its budget or its members' caps.
my $given = q{SELECT coalesce(sum(points), 0)::numeric FROM loyalty.entry JOIN loyalty.rule r USING (rule_id)
	WHERE r.name = 'limited' AND r.program =};
my $spent = q{SELECT sum(spent)::numeric FROM loyalty.budget_usage};
my $caps = q{SELECT ref, sum(points)::numeric, (SELECT sum(u.points)::numeric FROM loyalty.rule_usage u WHERE u.member_id = m.member_id)
	FROM loyalty.entry e JOIN loyalty.member m USING (member_id) JOIN loyalty.program p ON p.program_id = m.program_id
	WHERE p.name = 'caps' GROUP BY 1, m.member_id ORDER BY 1};
my $unsound = q{SELECT count(*) FROM loyalty.verify()};
my $wanted = q{SELECT sum(total) FROM};

# Orders of many members: each session ends with more members than the budget has points for.
race('orders', q{
	\set member random(1, 500)
	\set total random(3, 17)
	INSERT INTO orders (customer, total) VALUES (:member, :total);
});
cmp_ok($node->safe_psql('postgres', "$wanted orders"), '>', $budget, 'more was wanted than there is');
is($node->safe_psql('postgres', "$given 'budget'"), $budget, 'the budget is used up, to the point');
is($node->safe_psql('postgres', $spent), $budget, 'and is known to be');
is($node->safe_psql('postgres', "SELECT count(*) FROM orders"), $sessions * $orders, 'all orders stand');

# Returns and other orders at once: it may be spent again, never more.
race('returns', q{
	\set member random(1, 500)
	\set total random(3, 17)
	\set back random(1, 960)
	DELETE FROM orders WHERE id = :back;
	INSERT INTO orders (customer, total) VALUES (:member, :total);
});
my $now = $node->safe_psql('postgres', "$given 'budget'");
cmp_ok($now, '<=', $budget, 'with returns, not more than the budget');
is($node->safe_psql('postgres', $spent), $now, 'and what is known of it is what was given');
# Who comes next gets the rest.
$node->safe_psql('postgres', "INSERT INTO orders (customer, total) VALUES ('last', 1000000)");
is($node->safe_psql('postgres', "$given 'budget'"), $budget, 'the rest goes to whoever comes next');

# Orders that go to other members and grow, while the budget is all but used up: a statement both gives
# back and draws, and does so at once.
my $deadlocks = q{SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'};
my $before = $node->safe_psql('postgres', $deadlocks);
$node->safe_psql('postgres', 'DELETE FROM orders WHERE id % 40 = 0');
race('moved', q{
	\set member random(1, 500)
	\set total random(3, 17)
	\set moved random(1, 960)
	UPDATE orders SET customer = :member, total = :total WHERE id = :moved;
});
is($node->safe_psql('postgres', $deadlocks), $before, 'no deadlock');
cmp_ok($node->safe_psql('postgres', "$given 'budget'"), '<=', $budget, 'with orders that move, not more than the budget');
is($node->safe_psql('postgres', $spent), $node->safe_psql('postgres', "$given 'budget'"), 'and what is known of it is what was given');

# Three members, whom all sessions are about.
race('visits', q{
	\set member random(1, 3)
	\set total random(3, 17)
	INSERT INTO visits (customer, total) VALUES (:member, :total);
});
is($node->safe_psql('postgres', $caps), join("\n", map { "$_|$cap|$cap" } 1 .. 3), 'each member has all that he may have');
race('returned_visits', q{
	\set member random(1, 3)
	\set total random(3, 17)
	\set back random(1, 4000)
	UPDATE visits SET total = total / 2 WHERE id = :back;
	INSERT INTO visits (customer, total) VALUES (:member, :total), (1 + :member % 3, :total);
});
is($node->safe_psql('postgres', "SELECT count(*) FROM ($caps) AS m (ref, points, counted) WHERE points <> counted OR points > $cap"), '0', 'with returns, never more');

is($node->safe_psql('postgres', 'SELECT count(*) FROM loyalty.deferred'), '0', 'nothing was deferred');
is($node->safe_psql('postgres', $unsound), '0', 'nothing contradicts itself');
$node->safe_psql('postgres', 'DELETE FROM orders; DELETE FROM visits');
is($node->safe_psql('postgres', $spent), '0', 'all is given back');
is($node->safe_psql('postgres', 'SELECT sum(points), sum(times) FROM loyalty.rule_usage'), '0|0', 'of the caps as well');
is($node->safe_psql('postgres', $unsound), '0', 'nothing contradicts itself');

done_testing();
