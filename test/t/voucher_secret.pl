# The secret of vouchers: taken from a configuration file only where no session
# can read it there, used by all of them, and told to nobody.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'the secret of this shop';
my $node = PostgreSQL::Test::Cluster->new('voucher_secret');
$node->init;
$node->append_conf('postgresql.conf', "loyalty.voucher_secret = '$secret'");
$node->start;

my $issue = q{SELECT code FROM loyalty.issue_voucher(kind => 'value', value => 10, key => 'k')};
my ($stdout, $stderr);

# Until the library is loaded PostgreSQL knows nothing of secrets.
is($node->safe_psql('postgres', 'SHOW loyalty.voucher_secret'), $secret, 'without the library everybody can read it');
$node->psql('postgres', 'CREATE EXTENSION loyalty; SHOW loyalty.voucher_secret', stdout => \$stdout, stderr => \$stderr);
is($stdout, '', 'so it is not taken');
like($stderr, qr/WARNING:.*not taken from a configuration file/, 'with a warning');
unlike($stderr, qr/$secret/, 'that does not repeat it');
$node->safe_psql('postgres', q{INSERT INTO loyalty.program (name) VALUES ('beans')});
is($node->safe_psql('postgres', q{SELECT why FROM loyalty.issue_voucher(kind => 'value', value => 10, key => 'before') UNION ALL SELECT NULL LIMIT 1}),
	'', 'codes are random');
like($node->safe_psql('postgres', q{SELECT code IS NULL, why FROM loyalty.issue_voucher(kind => 'value', value => 10, key => 'before')}),
	qr/^t\|.*is not set/, 'and shown once');

# In the catalogs everybody could read it, too.
$node->psql('postgres', qq{LOAD 'loyalty'; ALTER DATABASE postgres SET loyalty.voucher_secret = '$secret'}, stderr => \$stderr);
like($stderr, qr/cannot be set for a database/, 'it cannot be set for a database');
$node->psql('postgres', qq{ALTER DATABASE postgres SET loyalty.voucher_secret = 'another secret of this shop'}, stderr => \$stderr);
$node->psql('postgres', "SELECT '1'::loyalty.points; SHOW loyalty.voucher_secret", stdout => \$stdout, stderr => \$stderr);
like($stdout, qr/^1\n?$/, 'and where it was, before the library was loaded, it is not taken');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET loyalty.voucher_secret');

# Preloaded, nobody can.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'loyalty'});
$node->restart;
my $log_start = -s $node->logfile;
is($node->safe_psql('postgres', 'SHOW loyalty.voucher_secret'), '********', 'preloaded, it is not shown');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE concat(setting, reset_val, boot_val) ~ 'secret of this shop'}), 0, 'in no view');
my $code = $node->safe_psql('postgres', $issue);
like($code, qr/^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$/, 'a code');
is($node->safe_psql('postgres', $issue), $code, 'that another session shows again');
is($node->safe_psql('postgres', q{LOAD 'loyalty'; SET loyalty.voucher_secret = 'a secret of this session';
	 DO $$ BEGIN PERFORM set_config(CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'on', false); END $$;
	 SELECT count(*) FROM generate_series(1, 10) n WHERE loyalty.voucher_hash('7KQ4-9XMT-2R8W') IS NOT NULL AND n > 0}),
	10, 'parallel workers take on the secret of a session');
$node->restart;
is($node->safe_psql('postgres', $issue), $code, 'also after a restart');
$node->psql('postgres', q{SELECT loyalty.issue_voucher(kind => 'value', value => 11, key => 'k')}, stderr => \$stderr);
unlike($stderr, qr/$code|$secret/, 'no error repeats the code');
unlike(slurp_file($node->logfile, $log_start), qr/$code|$secret/, 'nor does the log, or the secret');

$node->stop;
done_testing();
