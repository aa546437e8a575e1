# What the sessions of the soak do: a table of acts, here those about orders and points.
package Soak::Acts;

use strict;
use warnings;

use Soak::People;
use Soak::Rewards;
use Soak::World qw(any at call member points program steady);

# One of the latest orders, and one of the latest entries of a member that could be cancelled.
sub order
{
	my ($c) = @_;

	return any(@{ $c->rows("SELECT 'O', id, customer, total FROM orders ORDER BY created_at DESC LIMIT 60") });
}

sub entry
{
	my ($c, $ref, $program, $kinds) = @_;

	return any(@{ $c->rows(<<"SQL") });
SELECT 'E', e.seq, abs(e.points::numeric), m.ref FROM (
	SELECT * FROM loyalty.entry
	WHERE member_id = loyalty.find_member('$ref', '$program') AND source_id = 0 AND kind IN ($kinds)
	ORDER BY seq DESC LIMIT 15) e
LEFT JOIN loyalty.member m ON m.member_id = coalesce(e.context ->> 'to_member_id', e.context ->> 'from_member_id')::bigint
SQL
}

# Who pays with points, and for what: some purchase, or one of the latest orders.
sub payer
{
	my ($c) = @_;
	my $order = rand() < 0.4 ? order($c) : undef;

	return (member($c), 'amount => 100') unless $order && $order->[3] >= 1;
	return ($order->[2], "amount => $order->[3], purchase => '$order->[1]'");
}

# One of a member's latest holds; mostly one that is not known to be over.
sub hold
{
	my ($c, $ref, $program) = @_;
	my $active = rand() < 0.9 ? q( AND status = 'active') : '';

	return any(@{ $c->rows("SELECT 'H', seq FROM loyalty.hold WHERE member_id = loyalty.find_member('$ref', '$program')$active ORDER BY seq DESC LIMIT 5") });
}

# A change of rows: the order's customer is who is concerned, as it is once the row is locked.
sub change
{
	my ($c, $ids, $sql, %more) = @_;
	my $list = join ', ', map { "'$_'" } @$ids;
	my $other = $more{other} ? "|| '$more{other}'::text" : '';

	return {
		%more,
		refs => [],
		rows => "INSERT INTO done (key, refs) SELECT '$c->{key}', array_agg(customer) $other"
		  . " FROM (SELECT customer FROM orders WHERE id IN ($list) ORDER BY id FOR UPDATE) o HAVING count(*) > 0"
		  . " RETURNING 'D', key\\; $sql WHERE id IN ($list)"
	};
}

sub insert
{
	my ($c, $refs, %more) = @_;
	my $n = 0;
	my @ids = map { $c->{key} . '.' . ++$n } @$refs;
	my $rows = join ', ', map { "('$ids[$_]', '$refs->[$_]', " . (1 + int(rand 12000) / 100) . ')' } 0 .. $#ids;

	return {
		%more,
		refs => $refs,
		created => \@ids,
		rows => ($more{call} ? '' : sprintf q(INSERT INTO done (key, refs) VALUES ('%s', '{%s}') RETURNING 'D', key\; ), $c->{key}, join ',', @$refs)
		  . "INSERT INTO orders (id, customer, total) VALUES $rows"
	};
}

# name => [weight, what makes it (nothing: not possible now), SQLSTATEs of refusals]
our %acts = (
	order => [12, sub { my ($c) = @_; return insert($c, [member($c)]); }, ''],
	orders => [3, sub { my ($c) = @_; return insert($c, [map { member($c) } 1 .. 4]); }, ''],
	paid_order => [
		6,
		sub {
			my ($c) = @_;
			my $program = program();
			# Who spends with his household locks all of it, after his order has locked him.
			my $refs = [steady($c)];
			return insert($c, $refs,
				%{ call($c, 'spend', $program, $refs, points($program, 100) . ", purchase => '$c->{key}.1', amount => 20") });
		},
		'LY001 LY012'
	],
	return => [
		8,
		sub {
			my ($c) = @_;
			my $order = order($c) or return;
			return change($c, [$order->[1]], 'UPDATE orders SET total = round(total * ' . any(0, 0.25, 0.5, 0.9) . ', 2)');
		},
		''
	],
	changes => [
		2,
		sub {
			my ($c) = @_;
			my %ids = map { $_->[1] => 1 } grep { $_ } map { order($c) } 1 .. 3;
			return unless %ids;
			return change($c, [sort keys %ids], 'UPDATE orders SET total = total + ' . int(rand 20));
		},
		''
	],
	status => [
		3,
		sub {
			my ($c) = @_;
			my $order = order($c) or return;
			return change($c, [$order->[1]], q(UPDATE orders SET status = CASE status WHEN 'paid' THEN 'void' ELSE 'paid' END));
		},
		''
	],
	reassign => [
		2,
		sub {
			my ($c) = @_;
			my $order = order($c) or return;
			my $other = member($c);
			return change($c, [$order->[1]], "UPDATE orders SET customer = '$other'", other => $other);
		},
		''
	],
	delete => [
		3,
		sub {
			my ($c) = @_;
			my $order = order($c) or return;
			return change($c, [$order->[1]], 'DELETE FROM orders', deleted => [$order->[1]]);
		},
		''
	],
	record => [
		8,
		sub {
			my ($c) = @_;
			my $event = any(q('review'), q('survey'), q('purchase', ) . (5 + int rand 60));
			return call($c, 'record', program(), [member($c)], $event . at($c));
		},
		''
	],
	adjust => [
		5,
		sub {
			my ($c) = @_;
			my $program = program();
			return call($c, 'adjust', $program, [member($c)], any('', '-') . points($program, 100) . at($c));
		},
		# 22023: given by hand to who is away too long, points would lapse at once
		'LY001 22023'
	],
	spend => [
		20,
		sub {
			my ($c) = @_;
			my $program = program();
			my ($ref, $for) = payer($c);
			return call($c, 'spend', $program, [$ref], points($program, 300) . ", $for" . at($c));
		},
		'LY001 LY002 LY012'
	],
	transfer => [
		10,
		sub {
			my ($c) = @_;
			my $program = program();
			my ($from, $to) = (member($c), member($c));
			return if $from eq $to;
			return call($c, 'transfer', $program, [$from, $to], "'$to', " . points($program, 200) . at($c));
		},
		'LY001 LY002 LY015 22023'
	],
	cancel => [
		14,
		sub {
			my ($c) = @_;
			my $program = program();
			my $ref = steady($c);
			my $entry = entry($c, $ref, $program, q('redeem', 'adjust', 'transfer', 'earn', 'hold')) or return;
			my $part = rand() < 0.5 || $entry->[2] == 0 ? '' : ', ' . any($entry->[2], 1, int(1 + $entry->[2] / 3));
			return call($c, 'cancel', $program, [$ref, $entry->[3] || ()], $entry->[1] . $part);
		},
		# LY003: the other one of a transfer was merged; 22023: more than a hold still holds
		'LY001 LY003 LY016 LY017 LY018 LY025 22023'
	],
	hold => [
		12,
		sub {
			my ($c) = @_;
			my $program = program();
			my $ttl = any('', ", ttl => '" . any(1, 6, 40, 200) . " hours'");
			my ($ref, $for) = payer($c);
			return call($c, 'hold', $program, [$ref], points($program, 80) . "$ttl, $for" . at($c));
		},
		# 22023: over before it is made
		'LY001 LY002 LY012 22023'
	],
	capture => [
		8,
		sub {
			my ($c) = @_;
			my $program = program();
			my $ref = steady($c);
			my $hold = hold($c, $ref, $program) or return;
			return call($c, 'capture', $program, [$ref], $hold->[1] . any('', '', ', 1', ', 5, final => false'));
		},
		# 22023: more than it holds
		'LY016 22023'
	],
	release => [
		4,
		sub {
			my ($c) = @_;
			my $program = program();
			my $ref = steady($c);
			my $hold = hold($c, $ref, $program) or return;
			return call($c, 'release', $program, [$ref], $hold->[1]);
		},
		'LY016'
	],
	decide => [
		4,
		sub {
			my ($c) = @_;
			my $program = program();
			my $ref = steady($c);
			my $awaiting = any(@{ $c->rows("SELECT 'C', seq FROM loyalty.confirmation WHERE member_id = loyalty.find_member('$ref', '$program') ORDER BY seq DESC LIMIT 4") })
			  or return;
			return { %{ call($c, any('accept', 'reject'), $program, [$ref], $awaiting->[1]) }, again => 1 };
		},
		'LY013 LY014'
	],
);

# The same call by several sessions at once: all of it follows from the time.
sub shared
{
	my ($c) = @_;
	my $slot = int($c->real_time * 4);
	my $program = (Soak::World::PROGRAMS)[$slot % 2];
	my $act = call({ key => "$c->{run}shared$slot" }, 'spend', $program, ['m' . (1 + $slot % 7)], 1 + $slot % 5 . ', amount => 100');

	return { %$act, key => "$c->{run}shared$slot" };
}
$acts{shared} = [3, \&shared, 'LY001 LY002 LY012'];

%acts = (%acts, %Soak::Rewards::acts, %Soak::People::acts);
delete @acts{ grep { /$ENV{SOAK_WITHOUT}/ } keys %acts } if $ENV{SOAK_WITHOUT};

1;
