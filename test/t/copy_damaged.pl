# COPY BINARY of every type with damaged bytes: an error, or a value that is one.
# Every bit of every column's bytes is turned, and every length is made wrong.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('copy_damaged');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nlog_statement = none\nlog_min_messages = log\nlog_min_error_statement = panic\n");
$node->start;
my $directory = PostgreSQL::Test::Utils::tempdir();
chmod 0755, $directory;

my %values = (
	points => [ '12.5', '-922337203685477.5807', '0' ],
	purse => [ '{}', '{120@2026-03-31, -4.25@2026-01-15/2026-12-31, 5@infinity}' ],
	tally => [ '{}', '{2026-01: 120.50/37/2, 2026-02: -9/0.5/1}', '{ever: 999999999999999999.999999/1/1}' ],
	award => [ '1 per 10', 'x2.5', '5%' ],
	expiry => [ '12 months end of quarter', '03-31 after 1 year', 'inactive 18 months' ],
	qualification => [ 'rolling 365 days', 'lifetime', 'membership year' ],
	voucher_code => []);

$node->safe_psql('postgres', 'CREATE EXTENSION loyalty');
$values{voucher_code} = [ $node->safe_psql('postgres', 'SELECT loyalty.new_voucher_code()') ];

for my $type (sort keys %values)
{
	my $table = "t_$type";
	my (@files, $n);

	$node->safe_psql('postgres', "CREATE TABLE $table (v loyalty.$type)");
	for my $value (@{ $values{$type} })
	{
		my $whole = "$directory/whole";

		$node->safe_psql('postgres', "COPY (SELECT '$value'::loyalty.$type) TO '$whole' (FORMAT binary)");
		# Signature, flags, extension; then number of columns and the column's length.
		my $bytes = slurp_file($whole);
		my $head = 19 + 2 + 4;
		my $length = unpack 'N', substr($bytes, $head - 4, 4);
		my $body = substr($bytes, $head, $length);
		my @bodies;

		for my $at (0 .. $length - 1)
		{
			push @bodies, map { my $b = $body; substr($b, $at, 1) = chr(ord(substr $b, $at, 1) ^ 1 << $_); $b } 0 .. 7;
			push @bodies, substr($body, 0, $at), substr($body, $at + 1), map { my $b = $body; substr($b, $at, 1) = $_; $b } "\xff", "\x80", "\x00";
			push @bodies, substr($body, 0, $at) . "\x80" . substr($body, $at), substr($body, 0, $at) . ("\xff" x 9) . "\x01" . substr($body, $at + 1);
		}
		push @bodies, $body . "\x00", $body . $body, '', "\xff" x 100, "\x00" x 100;
		for my $damaged (@bodies)
		{
			my $file = "$directory/$type" . ++$n;

			append_to_file($file, substr($bytes, 0, $head - 4) . pack('N', length $damaged) . $damaged . "\xff\xff");
			push @files, $file;
		}
		# The length says more, or less, than there is.
		for my $wrong ($length - 1, $length + 1, 0x7fffffff, 0x80000000, 1 << 30)
		{
			my $file = "$directory/$type" . ++$n;

			append_to_file($file, substr($bytes, 0, $head - 4) . pack('N', $wrong & 0xffffffff) . $body . "\xff\xff");
			push @files, $file;
		}
	}

	my $script = "$directory/$type.sql";
	append_to_file($script, "\\set VERBOSITY sqlstate\n" . join('', map { "COPY $table FROM '$_' (FORMAT binary);\n" } @files));
	my ($output, $error) = ('', '');
	IPC::Run::run [ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-f', $script ], '>', \$output, '2>', \$error;
	my %codes;
	$codes{$_}++ for $error =~ /ERROR:  (\w{5})/g;
	my $refused = 0;
	$refused += $_ for values %codes;
	my $accepted = $node->safe_psql('postgres', "SELECT count(*) FROM $table WHERE v IS NOT NULL");

	note("$type: " . @files . " damaged values; $accepted are values, " . join(', ', map { "$codes{$_} $_" } sort keys %codes));
	is($accepted + $refused, scalar @files, "$type: each is a value or an error");
	is(join(' ', grep { !/^(22P03|22P04|08P01|22003|22008|54000|22021|53200)$/ } sort keys %codes), '', "$type: errors are those of wrong binary forms");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $table WHERE v::text::loyalty.${type} OPERATOR(loyalty.<>) v OR CAST(v::text::loyalty.${type} AS text) <> v::text"), 0,
		"$type: what came in is what its text says");
	# The only form of each value.
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT v::text FROM $table GROUP BY v::text HAVING count(DISTINCT loyalty.${type}_send(v)) > 1) s"), 0,
		"$type: one value has one form") if $node->safe_psql('postgres', "SELECT to_regproc('loyalty.${type}_send') IS NOT NULL") eq 't';
}
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server is up');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'and was all the time');
$node->stop;
done_testing();
