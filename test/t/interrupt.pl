# Whatever takes long can be stopped, by statement_timeout and by pg_cancel_backend:
# it ends within a second, and the ledger is sound; called again it comes to its end.
#
# INTERRUPT_ORDERS says how many orders there are (6000): the more, the longer
# each statement could go on without noticing.

use strict;
use warnings;

use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $orders = $ENV{INTERRUPT_ORDERS} || 6000;
my $members = int($orders / 4);
# The shop's own machine may be busy: what is late by more than this is late.
my $patience = 1;

my $node = PostgreSQL::Test::Cluster->new('interrupt');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nmax_wal_size = 4GB\nwork_mem = '16MB'\nlog_statement = none\n");
$node->start;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry, tier_window) VALUES ('beans', '12 months', 'rolling 12 months'), ('old', '1 month', 'lifetime');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1'), ('old', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) SELECT 'beans', 'rule ' || i, '1', 'amount > 50' FROM generate_series(1, 5) i;
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 100), ('beans', 'gold', 2, 250);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer, total numeric, at timestamptz NOT NULL);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', program => 'beans');
CREATE TABLE history (LIKE orders INCLUDING ALL);
INSERT INTO history SELECT i, i % $members, 1 + i % 90, now() - interval '2 years' + i * interval '1 minute' FROM generate_series(1, $orders) i;
SELECT loyalty.attach('history', member => 'customer', amount => 'total', at => 'at', program => 'old');
CREATE TABLE head (id integer PRIMARY KEY, customer integer, at timestamptz);
CREATE TABLE line (id integer, amount numeric);
CREATE INDEX ON line (id);
SELECT loyalty.attach_query('baskets', 'SELECT id AS key, customer AS member, at, amount FROM head JOIN line USING (id)', '{head.id, line.id}', program => 'beans');
INSERT INTO line SELECT i % ($orders / 4), 1 + i % 30 FROM generate_series(1, $orders) i;
CREATE TABLE taken AS SELECT 'old' || i % $members AS member, i % 50 AS points, now()::date + i % 99 AS ends FROM generate_series(1, $orders) i;
CREATE TABLE partitioned (id integer NOT NULL, customer integer, total numeric, day date NOT NULL) PARTITION BY HASH (day);
CREATE TABLE part PARTITION OF partitioned FOR VALUES WITH (MODULUS 1, REMAINDER 0);
ALTER TABLE partitioned ADD UNIQUE (id, day);
INSERT INTO partitioned SELECT i, i, 1, '2026-01-01'::date + i % 300 FROM generate_series(1, $orders * 5) i;
INSERT INTO loyalty.reward (program, name, kind, cost, condition, stock) SELECT 'beans', 'R' || i, 'product', i, 'member.tier = ''gold'' OR member.qualifying < 5', 1000 FROM generate_series(1, $orders / 20) i;
INSERT INTO loyalty.voucher_pool (program, name, kind, value) VALUES ('beans', 'pool', 'value', 5);
-- One whose history is long, and who has several refs.
SELECT loyalty.enroll('busy', program => 'beans'), loyalty.enroll('target', program => 'beans');
INSERT INTO orders SELECT -i, NULL, 1, now() FROM generate_series(1, 10) i;
CREATE TABLE visits (id integer PRIMARY KEY, who text, total numeric);
SELECT loyalty.attach('visits', member => 'who', amount => 'total', program => 'beans');
INSERT INTO visits SELECT i, 'busy', 1 + i % 20 FROM generate_series(1, $orders) i;
INSERT INTO visits SELECT $orders + i, 'ref' || i, 1 FROM generate_series(1, 10) i;
SELECT count(loyalty.merge_members('ref' || i, 'busy', program => 'beans')) FROM generate_series(1, 10) i;
SQL

my $unsound = 'SELECT * FROM loyalty.verify() LIMIT 5';
my ($stopped, $latest, %late) = (0, 0);

# Run a statement that may last so long; how it ended, and after how many seconds.
sub run
{
	my ($sql, $timeout) = @_;
	my $since = time;
	my ($status, $output, $error) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=sqlstate' ],
		connstr => $node->connstr('postgres') . " options='-c statement_timeout=$timeout -c client_min_messages=error'");

	return (time - $since, $error);
}

# Stop it after longer and longer, until it ends by itself; then once more from another session.
sub stop
{
	my ($name, $sql, $again) = @_;
	my ($took, $error);
	my $times = 0;

	for my $timeout (1, 5, 40, 150, 500, 1200, 2500)
	{
		($took, $error) = run($sql, $timeout);
		last unless $error =~ /57014/;
		$times++;
		$latest = max($latest, $took - $timeout / 1000);
		$late{$name} = max($late{$name} || 0, $took - $timeout / 1000);
		return fail("$name: ends when it is stopped") if $took - $timeout / 1000 > $patience;
	}

	my $output = '';
	my $session = IPC::Run::start [ 'psql', '-Xq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres') . " application_name='victim' options='-c client_min_messages=error'", '-c', $sql ], '>', \$output, '2>&1';
	my $running = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active' AND query_start < now() - interval '20 ms'};
	my $until = time + 30;
	my $cancelled = '';
	while (time < $until && $cancelled eq '' && $session->pumpable)
	{
		$cancelled = $node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM ($running) v");
		$session->pump_nb;
		last if $output ne '';
	}
	my $since = time;
	$session->finish;
	if ($output =~ /57014/)
	{
		$times++;
		$latest = max($latest, time - $since);
		$late{$name} = max($late{$name} || 0, time - $since);
	}
	$stopped += $times;
	# What is over in no time cannot be stopped.
	ok($times > 0 || $took < 0.2, sprintf '%s: ends when it is stopped, %d times, at most %.0f ms later', $name, $times, 1000 * ($late{$name} || 0));
	is(join(' ', grep { $_ ne '57014' } "$output$error" =~ /ERROR:  (\w+)/g), '', "$name: by nothing else");
	is($node->safe_psql('postgres', $unsound), '', "$name: the ledger is sound");
	return;
}

stop('orders in bulk', "INSERT INTO orders SELECT i, i % $members, 1 + i % 90, now() - i * interval '1 minute' FROM generate_series(1, $orders) i ON CONFLICT DO NOTHING");
$node->psql('postgres', "INSERT INTO orders SELECT i, i % $members, 1 + i % 90, now() - i * interval '1 minute' FROM generate_series(1, $orders) i ON CONFLICT DO NOTHING");
stop('orders changed in bulk', 'BEGIN; UPDATE orders SET total = total + 1 WHERE id > 0; ROLLBACK');
stop('orders reassigned in bulk', "BEGIN; UPDATE orders SET customer = (customer + 1) % $members WHERE id > 0; ROLLBACK");
stop('orders deleted in bulk', 'BEGIN; DELETE FROM orders; ROLLBACK');
stop('baskets in bulk', "BEGIN; INSERT INTO head SELECT i, i % $members, now() FROM generate_series(1, $orders / 4) i; ROLLBACK");
stop('backfill', q{CALL loyalty.backfill('history', batch_size => 100000, program => 'old')});
stop('backfill in batches', q{CALL loyalty.backfill('history', batch_size => 50, program => 'old')});
stop('import', q{CALL loyalty.import_balance('taken', key => 'i', program => 'beans')});
stop('import as one batch', q{BEGIN; CALL loyalty.import_balance('taken', key => 'j', program => 'beans', batch_size => 1000000); ROLLBACK});
stop('import of codes', "BEGIN; SELECT loyalty.import_vouchers('pool', ARRAY(SELECT 'CODE' || i FROM generate_series(1, $orders * 3) i), program => 'beans'); ROLLBACK");
$node->safe_psql('postgres', q{CALL loyalty.backfill('history', program => 'old')});
stop('maintenance as one batch', q{CALL loyalty.maintain(batch_size => 1000000)});
stop('maintenance', q{CALL loyalty.maintain(batch_size => 20)});
stop('verify', 'SELECT * FROM loyalty.verify()');
stop('seal', q{BEGIN; SELECT loyalty.seal('beans'); SELECT loyalty.seal('old'); ROLLBACK});
stop('export of one with a long history', "SELECT length(loyalty.export_member('busy', program => 'beans')::text)");
stop('what is suspicious', 'SELECT count(*) FROM loyalty.suspicious');
stop('merge of one with many refs and purchases', "BEGIN; SELECT loyalty.merge_members('busy', 'target', program => 'beans'); ROLLBACK");
stop('attach with a key to check', "BEGIN; SELECT loyalty.attach('partitioned', member => 'customer', amount => 'total', key => 'id', program => 'beans'); ROLLBACK");
stop('catalogue', "SELECT count(*) FROM generate_series(1, 50) i, loyalty.catalogue('busy', now() - i * interval '1 second', program => 'beans')");
stop('catalogue once', "SELECT count(*) FROM loyalty.catalogue('busy', program => 'beans')");
stop('statement', "SELECT count(*), sum(points) FROM loyalty.statement('busy', program => 'beans')");
stop('quote of many lines', "SELECT * FROM loyalty.quote('busy', lines => (SELECT jsonb_agg(jsonb_build_object('amount', i)) FROM generate_series(1, $orders * 2) i), program => 'beans')");
stop('record of many lines', "BEGIN; SELECT * FROM loyalty.record('busy', 'purchase', lines => (SELECT jsonb_agg(jsonb_build_object('amount', i, 'item', 'i' || i)) FROM generate_series(1, $orders * 2) i), program => 'beans'); ROLLBACK");
stop('expiring', "SELECT count(*) FROM generate_series(1, 20) i, loyalty.expiring('old', within => i * interval '30 days')");
stop('liability', 'SELECT * FROM loyalty.liability, generate_series(1, 20)');
stop('purses', "SELECT loyalty.sum(lots) FROM loyalty.entry, generate_series(1, 50)");
stop('text of a purse', "SELECT length((SELECT '{' || string_agg('1\@' || '2020-01-01'::date + i, ', ') || '}' FROM generate_series(1, $orders * 20) i)::loyalty.purse::text)");
stop('text of a tally', "SELECT length((SELECT '{' || string_agg('2020-01-01'::date + i || ': 1/1/1', ', ') || '}' FROM generate_series(1, $orders * 20) i)::loyalty.tally::text)");

# Called again they come to their ends, and each order has earned once.
$node->safe_psql('postgres', q{CALL loyalty.import_balance('taken', key => 'i', program => 'beans')});
$node->safe_psql('postgres', 'CALL loyalty.maintain()');
is($node->safe_psql('postgres', $unsound), '', 'to the end: the ledger is sound');
is($node->safe_psql('postgres', q{SELECT sum(e.points)::numeric - (SELECT sum(total) FROM history) FROM loyalty.entry e JOIN loyalty.source USING (source_id) WHERE name = 'history' AND kind = 'earn'}),
	0, 'to the end: history has earned once');
is($node->safe_psql('postgres', q{SELECT sum(e.points)::numeric = (SELECT sum(points) FROM taken) FROM loyalty.entry e WHERE kind = 'import'}), 't', 'to the end: all is imported, once');
note(sprintf '%d orders: stopped %d times, at most %.0f ms after', $orders, $stopped, $latest * 1000);
$node->stop;
done_testing();
