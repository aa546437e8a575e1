# Seals as an outsider checks them: leaves, tree, path, hash of the seal and the
# chain of every member are worked out here from what SELECT shows of the tables,
# with the sha256 of Perl and none of the extension's functions.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local qw(timegm_modern);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', "SET timezone = 'UTC'; $sql");
}

# Rows as hashes; bytea columns in hex, times as microseconds since 2000.
sub rows
{
	my ($sql) = @_;

	return map { JSON::PP->new->allow_bignum->decode($_) } split /\n/, query("SELECT to_json(q) FROM ($sql) q");
}

my $microseconds = sub { my ($column) = @_; return "((extract(epoch FROM $column) - 946684800) * 1000000)::bigint::text AS $column" };
my $hex = sub { my ($expression, $name) = @_; return "encode($expression, 'hex') AS $name" };

# What the documentation says of bytes.

sub int64 { return pack('q>', shift) }
sub counted { my ($bytes) = @_; return int64(length $bytes) . $bytes }
sub zigzag { my ($value) = @_; return $value < 0 ? -2 * $value - 1 : 2 * $value }

sub varint
{
	my ($value) = @_;
	my $bytes = '';

	while ($value >= 128)
	{
		$bytes .= chr(128 | $value & 127);
		$value >>= 7;
	}
	return $bytes . chr($value);
}

sub day
{
	my ($year, $month, $day) = split /-/, shift;

	return (timegm_modern(0, 0, 0, $day, $month - 1, $year) - timegm_modern(0, 0, 0, 1, 0, 2000)) / 86400;
}

# {120@2026-03-31, 40@2026-01-15/2026-12-31, 5@infinity}
sub packed_purse
{
	my @lots = map { my ($points, $starts, $ends) = /^(-?[\d.]+)\@(?:(\d[\d-]*)\/)?(.*)$/ or die $_; [$points, $starts, $ends] }
	  split /, /, $_[0] =~ s/[{}]//gr;
	my $decimals = 0;
	my $negative = grep { $_->[0] < 0 } @lots;
	my ($bytes, $last, $first, $has_first) = ('', 0, 0, 0);
	my $count = 0;

	foreach (@lots)
	{
		my $digits = $_->[0] =~ /\.(\d+)$/ ? length $1 : 0;
		$decimals = $digits if $digits > $decimals;
	}
	foreach (@lots)
	{
		my ($points, $starts, $ends) = @$_;
		my $tag = 2;

		if ($ends ne 'infinity')
		{
			my $days = day($ends) - $last;
			$tag = ($count == 0 ? zigzag($days) : $days) << 2;
			$last = day($ends);
		}
		$count++;
		$tag |= 1 if defined $starts;
		$bytes .= varint($tag);
		if (defined $starts)
		{
			$bytes .= varint(zigzag(day($starts) - ($has_first ? $first : $last)));
			($first, $has_first) = (day($starts), 1);
		}
		my ($whole, $part) = (split(/\./, $points), '');
		my $units = $whole . $part . '0' x ($decimals - length $part);
		$bytes .= varint($negative ? zigzag($units) : $units);
	}
	return chr(0x10 | ($negative ? 8 : 0) | $decimals) . $bytes;
}

sub entry_bytes
{
	my ($e) = @_;

	return join '', map({ int64($e->{$_}) } qw(member_id seq points occurred_at posted_at program_id rule_id source_id revision rule_horizon)),
	  counted($e->{kind}), counted(pack 'H*', $e->{source_key}), counted(packed_purse($e->{lots})),
	  defined $e->{amount} ? counted($e->{amount}) : int64(-1),
	  map({ defined $e->{$_} ? counted(sha256(pack 'H*', $e->{$_})) : int64(-1) } qw(context note));
}

sub leaf { my ($id, $seq, $head) = @_; return sha256("\0" . int64($id) . int64($seq) . $head) }
sub node { return sha256("\1" . $_[0] . $_[1]) }

# RFC 6962, 2.1 and 2.1.1
sub split_at { my ($n) = @_; my $k = 1; $k *= 2 while $k * 2 < $n; return $k }

sub root
{
	my @leaves = @_;

	return sha256('') if !@leaves;
	return $leaves[0] if @leaves == 1;
	my $k = split_at(scalar @leaves);
	return node(root(@leaves[0 .. $k - 1]), root(@leaves[$k .. $#leaves]));
}

sub path
{
	my ($m, @leaves) = @_;

	return () if @leaves == 1;
	my $k = split_at(scalar @leaves);
	return (path($m, @leaves[0 .. $k - 1]), ['right', root(@leaves[$k .. $#leaves])]) if $m < $k;
	return (path($m - $k, @leaves[$k .. $#leaves]), ['left', root(@leaves[0 .. $k - 1])]);
}

sub seal_hash
{
	my ($s) = @_;

	return sha256('loyalty seal 1' . int64($s->{program_id}) . counted(pack 'H*', $s->{program})
		  . join('', map { int64($s->{$_}) } qw(seal sealed_at members)) . pack('H*', $s->{root} . $s->{previous}));
}

sub entries
{
	my ($where) = @_;

	return rows("SELECT member_id::text, seq, (points::numeric * 10000)::bigint::text AS points, "
		  . $microseconds->('occurred_at') . ', ' . $microseconds->('posted_at')
		  . ', program_id, rule_id, source_id, revision, rule_horizon, kind, ' . $hex->("convert_to(source_key, 'UTF8')", 'source_key')
		  . ', lots::text, amount::text, ' . $hex->("convert_to(context::text, 'UTF8')", 'context') . ', ' . $hex->("convert_to(note, 'UTF8')", 'note')
		  . ', ' . $hex->('hash', 'hash') . " FROM loyalty.entry e WHERE $where ORDER BY e.member_id, seq");
}

sub seals
{
	return rows('SELECT program_id, ' . $hex->("convert_to(p.name, 'UTF8')", 'program') . ', seal, ' . $microseconds->('sealed_at') . ', members, '
		  . join(', ', map { $hex->($_, $_) } qw(root previous hash)) . ' FROM loyalty.seal JOIN loyalty.program p USING (program_id) ORDER BY program_id, seal');
}

# Whom a seal covers, in order: member_id, seq, head.
sub leaves
{
	my ($program_id, $seal) = @_;

	return rows('SELECT member_id::text, seq, ' . $hex->('head', 'head') . ' FROM loyalty.seal_leaf l'
		  . " WHERE program_id = $program_id AND seal = (SELECT max(seal) FROM loyalty.seal_leaf o WHERE o.member_id = l.member_id AND seal <= $seal) ORDER BY l.member_id");
}

# A shop with a bit of everything.
$node->safe_psql('postgres', q{
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name, currency, expiry, points_scale, pending, point_value, time_zone)
	VALUES ('beans & söhne', 'EUR', '30 years end of month', 2, '3 days', 0.01, 'Europe/Berlin'), ('club', NULL, 'never', 0, '0', NULL, 'UTC');
	INSERT INTO loyalty.rule (program, name, award) SELECT name, 'base', '1 per 3' FROM loyalty.program;
	INSERT INTO loyalty.rule (program, name, award, condition, member_cap) VALUES ('beans & söhne', 'big', '5%', 'amount > 10', 50);
	CREATE TABLE orders (id text PRIMARY KEY, customer text, total numeric, at timestamptz);
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'at', program => p.name) FROM loyalty.program p;
	SET loyalty.program = 'beans & söhne';
	INSERT INTO orders SELECT 'ä ' || i, 'c' || i % 21, i * 1.37, '2024-01-01'::timestamptz + i * interval '7 hours 1 microsecond' FROM generate_series(1, 150) i;
	SELECT loyalty.adjust('c1', 10.25, expires => '2030-01-31', reason => E'für\n"c1" ☕', key => E'k\t1'), loyalty.enroll('nobody');
	SELECT loyalty.adjust('c2', 1e6, expires => '1999-12-31', at => '1998-05-05'), loyalty.adjust('c2', 0.5);
	SELECT loyalty.seal(), loyalty.seal('club');
});
$node->safe_psql('postgres', q{
	SET loyalty.program = 'beans & söhne';
	UPDATE orders SET total = total / 2 WHERE id LIKE '%5';
	DELETE FROM orders WHERE id LIKE '%7';
	INSERT INTO orders SELECT 'new ' || i, 'n' || i, 9, now() FROM generate_series(1, 12) i;
	SELECT loyalty.spend('c3', 5), loyalty.transfer('c3', 'friend', 2.5), loyalty.merge_members('c4', 'c5'), loyalty.hold('c6', 1, '1 day');
	SELECT * FROM loyalty.seal();
	SELECT * FROM loyalty.seal();
	SELECT loyalty.adjust('c7', -3);
});

# Every entry's hash covers it and the hash before it.
my ($wrong, $member, %chain, @all) = (0, '');
@all = entries('true');
foreach my $e (@all)
{
	my $before = $e->{seq} == 1 ? '' : $chain{"$e->{member_id} " . ($e->{seq} - 1)};
	my $hash = sha256($before . entry_bytes($e));

	$chain{"$e->{member_id} $e->{seq}"} = $hash;
	$wrong++ if unpack('H*', $hash) ne $e->{hash};
}
cmp_ok(scalar @all, '>', 300, 'entries of many kinds: ' . @all);
is($wrong, 0, 'each hash is worked out from outside');

# Every seal from its leaves, the leaves from the chains, and every proof.
my %published;
my %before;
foreach my $s (seals())
{
	my @found = leaves($s->{program_id}, $s->{seal});
	my @leaves = map { leaf($_->{member_id}, $_->{seq}, pack 'H*', $_->{head}) } @found;
	my $name = "seal $s->{seal} of program $s->{program_id}";
	my ($heads, $paths, $fields) = (0, 0, 0);

	is(scalar @found, $s->{members}, "$name: $s->{members} members");
	is(unpack('H*', root(@leaves)), $s->{root}, "$name: root");
	is($s->{previous}, $before{ $s->{program_id} } // '', "$name: the one before");
	is(unpack('H*', seal_hash($s)), $s->{hash}, "$name: hash");
	$before{ $s->{program_id} } = $s->{hash};
	$published{"$s->{program_id} $s->{seal}"} = $s->{hash};
	foreach my $i (0 .. $#found)
	{
		my $f = $found[$i];
		$heads++ if $f->{head} ne ($f->{seq} == 0 ? '' : unpack('H*', $chain{"$f->{member_id} $f->{seq}"}));
	}
	is($heads, 0, "$name: heads are of the chains");

	foreach my $p (rows("SELECT loyalty.proof(m.ref, $s->{seal}, p.name) AS proof FROM loyalty.member m JOIN loyalty.program p USING (program_id)"
		  . " WHERE program_id = $s->{program_id} AND m.status <> 'merged' AND EXISTS (SELECT FROM loyalty.seal_leaf l WHERE l.member_id = m.member_id AND l.seal <= $s->{seal})"))
	{
		my $proof = $p->{proof};
		my $f = $found[ $proof->{index} ];
		my $way = join ' ', map { "$_->[0] " . unpack('H*', $_->[1]) } path($proof->{index}, @leaves);

		$paths++ if $way ne join ' ', map { "$_->{side} $_->{hash}" } @{ $proof->{path} };
		$fields++
		  if $proof->{member_id} ne $f->{member_id} || $proof->{seq} != $f->{seq} || $proof->{head} ne $f->{head} || $proof->{hash} ne $s->{hash}
		  || $proof->{root} ne $s->{root} || $proof->{previous} ne $s->{previous} || $proof->{members} != $s->{members};
	}
	is($paths, 0, "$name: each way to the root");
	is($fields, 0, "$name: and what the proofs say");
}
is(scalar keys %published, 4, 'four seals');
is(query("SELECT count(*) FROM loyalty.verify()"), 0, 'sound');

# The other way round: what a proof says of the time is what the hash covers.
my ($first) = grep { $_->{seal} == 1 } seals();
my $proof = query("SELECT loyalty.proof('c2', 1, 'beans & söhne')");
my $json = JSON::PP->new->utf8(0)->decode($proof);
my ($date, $clock, $fraction) = $json->{sealed_at} =~ /^(\S+)T(\d\d:\d\d:\d\d)\.(\d{6})Z$/;
my ($hours, $minutes, $seconds) = split /:/, $clock;
is(((day($date) * 24 + $hours) * 60 + $minutes) * 60 * 1000000 + $seconds * 1000000 + $fraction, $first->{sealed_at}, 'the time in a proof is the sealed one');

# Somebody with all rights rewrites a member's history so that it agrees with itself.
my $c2 = query(q{SELECT member_id FROM loyalty.member WHERE ref = 'c2' AND program_id = 1});
query("SET session_replication_role = replica; UPDATE loyalty.entry SET points = points OPERATOR(loyalty.+) 100, lots = lots OPERATOR(loyalty.+) '{100\@infinity}'::loyalty.purse WHERE member_id = $c2 AND seq = 1");
like(query("SELECT string_agg(invariant || ' ' || member || ': ' || problem, E'\n') FROM loyalty.verify()"), qr/I3 c2: hash of entry 1 does not cover it/, 'one entry that was changed is named');
my ($hash, $updates) = ('', 'SET session_replication_role = replica;');
foreach my $e (entries("member_id = $c2"))
{
	$hash = sha256($hash . entry_bytes($e));
	$updates .= "UPDATE loyalty.entry SET hash = '\\x" . unpack('H*', $hash) . "' WHERE member_id = $c2 AND seq = $e->{seq};";
}
query($updates . "UPDATE loyalty.member SET head = '\\x" . unpack('H*', $hash) . "', purse = purse OPERATOR(loyalty.+) '{100\@infinity}'::loyalty.purse WHERE member_id = $c2");
my $found = query("SELECT string_agg(invariant || ' ' || member || ': ' || problem, E'\n') FROM loyalty.verify()");
like($found, qr/I3 seals c2: head under seal 1 is not the hash of entry/, 'a history that was rewritten and agrees with itself is named by its seals');
unlike($found, qr/^I3 c2/m, 'and by nothing else of I3');

# And the leaves, and the seals, so that verify finds nothing of seals.
$updates = 'SET session_replication_role = replica;';
my %last;
foreach my $l (rows("SELECT seq, seal FROM loyalty.seal_leaf WHERE member_id = $c2"))
{
	my ($e) = grep { $_->{seq} == $l->{seq} } entries("member_id = $c2");
	$updates .= "UPDATE loyalty.seal_leaf SET head = '\\x$e->{hash}' WHERE member_id = $c2 AND seal = $l->{seal};";
}
query($updates);
my $previous = '';
foreach my $s (grep { $_->{program_id} == 1 } seals())
{
	my $root = root(map { leaf($_->{member_id}, $_->{seq}, pack 'H*', $_->{head}) } leaves(1, $s->{seal}));

	($s->{root}, $s->{previous}) = (unpack('H*', $root), $previous);
	$previous = unpack 'H*', seal_hash($s);
	query("SET session_replication_role = replica; UPDATE loyalty.seal SET root = '\\x$s->{root}', previous = '\\x$s->{previous}', hash = '\\x$previous',"
		  . " part_roots = ARRAY['\\x$s->{root}'::bytea] WHERE program_id = 1 AND seal = $s->{seal}");
}
is(query("SELECT count(*) FROM loyalty.verify() WHERE invariant LIKE 'I3%'"), 0, 'who rewrites everything agrees with himself');
foreach my $seal (1 .. 3)
{
	my $outside = $published{"1 $seal"};

	is(query("SELECT loyalty.check_proof(loyalty.proof(m, $seal, 'beans & söhne'), '$outside') FROM unnest('{c1,c2}'::text[]) m"), "f\nf",
		"but no proof under seal $seal holds against the hash that was published");
	is(query("SELECT count(*) FROM loyalty.seals WHERE hash = '$outside'"), 0, 'which is nowhere any more');
}
is(query("SELECT loyalty.check_proof(" . "\$proof\$$proof\$proof\$, '" . $published{'1 1'} . "')"), 't', 'and the proof that the member kept still holds');
is(query("SELECT count(*) FROM loyalty.history('c2', 'beans & söhne') WHERE encode(hash, 'hex') = '$json->{head}'"), 0, 'its head is not in the history that he is shown');
is(query("SELECT loyalty.check_proof(loyalty.proof('c2', 1, 'club'), '" . $published{'2 1'} . "')"), 't', 'the other program is as it was');

done_testing();
