# A dump carries the ledger: however it is restored, the tables are the same,
# loyalty.verify() finds nothing, and the restored shop goes on earning.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('restore');
$node->start;
on_node($node);
open_shop('shop');
my $dumps = PostgreSQL::Test::Utils::tempdir;
my $at = $node->safe_psql('shop', 'SELECT now()');

is($node->safe_psql('shop',
		"SELECT c.oid::regclass FROM pg_class c, pg_extension e WHERE e.extname = 'loyalty'
		 AND c.relnamespace = 'loyalty'::regnamespace AND c.relkind IN ('r', 'S') AND c.oid <> ALL (e.extconfig)"),
	'', 'every table and sequence of the extension is in a dump');

# Reports are the same though the dump has no rollups.
$node->safe_psql('shop', 'SELECT loyalty.roll_up(name, until => now()) FROM loyalty.program');
sub reports
{
	return $node->safe_psql($_[0], q{SELECT p.name, d.* FROM loyalty.points_by_day d JOIN loyalty.program p USING (program_id)
		 ORDER BY convert_to(p.name, 'UTF8'), day, kind, rule_id, source_id;
		 SELECT l.* FROM loyalty.lots_by_day l ORDER BY program_id, day;
		 SELECT a.* FROM loyalty.activity_by_month a ORDER BY member_id, month});
}
my $reports = reports('shop');
my $ledger = whole_ledger('shop');
# A table without rows would come back without proving anything.
is(join(' ', $ledger =~ /^loyalty\.(\w+)\n\n/mg), 'maintenance_failure', 'there are rows in every table but that of failures');
my $sequences = sequences('shop');
my $balances = balances('shop', $at);
my $triggers = triggers('shop');

my %dumps = (
	'plain.sql' => ['-Fp'],
	'custom' => ['-Fc'],
	'tar' => ['-Ft'],
	'directory' => [ '-Fd', '-j', 2 ],
	'inserts.sql' => [ '-Fp', '--inserts' ],
	'column_inserts.sql' => [ '-Fp', '--column-inserts', '--rows-per-insert=50' ],
	'clean.sql' => [ '-Fp', '--clean', '--if-exists' ],
	'nobody.sql' => [ '-Fp', '-O', '-x' ],
	map { ("$_.sql" => [ '-Fp', "--section=$_" ]) } qw(pre-data data post-data),
);
command_ok([ 'pg_dump', @{ $dumps{$_} }, '-f', "$dumps/$_", 'shop' ], "pg_dump @{ $dumps{$_} }") foreach sort keys %dumps;

my $dump = slurp_file("$dumps/plain.sql");
my @codes = split /\n/, $node->safe_psql('shop', q{SELECT code FROM zzz.code});
# The shop has them in a table of its own, which is not ours to seal.
$dump =~ s/^COPY zzz\.code .*?^\\\.$//ms;
is(scalar(grep { index($dump, $_) >= 0 } @codes), 0, 'no code that was made is in a dump');
unlike($dump, qr/the secret of this shop/, 'nor the secret');
unlike($dump, qr/SEALED/, 'nor what is sealed');

# What a database would be dumped as, whatever came first into a table.
sub redumped
{
	my ($db) = @_;
	my ($stdout, $stderr);

	IPC::Run::run([ 'pg_dump', '-E', 'UTF8', '-d', $db ], '>', \$stdout, '2>', \$stderr) or die $stderr;
	$stdout =~ s/^COPY loyalty\.maintenance .*?^\\\.$//ms;    # see tables()
	return join "\n", sort grep { !/^(?:--|\\(?:un)?restrict |$)/ } split /\n/, $stdout;
}
my $redumped = redumped('shop');

# In another encoding the fields of jsonb come in another order.
sub from_elsewhere
{
	my ($mode, $text) = @_;

	return $text if ($mode->{target} // '') !~ /ENCODING/;
	return join "\n", map { join ' ', sort split /[{},\s]+/ } split /\n/, $text;
}

my @replica = (PGOPTIONS => '-c session_replication_role=replica');
my @psql = qw(psql -Xq -v ON_ERROR_STOP=1);
my @restore = qw(pg_restore --exit-on-error);

sub load { return [ @psql, '-f', "$dumps/$_[0].sql" ] }
sub restore { return [ @restore, @_[1 .. $#_], "$dumps/$_[0]" ] }

# What pg_dump --clean brings up of any partitioned table with a primary key.
my $partition_key = qr/ERROR:  cannot drop inherited constraint "pay_\w+_pkey" of relation "pay_\w+"/;

# Each has its steps: commands, hashes of environment, and SQL of the superuser.
# Others: the target (of CREATE DATABASE), messages that do no harm, whether its
# own dump is another one, and the superuser's SQL without which it would not go
# on.  MODES=REGEXP: only these.
my @modes = (
	{ name => 'plain', steps => [ load('plain') ] },
	{ name => 'with INSERTs', steps => [ load('inserts') ] },
	{ name => 'with INSERTs of many rows', steps => [ load('column_inserts') ] },
	{ name => 'plain, by sections', steps => [ map { load($_) } qw(pre-data data post-data) ] },
	{ name => 'custom', steps => [ restore('custom') ] },
	{ name => 'tar', steps => [ restore('tar') ] },
	{ name => 'in one transaction', steps => [ restore('custom', '--single-transaction') ] },
	{ name => 'by sections', steps => [ map { restore('custom', "--section=$_") } qw(pre-data data post-data) ] },
	{ name => 'parallel', steps => [ restore('directory', '-j', 4) ] },
	{ name => 'parallel as a replica', steps => [ {@replica}, restore('directory', '-j', 4) ] },
	{ name => 'where the extension is already', steps => [ 'CREATE EXTENSION loyalty', restore('custom') ] },

	# Over what it was dumped from, and over what has gone on since.
	{ name => 'over itself', steps => [ load('plain'), [ qw(psql -Xq -f), "$dumps/clean.sql" ] ], tolerate => $partition_key },
	{
		name => 'over another, parallel',
		steps => [
			load('plain'), q{INSERT INTO aaa.orders (customer, total) SELECT 'x' || n, n FROM generate_series(1, 100) n},
			[ qw(pg_restore --clean --if-exists -j 4), "$dumps/directory" ]
		],
		tolerate => $partition_key
	},

	# Data alone.
	{
		name => 'data only', steps => [ restore('custom', '--schema-only'), restore('custom', '--data-only') ],
		# Orders that sort before the ledger come while their two sources are not there.
		warnings => [ map { qq(WARNING:  rows of "$_->[0]" earn nothing: source $_->[1] does not exist) } [ head => 6 ], [ orders => 1 ], [ orders => 2 ] ]
	},
	{ name => 'data only without triggers', steps => [ restore('custom', '--schema-only'), restore('custom', '--data-only', '--disable-triggers') ] },
	{
		name => 'data only, parallel as a replica',
		steps => [ restore('custom', '--schema-only'), {@replica}, restore('directory', '--data-only', '-j', 4) ]
	},

	# Who restores owns it, the rule's owner has lost the right to run its function, and roles have those to use tables.
	{
		name => 'without owners and rights', steps => [ load('nobody') ], otherwise => 1,
		mend => 'GRANT USAGE ON SCHEMA crm TO manager; GRANT EXECUTE ON FUNCTION crm.is_big TO manager;
				 SELECT loyalty.grant_access(a.role::regrole, a.access, p.name) FROM loyalty.access a JOIN loyalty.program p USING (program_id)'
	},
	{
		name => 'by an owner who is no superuser',
		steps => [
			'CREATE ROLE keeper LOGIN SUPERUSER; ALTER DATABASE restored OWNER TO keeper; GRANT manager, postgres TO keeper; SET ROLE keeper; CREATE EXTENSION loyalty; RESET ROLE; ALTER ROLE keeper NOSUPERUSER',
			{ PGUSER => 'keeper' }, restore('custom', '-O')
		],
		otherwise => 1
	},

	# Where text is other bytes, or sorts otherwise.
	{ name => 'into LATIN1', target => q{ENCODING 'LATIN1' LOCALE 'C'}, steps => [ load('plain') ] },
	{ name => 'into LATIN1, parallel', target => q{ENCODING 'LATIN1' LOCALE 'C'}, steps => [ restore('directory', '-j', 4) ] },
	{ name => 'into SQL_ASCII', target => q{ENCODING 'SQL_ASCII' LOCALE 'C'}, steps => [ load('plain') ] },
	{ name => 'under a Turkish collation', target => q{LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'}, steps => [ load('plain') ] },
);

foreach my $mode (@modes)
{
	my $name = $mode->{name};
	my $messages = '';
	my $status = 1;
	my $log_start = -s $node->logfile;

	next if $ENV{MODES} && $name !~ /$ENV{MODES}/;
	$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0 ' . ($mode->{target} // ''));
	{
		local %ENV = %ENV;
		foreach my $step (@{ $mode->{steps} })
		{
			my ($stdout, $stderr) = ('', '');

			if (ref $step eq 'HASH')
			{
				%ENV = (%ENV, %$step);
				next;
			}
			$step = [ @psql, '-U', 'postgres', '-c', $step ] if !ref $step;
			$status &&= IPC::Run::run([ @$step, '-d', 'restored' ], '>', \$stdout, '2>', \$stderr) || $mode->{tolerate};
			$messages .= $stderr;
		}
	}
	ok($status, "$name: restores") or diag($messages);
	if (!$status)
	{
		$node->safe_psql('postgres', 'DROP DATABASE restored');
		next;
	}

	# pg_restore keeps warnings to itself, the server's log does not.
	my @warnings = grep { !$mode->{tolerate} || !/$mode->{tolerate}/ }
	  slurp_file($node->logfile, $log_start) =~ /(?:WARNING|ERROR|FATAL|PANIC):.*/g;

	is(from_elsewhere($mode, whole_ledger('restored')), from_elsewhere($mode, $ledger), "$name: the ledger is the same");
	is(sequences('restored'), $sequences, "$name: the sequences are the same");
	is(balances('restored', $at), $balances, "$name: the balances are the same");
	is(triggers('restored'), $triggers, "$name: the triggers are the same");
	is(from_elsewhere($mode, reports('restored')), from_elsewhere($mode, $reports), "$name: so are reports");
	is(from_elsewhere($mode, redumped('restored')), from_elsewhere($mode, $redumped), "$name: so is a dump of it") if !$mode->{otherwise};
	is_deeply(\@warnings, $mode->{warnings} // [], "$name: a trigger without its source warns, and nothing else does");
	$node->safe_psql('restored', $mode->{mend}) if $mode->{mend};
	is_sound('restored', $name);
	goes_on('restored', $name);
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}

$node->stop;
done_testing();
