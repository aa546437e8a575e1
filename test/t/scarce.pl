# When memory or the disk is used up in the middle of bulk orders, redemptions,
# acts or maintenance there are errors only; once there is room again nothing is
# lost and nothing is there twice.
#
# Small file systems are mounted in a name space of this program's own; where
# that is not permitted the size of files is limited instead, and the one test
# that needs the file system is skipped. SCARCE_FULL=1 tries more amounts.

use strict;
use warnings;

# Before anything else: again, where mounting is permitted.
BEGIN
{
	my @own = ('unshare', '--map-current-user', '--mount', '--keep-caps');

	if (!exists $ENV{SCARCE_MOUNT})
	{
		$ENV{SCARCE_MOUNT} = system("@own sh -c 'mount -t tmpfs -o size=1M none /mnt' >/dev/null 2>&1") == 0 ? 1 : 0;
		exec @own, $^X, $0, @ARGV if $ENV{SCARCE_MOUNT};
	}
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# How much is left, in kB, and how often the log is full.
my @more = $ENV{SCARCE_FULL} ? (0, 100, 300, 1000, 2000, 4000, 8000, 16000) : (300, 4000);
my @left = $ENV{SCARCE_FULL} ? (0, 8, 50, 200, 900, 2500, 6000) : (8, 900);
my $rounds = $ENV{SCARCE_FULL} ? 5 : 2;

my $can_mount = $ENV{SCARCE_MOUNT};
my $limits = system('prlimit --version >/dev/null 2>&1') == 0;

sub mount_small
{
	my ($where, $size) = @_;

	mkdir $where;
	system_or_bail('mount', '-t', 'tmpfs', '-o', "size=$size,mode=0700", 'none', $where);
	return;
}

# Fill what is left but for so many kB; make room again.
sub fill
{
	my ($where, $left) = @_;
	my ($free) = (split ' ', `df --output=avail -k $where | tail -1`);

	system_or_bail('dd', 'if=/dev/zero', "of=$where/filler", 'bs=1k', 'count=' . ($free - $left), 'status=none') if $free > $left;
	return;
}

my $node = PostgreSQL::Test::Cluster->new('scarce');
# Small, so that a limit on files need not be large.
$node->init(extra => [ '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\nmax_wal_size = '64MB'\nmin_wal_size = '2MB'\nwork_mem = '64MB'\nlog_statement = none\n");
$node->start;
my $data = $node->data_dir;

use constant SETUP => <<'SQL';
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry) VALUES ('beans', '12 months');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
INSERT INTO loyalty.reward (program, name, kind, cost, stock) VALUES ('beans', 'MUG', 'product', 1, 1000000);
CREATE TABLE orders (id integer PRIMARY KEY, customer integer, total numeric, at timestamptz NOT NULL DEFAULT now());
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
INSERT INTO orders SELECT -i, i % 3000, 20, now() - interval '13 months' FROM generate_series(1, 3000) i;
INSERT INTO orders SELECT -i - 3000, i % 3000, 20 FROM generate_series(1, 3000) i;
SQL

my %works = (
	'orders' => q{INSERT INTO orders SELECT coalesce((SELECT max(id) FROM orders), 0) + i, i % 9000, 1 + i % 7 FROM generate_series(1, 20000) i},
	'changes' => q{UPDATE orders SET total = total + 1},
	'redemptions' => q{SELECT count(loyalty.redeem((i % 3000)::text, 'MUG')) FROM generate_series(1, 6000) i},
	'acts' => q{SELECT count(loyalty.adjust((i % 3000)::text, 1)) FROM generate_series(1, 6000) i},
	'maintenance' => q{CALL loyalty.maintain(batch_size => 100)},
	'maintenance as one batch' => q{CALL loyalty.maintain(batch_size => 100000)},
	'verification' => q{SELECT count(*) FROM loyalty.verify()},
	'import' => q{CALL loyalty.import_balance('SELECT ''i'' || i AS member, 5 AS points FROM generate_series(1, 20000) i', key => 'i', batch_size => 500)});

# Each order has earned what it came to, and of all else as much is there as is in the ledger.
sub is_whole
{
	my ($db, $name) = @_;

	is($node->safe_psql($db, 'SELECT * FROM loyalty.verify() LIMIT 3'), '', "$name: the ledger is sound");
	is($node->safe_psql($db, q{SELECT (SELECT sum(total) FROM orders) - sum(points)::numeric FROM loyalty.entry WHERE kind IN ('earn', 'clawback') AND source_id > 0}), 0,
		"$name: what orders earned is what they came to");
	is($node->safe_psql($db, q{SELECT (SELECT count(*) FROM loyalty.redemption) - count(*) FROM loyalty.entry WHERE kind = 'redeem'}), 0, "$name: redemptions are those of the ledger");
	is($node->safe_psql($db, 'SELECT count(*) FROM loyalty.deferred'), 0, "$name: nothing was put aside");
	return;
}

sub errors
{
	my ($output) = @_;
	my %codes = map { $_ => 1 } $output =~ /(?:ERROR|FATAL|PANIC):  (\w{5})/g;

	return join ' ', sort keys %codes;
}

#
# Memory: the session's address space is limited to little more than it has.
#
SKIP:
{
	skip 'no prlimit', 1 unless $limits;
	$node->safe_psql('postgres', 'CREATE DATABASE memory');
	$node->safe_psql('memory', SETUP);
	my ($hits, %codes) = (0);

	for my $name (sort keys %works)
	{
		my @before = split /\|/, $node->safe_psql('memory', q{SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM loyalty.entry)});

		for my $more (@more)
		{
			my ($in, $out) = ('', '');
			my $session = IPC::Run::start [ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('memory') ], '<', \$in, '>', \$out, '2>&1';

			# What is loaded once is loaded; and the stack is as deep as it will be.
			$in .= "SET client_min_messages = error;\nBEGIN; INSERT INTO orders VALUES (-1000000, 1, 5); SELECT loyalty.redeem('1', 'MUG'); ROLLBACK; SELECT count(*) FROM loyalty.verify();\n"
			  . "WITH RECURSIVE r AS (SELECT 1 AS i, '(1' || repeat('+(1', 800) || repeat(')', 801) AS e) SELECT length(e) FROM r;\nSELECT 'pid', pg_backend_pid(), substring(pg_read_file('/proc/self/status') from 'VmSize:\\s+(\\d+)');\n";
			$session->pump until $out =~ /pid\|(\d+)\|(\d+)\n/;
			my ($pid, $size) = ($1, $2);
			system_or_bail('prlimit', "--pid=$pid", '--as=' . ($size + $more) * 1024);
			$in .= "$works{$name};\n\\echo over\n";
			$session->pump until $out =~ /over\n/ || !$session->pumpable;
			# Free again, the session goes on.
			system('prlimit', "--pid=$pid", '--as=unlimited');
			$in .= "SELECT 'alive';\n\\q\n";
			$session->finish;
			like($out, qr/alive/, "memory, $name, $more kB more: the session goes on") or diag($out);
			my $codes = errors($out);
			$codes{$_}++ for split / /, $codes;
			$hits++ if $codes;
		}
		is_whole('memory', "memory, $name");
	}
	note("memory: $hits of " . @more * keys(%works) . ' ended for want of it: ' . join(', ', map { "$codes{$_} $_" } sort keys %codes));
	cmp_ok($hits, '>', 1, 'memory: some were short of it');
	is(join(' ', grep { $_ ne '53200' } keys %codes), '', 'memory: and said so');
	unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'memory: no process ended otherwise');
}

#
# Disk: the database's files, by a small file system or a limit on files.
#
{
	my $space = PostgreSQL::Test::Utils::tempdir() . '/space';
	my $tablespace = '';
	my ($hits, %codes) = (0);

	if ($can_mount)
	{
		mount_small($space, '200M');
		mkdir "$space/data";
		chmod 0700, "$space/data";
		# The server that is running is in this name space, and so sees it.
		$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$space/data'");
		$tablespace = 'TABLESPACE small';
	}
	$node->safe_psql('postgres', "CREATE DATABASE disk $tablespace");
	$node->safe_psql('disk', SETUP);
	for my $name (sort keys %works)
	{
		for my $left (@left)
		{
			$node->safe_psql('disk', 'CHECKPOINT');
			my ($in, $out) = ("SET client_min_messages = error;\nSELECT 'pid', pg_backend_pid();\n", '');
			my $session = IPC::Run::start [ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('disk') ], '<', \$in, '>', \$out, '2>&1';
			$session->pump until $out =~ /pid\|(\d+)\n/;
			my $pid = $1;

			if ($can_mount) { fill($space, $left); }
			else
			{
				# No file grows beyond the largest one that there is.
				my $largest = $node->safe_psql('disk', q{SELECT max(pg_relation_size(oid)) FROM pg_class WHERE relnamespace IN ('loyalty'::regnamespace, 'public'::regnamespace) AND relkind IN ('r', 'i')});
				system_or_bail('prlimit', "--pid=$pid", '--fsize=' . ($largest > 1200000 ? $largest + $left * 256 : 1200000));
			}
			$in .= "$works{$name};\n\\echo over\n";
			$session->pump until $out =~ /over\n/ || !$session->pumpable;
			if ($can_mount) { unlink "$space/filler"; }
			else { system('prlimit', "--pid=$pid", '--fsize=unlimited'); }
			$in .= "SELECT 'alive';\n\\q\n";
			$session->finish;
			like($out, qr/alive/, "disk, $name, $left kB left: the session goes on") or diag($out);
			my $codes = errors($out);
			$codes{$_}++ for split / /, $codes;
			$hits++ if $codes;
		}
		is_whole('disk', "disk, $name");
	}
	note('disk (' . ($can_mount ? 'a small file system' : 'a limit on files') . "): $hits of " . @left * keys(%works) . ' ended for want of room: ' . join(', ', map { "$codes{$_} $_" } sort keys %codes));
	cmp_ok($hits, '>', 1, 'disk: some found it full');
	# EFBIG has no code of its own.
	is(join(' ', grep { $_ ne '53100' && ($can_mount || $_ ne '58030') } keys %codes), '', 'disk: and said so');
	# Once there is room all of it comes to its end.
	for my $name (sort keys %works)
	{
		my ($status) = $node->psql('disk', $works{$name}, on_error_stop => 1);
		is($status, 0, "disk, $name: done once there is room");
	}
	is_whole('disk', 'disk, in the end');
	unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'disk: no process ended otherwise');
	$node->safe_psql('postgres', 'DROP DATABASE disk');
	$node->safe_psql('postgres', 'DROP TABLESPACE small') if $can_mount;
}

#
# Disk: the write-ahead log's. The server stops; what was committed is there.
#
SKIP:
{
	skip 'mounting is not permitted here', 1 unless $can_mount;
	my $wal = PostgreSQL::Test::Utils::tempdir() . '/wal';

	$node->safe_psql('postgres', 'CREATE DATABASE log');
	$node->safe_psql('log', SETUP);
	$node->safe_psql('log', 'CREATE TABLE done (id integer)');
	$node->stop;
	$node->append_conf('postgresql.conf', "max_wal_size = '1GB'\ncheckpoint_timeout = '1h'\nwal_recycle = off\nwal_init_zero = on\n");
	mount_small($wal, '60M');
	system_or_bail('sh', '-c', "cp -a $data/pg_wal $wal/pg_wal && rm -r $data/pg_wal && ln -s $wal/pg_wal $data/pg_wal");
	$node->start;
	for my $round (1 .. $rounds)
	{
		# Orders, each committed before the next one: those that were answered.
		$node->safe_psql('log', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
		fill($wal, 1500 * ($round - 1));
		my $file = PostgreSQL::Test::Utils::tempdir() . '/orders.sql';
		append_to_file($file, "SET client_min_messages = error;\n" . join '', map { "INSERT INTO orders VALUES ($round * 1000000 + $_, $_ % 3000, 3);\n\\if :ERROR\n\\else\n\\echo made $_\n\\endif\n"
			  . ($_ % 3 ? '' : "SELECT loyalty.redeem(($_ % 3000)::text, 'MUG', key => '$round-$_') IS NOT NULL;\n") } 1 .. 30000);
		my $out = '';
		IPC::Run::run [ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('log'), '-f', $file ], '>', \$out, '2>&1';
		my @made = $out =~ /^made (\d+)$/mg;

		unlink "$wal/filler";
		# The postmaster may have given up on starting again.
		my $up = 0;
		my $postmaster = $node->{_pid};
		for (1 .. 200)
		{
			last if !kill(0, $postmaster) || ($up = $node->psql('postgres', 'SELECT 1') == 0);
			sleep 0.1;
		}
		if (!$up)
		{
			$node->{_pid} = undef;
			$node->start;
		}
		note("log, round $round: " . @made . ' orders were answered; ' . errors($out));
		cmp_ok(scalar @made, '>', 0, "log, round $round: some orders were made");
		my %there = map { $_ => 1 } split /\n/, $node->safe_psql('log', "SELECT id - $round * 1000000 FROM orders WHERE id BETWEEN $round * 1000000 AND $round * 1000000 + 999999");
		is(scalar(grep { !$there{$_} } @made), 0, "log, round $round: every answered order is there");
		cmp_ok(keys(%there) - @made, '<=', 1, "log, round $round: and none but the one that was not answered");
		is_whole('log', "log, round $round");
	}
	like(slurp_file($node->logfile), qr/PANIC.*No space left/, 'log: it was full');
}
$node->stop;
done_testing();
