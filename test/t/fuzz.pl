# Inputs of chance for every type's text and binary form, for conditions and all
# that is SQL or JSON in arguments, and for every function: each is accepted, and
# then means something, or is refused with an error for users. Nothing crashes,
# fails inside, hangs or leaves memory behind.
#
# A short run; FUZZ_INPUTS=1000000 makes it that long for each form of each type
# and for conditions, and in proportion for the rest. FUZZ_SEED is said at the
# start; FUZZ_ONLY=name,name runs these alone; FUZZ_JOBS=2 as many at once.
# test/fuzz/ holds what runs in the server and the grammars of inputs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../fuzz";
use JSON::PP ();
use List::Util qw(max min sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Targets;
use Test::More;

my $inputs = $ENV{FUZZ_INPUTS} || 400;
my $seed = $ENV{FUZZ_SEED} || int(rand 1_000_000);
my $jobs = $ENV{FUZZ_JOBS} || 2;
my %only = map { $_ => 1 } split /,/, $ENV{FUZZ_ONLY} || '';

note("seed $seed");
my $module = PostgreSQL::Test::Utils::tempdir() . '/fuzz.so';
my $includes = `pg_config --includedir-server`;
chomp $includes;
system_or_bail('cc', '-shared', '-fPIC', '-O2', "-I$includes", '-o', $module, glob("$FindBin::RealBin/../fuzz/*.c"));

my $node = PostgreSQL::Test::Cluster->new('fuzz');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = off\nfsync = off\nautovacuum_naptime = 60\nlog_min_messages = log\nlog_statement = none\nlog_min_error_statement = panic\nwork_mem = '16MB'\nshared_preload_libraries = loyalty\nloyalty.voucher_secret = '@{[ 'fuzz' x 10 ]}'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE fuzz');

my $result = 'OUT accepted bigint, OUT refused bigint, OUT slowest float8, OUT findings text[]';
$node->safe_psql('fuzz', <<"SQL");
CREATE EXTENSION loyalty;
CREATE FUNCTION fuzz_type(regtype, boolean, text[], seed bigint, first bigint, inputs bigint, $result) AS '$module' LANGUAGE C;
CREATE FUNCTION fuzz_statement(text[], damaged integer, text[], seed bigint, first bigint, inputs bigint, $result) AS '$module' LANGUAGE C;
CREATE FUNCTION fuzz_word(damaged integer, text[], seed bigint, number bigint) RETURNS text AS '$module' LANGUAGE C;
CREATE FUNCTION fuzz_assert(boolean, text) RETURNS void AS '$module' LANGUAGE C;
CREATE FUNCTION abs_interval(text) RETURNS interval IMMUTABLE LANGUAGE sql AS 'SELECT greatest(\$1::interval, -\$1::interval)';
INSERT INTO loyalty.program (name, expiry, time_zone, tier_window, points_scale, transfer_enabled) VALUES ('beans', '12 months', 'Europe/Paris', 'rolling 12 months', 2, true);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('beans', 'review', 'review', '5');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 100), ('beans', 'gold', 2, 250);
CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric, at timestamptz DEFAULT now());
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at');
CREATE TABLE head (id integer PRIMARY KEY, member text, at timestamptz, state text);
CREATE TABLE line (id integer, item text, category text, quantity numeric, channel text, store text, amount numeric, data jsonb);
SELECT loyalty.attach_query('baskets', \$\$SELECT id AS key, member, at, amount, item, category, quantity, channel, store, data, state = 'paid' AS counts
	FROM head JOIN line USING (id)\$\$, '{head.id, line.id}');
CREATE TABLE plain (id integer PRIMARY KEY, member text, amount numeric, at timestamptz, data jsonb);
CREATE TABLE old (member text, points numeric, starts date, ends date, lifetime numeric, enrolled_at timestamptz, last_activity timestamptz, tier text, tier_since timestamptz,
	tier_until date, tally loyalty.tally, birthday date, segments text[], data jsonb);
SELECT loyalty.enroll('42', profile => '{"birthday": "1990-05-17", "segments": ["vip", "staff"], "vip": true}', at => '2025-01-01');
SELECT loyalty.enroll('7', at => '2025-06-01');
INSERT INTO orders SELECT i, CASE i % 2 WHEN 0 THEN '42' ELSE '7' END, i * 3.25, '2026-01-01'::timestamptz + i * interval '1 day' FROM generate_series(1, 30) i;
SELECT loyalty.enroll('sealed ' || i) FROM generate_series(1, 20) i;
SELECT loyalty.seal();
CREATE TABLE kept AS SELECT s.hash, loyalty.proof(m) AS proof FROM loyalty.seals s, unnest('{42,7,sealed 3,sealed 9}'::text[]) m;
SQL
$Targets::statements{proof}{grammar} = [ map { "proof=$_" } split /\n/, $node->safe_psql('fuzz', 'SELECT proof FROM kept') ];

# Every function as the catalog has it, with values for its arguments; some in a row, and then the ledger is proved.
my $named = join ', ', map { "'$_'" } Targets::named();
my $calls = $node->safe_psql('fuzz', <<"SQL");
SELECT 'call=SELECT * FROM ' || oid::regproc || '(' || coalesce(string_agg(quote_ident(name) || ' => <' ||
	CASE WHEN name IN ($named) THEN name || CASE type WHEN 'bigint'::regtype THEN '_number' ELSE '' END ELSE translate(type::regtype::text, ' .[]', '____') END || '>',
	', ' ORDER BY ordinality), '') || ')'
FROM pg_proc LEFT JOIN LATERAL unnest(proargtypes::oid[], proargnames[1:pronargs]) WITH ORDINALITY AS a (type, name, ordinality) ON true
WHERE pronamespace = 'loyalty'::regnamespace AND prokind = 'f' AND (pronargs = 0 OR proargnames IS NOT NULL)
	AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND NOT 'internal'::regtype = ANY (proargtypes::oid[])
GROUP BY oid ORDER BY oid::regprocedure::text
SQL
my $grammar = Targets::calls(split /\n/, $calls);

# Each a name, the call that runs a part of it, and how many inputs it gets.
my @targets;

sub quote_array
{
	return 'ARRAY[' . join(', ', map { "'" . s/'/''/gr . "'" } @_) . ']::text[]';
}

sub target
{
	my ($name, $count, $call) = @_;

	push @targets, { name => $name, count => int($count) || 1, call => $call } if !%only || $only{$name};
	return;
}

for my $type (sort keys %Targets::types)
{
	# A code has a check character, which comes from no grammar.
	my $words = $Targets::types{$type} || [ map { "code=$_" } split /\n/,
			$node->safe_psql('fuzz', q{SELECT loyalty.derive_voucher_code(sha256(i::text::bytea)) FROM generate_series(1, 200) i}) ];

	target("$type text", $inputs, "fuzz_type('loyalty.$type', false, " . quote_array(@$words));
	target("$type binary", $inputs, "fuzz_type('loyalty.$type', true, " . quote_array(@$words));
}
for my $name (sort keys %Targets::statements)
{
	my $target = $Targets::statements{$name};

	target($name, $inputs / ($target->{slow} || 1),
		'fuzz_statement(' . quote_array(@{ $target->{statements} }) . ', 1, ' . quote_array(@{ $target->{grammar} }));
}
target('calls', $inputs / 100, 'fuzz_statement(' . quote_array('', $Targets::sound) . ', 0, ' . quote_array(@$grammar));
target('damaged calls', $inputs / 50, 'fuzz_statement(' . quote_array('') . ', 2, ' . quote_array(@$grammar));

my $directory = PostgreSQL::Test::Utils::tempdir();

sub script_name
{
	my ($target) = @_;

	return "$directory/" . $target->{name} =~ tr/ /_/r . '.sql';
}

# The statements of a target: some inputs at a time, and what memory the session has then.
sub script
{
	my ($target) = @_;
	my $file = script_name($target);
	my $step = min(20000, int($target->{count} / 4) || 1);
	my $text = "SET client_min_messages = error;\nSET search_path = public;\nSET timezone = 'UTC';\n";

	for (my $first = 0; $first < $target->{count}; $first += $step)
	{
		$text .= sprintf "SELECT 'R', accepted, refused, slowest, substring(pg_read_file('/proc/self/status') from 'RssAnon:\\s+(\\d+)'), array_to_json(findings) FROM %s, %d, %d, %d);\n",
			$target->{call}, $seed, $first, min($step, $target->{count} - $first);
	}
	append_to_file($file, $text);
	return $file;
}

sub list
{
	append_to_file("$directory/list", join('', map { "$_\n" } @_));
	return "$directory/list";
}

# As many at once as there are jobs, each in a database of its own, in the order of the list.
@ENV{qw(PGHOST PGPORT)} = ($node->host, $node->port);
my %by_file = map { script($_) => $_ } @targets;
$node->safe_psql('postgres', "CREATE DATABASE fuzz_$_ TEMPLATE fuzz") for 0 .. $jobs - 1;
open my $done, '-|', 'xargs', '-P', $jobs, '--process-slot-var=SLOT', '-a', list(map { script_name($_) } @targets), '-I{}',
	'sh', '-c', 'since=$(date +%s); psql -XqAt -v ON_ERROR_STOP=1 -d "$0$SLOT" -f "$1" >"$1.out" 2>"$1.err" || true; echo "$1 $(($(date +%s) - since))"',
	'dbname=fuzz_', '{}'
  or die "xargs: $!";
while (<$done>)
{
	my ($file, $seconds) = /(\S+) (\d+)/ or next;
	judge($by_file{$file}, $seconds, slurp_file("$file.out"), slurp_file("$file.err"));
}
close $done;

sub judge
{
	my ($target, $seconds, $output, $error) = @_;
	my @parts = map { [ split /\|/, $_, 6 ] } grep { /^R\|/ } split /\n/, $output;
	my %findings;

	for my $part (@parts)
	{
		$findings{ s/^\d+ x seed \d+ number \d+//r =~ s/, input: .*//sr } //= $_ for @{ JSON::PP::decode_json($part->[5]) };
	}
	my $accepted = sum(0, map { $_->[1] } @parts);
	my $refused = sum(0, map { $_->[2] } @parts);
	my @rss = map { $_->[4] } @parts;
	note(sprintf '%s: %d inputs, %d accepted, %d refused, slowest %.1f ms, %.1f MB at first and %.1f MB in the end, %d s',
		$target->{name}, $target->{count}, $accepted, $refused, max(0, map { $_->[3] } @parts), ($rss[0] || 0) / 1024, ($rss[-1] || 0) / 1024, $seconds);
	ok(!%findings && $error eq '' && $accepted + $refused == $target->{count}, "$target->{name}: accepted or refused")
	  or diag(map { "  $_\n" } values(%findings), $error, grep { /terminated by signal|was running/ } split /^/, slurp_file($node->logfile));
	cmp_ok($accepted, '>', 0, "$target->{name}: some are accepted");
	cmp_ok(($rss[-1] || 0) - ($rss[0] || 0), '<', 20 * 1024, "$target->{name}: no memory is left behind");
	return;
}

is($node->safe_psql("fuzz_$_", 'SELECT * FROM loyalty.verify()'), '', 'the ledger is sound') for 0 .. $jobs - 1;
$node->stop;
done_testing();
