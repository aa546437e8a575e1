# Many sessions do everything at random, while the server's clock runs days in a
# second and the server, in the second run, is killed and started again. In the
# end the ledger is sound, and is what the sessions were answered: every answered
# act is there once, and nothing else but what time did.
#
# Without settings two short runs; with SOAK_SECONDS one run, of SOAK_SESSIONS
# sessions (16), with SOAK_KILLS kills (0), from SOAK_SEED (said at the start),
# on a clock of SOAK_DAYS days a second (10). SOAK_LOGS: where the logs are kept.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(max min);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Soak::Acts;
use Soak::Client;
use Soak::Ledger;
use Soak::Log;
use Soak::World;
use Test::More;
use Time::HiRes qw(sleep time);

my $sessions = $ENV{SOAK_SESSIONS} || 16;
my $seed = $ENV{SOAK_SEED} || int(rand 1_000_000);
my $days = $ENV{SOAK_DAYS} || 10;
my $logs = $ENV{SOAK_LOGS} || PostgreSQL::Test::Utils::tempdir();

my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock.so';
system_or_bail('cc', '-shared', '-fPIC', '-O2', '-o', $clock, "$FindBin::RealBin/Soak/clock.c");
my %clock = (clock_base => int time, clock_rate => $days * 86400);

# A child that does something to the end of the run.
sub start
{
	my ($work) = @_;
	my $pid = fork // die "fork: $!";

	return $pid if $pid;
	eval { $work->(); 1 } or do { print STDERR "# $@"; POSIX::_exit(1) };
	POSIX::_exit(0);
}

# Ask the same again and again, with a pause: each answer is a line of a log.
sub again_and_again
{
	my ($node, $until, $file, $pause, $sql) = @_;
	my $session = Soak::Session->new(%$node);

	open my $log, '>', $file or die "$file: $!";
	$log->autoflush(1);
	while (time < $until)
	{
		my $since = time;
		my $answer = $session->ask($sql);
		print {$log} join("\t", $answer ? $answer->{sqlstate} // 'ok' : 'lost', sprintf('%.2f', time - $since),
			map { tr/\n\t/  /r } grep { defined } $answer->{message}, map { join '|', @$_ } @{ $answer->{rows} || [] }), "\n";
		sleep $pause;
	}
	$session->close;
	return;
}

sub start_server
{
	my ($node) = @_;

	local $ENV{LD_PRELOAD} = $clock;
	local $ENV{SOAK_CLOCK_BASE} = $clock{clock_base};
	local $ENV{SOAK_CLOCK_RATE} = $clock{clock_rate};
	$node->start;
	return;
}

# The postmaster is stopped first, so that all processes end at one time. They
# are gone before it returns: a new server finds none that it could take for alive.
sub kill_server
{
	my ($node) = @_;
	my $postmaster = $node->{_pid};

	kill 'STOP', $postmaster;
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;
	kill 'KILL', $postmaster, @children;
	$node->kill9;
	for (1 .. 1000)
	{
		last unless kill 0, $postmaster, @children;
		sleep 0.02;
	}
	return scalar @children;
}

# A list of what is wrong is to be empty; the first of it is shown.
sub nothing
{
	my ($wrong, $name) = @_;

	ok(@$wrong == 0, $name) and return;
	diag(scalar(@$wrong) . ' wrong:');
	diag("  $_") for @$wrong[ 0 .. min(19, $#$wrong) ];
	return;
}

sub soak
{
	my ($name, $seconds, $kills) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	note("$name: $sessions sessions, $seconds seconds, $kills kills, seed $seed");
	$node->init;
	# A kill of processes loses nothing of what was written to files.
	$node->append_conf('postgresql.conf',
		"max_connections = @{[ $sessions + 20 ]}\nfsync = off\nrestart_after_crash = on\nautovacuum_naptime = 2147483\n"
		  . "log_statement = none\nlog_min_messages = error\nlog_min_error_statement = panic\nshared_preload_libraries = loyalty\nloyalty.voucher_secret = '@{[ 'soak' x 10 ]}'\n");
	start_server($node);
	$node->safe_psql('postgres', 'CREATE TABLE done (key text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), refs text[] NOT NULL)');
	$node->safe_psql('postgres', Soak::World::SETUP);
	$node->safe_psql('postgres', $_) for Soak::Rewards::SETUP, Soak::People::SETUP;

	my %where = (host => $node->host, port => $node->port);
	my $until = time + $seconds;
	mkdir "$logs/$name";
	my @files = map { "$logs/$name/client$_.log" } 1 .. $sessions;
	my @pids = map {
		my $n = $_;
		start(sub {
			Soak::Client->new(%clock, node => \%where, run => $name, number => $n, seed => $seed + $n, until => $until,
				file => $files[ $n - 1 ])->run;
		});
	} 1 .. $sessions;
	push @pids, start(sub { again_and_again(\%where, $until, "$logs/$name/maintain.log", 0.5, 'CALL loyalty.maintain()') });
	push @pids, start(sub { again_and_again(\%where, $until, "$logs/$name/verify.log", 2, q{SELECT 'V', * FROM loyalty.verify()}) });

	for my $kill (1 .. $kills)
	{
		sleep max(0.5, $until - $seconds * ($kills - $kill + 1) / ($kills + 1) - time);
		my $children = kill_server($node);
		note("$name: killed the server and its $children processes");
		start_server($node);
	}
	my $failed = grep { waitpid($_, 0); $? != 0 } @pids;
	is($failed, 0, "$name: every session went on to the end");

	my $log = Soak::Log->read(@files);
	note($_) for $log->summary($seconds);
	nothing($log->unexpected, "$name: nobody was refused what is not refused");
	# Whoever waits for a member who is merged meanwhile goes on to the other one, whatever he holds already.
	cmp_ok($log->{retried}{'40P01'} // 0, '<=', $log->merges / 10, "$name: no deadlock, but for merges");
	nothing($log->contradictions, "$name: what was asked again was answered again");
	check_ledger($name, $node, $log);
	for my $file ('maintain', 'verify')
	{
		my @wrong = grep { !/^(?:ok|lost)\t[0-9.]+$/ } split /\n/, slurp_file("$logs/$name/$file.log");
		nothing(\@wrong, "$name: $file meanwhile");
	}
	$node->stop;
	return;
}

sub check_ledger
{
	my ($name, $node, $log) = @_;
	my $ledger = Soak::Ledger->read($node);

	is($node->safe_psql('postgres', 'SELECT * FROM loyalty.verify()'), '', "$name: loyalty.verify() finds nothing");
	is($node->safe_psql('postgres', 'SELECT * FROM loyalty.deferred'), '', "$name: nothing was deferred");
	nothing($ledger->missing($log), "$name: every answered act is in the ledger once, with what was answered");
	nothing($ledger->unknown($log), "$name: nothing is there that nobody was answered, but what time did");
	nothing($ledger->balances($log), "$name: balances are what was answered and what time did");
	nothing($ledger->orders($log), "$name: so are the orders");
	nothing($ledger->stock($log), "$name: what was redeemed was answered, and nothing is oversold");
	nothing($ledger->vouchers($log), "$name: what vouchers paid was answered");
	note($_) for $ledger->summary($log);
	$node->safe_psql('postgres', 'CALL loyalty.maintain()');
	is($node->safe_psql('postgres', 'SELECT * FROM loyalty.verify()'), '', "$name: nor once maintenance has run");
	return;
}

if ($ENV{SOAK_SECONDS})
{
	soak('soak', $ENV{SOAK_SECONDS}, $ENV{SOAK_KILLS} || 0);
}
else
{
	soak('calm', 8, 0);
	soak('killed', 8, 2);
}
done_testing();
