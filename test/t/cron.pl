# Maintenance by the clock: what schedule_maintenance asks of the real pg_cron,
# and what its job does as the job's user.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('cron');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_cron'
cron.database_name = 'shop'
cron.use_background_workers = on
CONF
$node->start;
# Two members whose points lapsed long ago, and nobody touched them since.
my $setup = <<'SQL';
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry) VALUES ('beans', '1 month'), ('it''s', '1 month');
SELECT loyalty.adjust('ann', 10, at => '2024-01-31', program => p.name) FROM loyalty.program p;
SQL
for my $db ('shop', 'other')
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, $setup);
}
$node->safe_psql('postgres', 'CREATE ROLE clerk LOGIN');

sub answer
{
	my ($db, $sql, %options) = @_;
	my ($status, $stdout, $stderr) = $node->psql($db, $sql, %options);

	return $status == 0 ? $stdout : $stderr;
}

# pg_cron is not installed, or in another database.
like(answer('shop', q{SELECT loyalty.schedule_maintenance('0 * * * *')}),
	qr/extension "pg_cron" is not installed in this database\nHINT:  CREATE EXTENSION pg_cron\./,
	'not installed: what to do is told');
$node->safe_psql('shop', 'CREATE EXTENSION pg_cron');
my $elsewhere = answer('other', q{SELECT loyalty.schedule_maintenance('0 * * * *', 'it''s')});
like($elsewhere, qr/HINT:  pg_cron is at home in database "shop"\. Call there: SELECT cron\.schedule_in_database\(/,
	'installed elsewhere: what to call where is told');
my ($call) = $elsewhere =~ /Call there: (SELECT .*;)/;
$node->safe_psql('shop', $call);
is($node->safe_psql('shop', 'SELECT jobname, schedule, command, database FROM cron.job'),
	q{loyalty maintenance|0 * * * *|CALL loyalty.maintain(program => 'it''s')|other},
	'installed elsewhere: and does it');
$node->safe_psql('shop', q{SELECT cron.unschedule('loyalty maintenance')});

# Installed here.
my $jobs = 'SELECT jobname, schedule, command, database, username, active FROM cron.job ORDER BY jobid';
my $job = $node->safe_psql('shop', q{SELECT loyalty.schedule_maintenance('7 * * * *')});
is($node->safe_psql('shop', "SELECT jobid FROM cron.job"), $job, 'scheduled: the number of the job is answered');
is($node->safe_psql('shop', q{SELECT loyalty.schedule_maintenance('8 3 * * *')}), $job, 'scheduled again: it is the same job');
$node->safe_psql('shop', q{SELECT loyalty.schedule_maintenance('9 * * * *', 'it''s')});
my $user = $node->safe_psql('shop', 'SELECT current_user');
is($node->safe_psql('shop', $jobs),
	"loyalty maintenance|8 3 * * *|CALL loyalty.maintain()|shop|$user|t\n"
	  . "loyalty maintenance of program 2|9 * * * *|CALL loyalty.maintain(program => 'it''s')|shop|$user|t",
	'scheduled: for all programs, and for one');
like(answer('shop', q{SELECT loyalty.schedule_maintenance('every now and then')}), qr/ERROR:  invalid schedule/, 'pg_cron judges the schedule');

# A job is its user's, who needs rights for it.
$node->safe_psql('shop', 'SELECT loyalty.grant_access(\'clerk\', \'operate\', name) FROM loyalty.program');
like(answer('shop', q{SELECT loyalty.schedule_maintenance('0 * * * *')}, extra_params => [ '-U', 'clerk' ]),
	qr/permission denied for schema cron/, 'who may not use pg_cron does not by us either');
$node->safe_psql('shop', 'GRANT USAGE ON SCHEMA cron TO clerk');
$node->safe_psql('shop', q{SELECT loyalty.schedule_maintenance('5 * * * *')}, extra_params => [ '-U', 'clerk' ]);
is($node->safe_psql('shop', q{SELECT username FROM cron.job WHERE schedule = '5 * * * *'}), 'clerk', 'a job of another user');

# It runs: by itself where pg_cron can do seconds, else its command by hand.
my $version = $node->safe_psql('shop', q{SELECT (string_to_array(extversion, '.'))[2] FROM pg_extension WHERE extname = 'pg_cron'});
if ($version =~ /^(\d+)/ && $1 >= 5)
{
	$node->safe_psql('shop', q{SELECT loyalty.schedule_maintenance('1 seconds')}, extra_params => [ '-U', 'clerk' ]);
}
else
{
	my $command = $node->safe_psql('shop', q{SELECT command FROM cron.job WHERE username = 'clerk'});

	$node->safe_psql('shop', $command, extra_params => [ '-U', 'clerk' ]);
}
ok($node->poll_query_until('shop', 'SELECT count(*) = 2 FROM loyalty.maintenance WHERE finished_at IS NOT NULL AND entries = 1'),
	'it ran, for both programs');
is($node->safe_psql('shop', q{SET timezone = 'UTC'; SELECT count(*), min(occurred_at), max(occurred_at) FROM loyalty.entry WHERE kind = 'expire'}),
	'2|2024-03-01 00:00:00+00|2024-03-01 00:00:00+00', 'what fell due is written down');
is($node->safe_psql('shop', 'SELECT * FROM loyalty.verify()'), '', 'loyalty.verify() finds nothing');

# Each takes off what is his.
is($node->safe_psql('shop', 'SELECT loyalty.unschedule_maintenance()', extra_params => [ '-U', 'clerk' ]), '1', 'unscheduled by clerk');
$node->safe_psql('shop', q{SELECT cron.schedule('something else', '0 0 * * *', 'SELECT 1')});
is($node->safe_psql('shop', 'SELECT loyalty.unschedule_maintenance()'), '2', 'unscheduled by the other');
is($node->safe_psql('shop', 'SELECT loyalty.unschedule_maintenance()'), '0', 'nothing is left to unschedule');
is($node->safe_psql('shop', 'SELECT jobname FROM cron.job'), 'something else', 'other jobs stay');

$node->stop;
done_testing();
