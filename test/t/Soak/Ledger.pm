# What the ledger says after a soak, held against the log of its sessions.
package Soak::Ledger;

use strict;
use warnings;

# What nobody asks for: time does it. Beside these it is silence that decides, and what members chose to redeem.
my %time = map { $_ => 1 } ('expire', 'release');

sub read
{
	my ($class, $node) = @_;
	my $self = bless {node => $node}, $class;

	$self->{done} = { map { my ($key, $at) = @$_; ($key => $at) } $self->rows('SELECT key, at FROM done') };
	my %acts = reverse %{ $self->{done} };
	my %alone = map { join('|', @$_) => 1 } $self->rows('SELECT p.name, c.member_id, c.decided_seq
		FROM loyalty.confirmation c JOIN loyalty.program p USING (program_id) WHERE c.by_silence
		UNION ALL SELECT p.name, d.member_id, d.seq FROM loyalty.redemption d JOIN loyalty.program p USING (program_id) WHERE d.automatic');
	for my $row ($self->rows('SELECT p.name, e.member_id, e.seq, e.kind, e.points, e.source_key, e.posted_at
		FROM loyalty.entry e JOIN loyalty.program p USING (program_id)'))
	{
		my ($program, $member, $seq, $kind, $points, $key, $at) = @$row;
		my $where = "$program|$member|$seq";

		# In the transaction of an act, but of a member whom it did not name.
		my $by = $acts{$at} ? 'beside' : $time{$kind} || $alone{$where} ? 'time' : 'nobody';
		$self->{entries}{$where} = {program => $program, member => $member, kind => $kind, points => $points, by => $by,
			figures => "$kind|$points|$key"};
	}
	return $self;
}

sub rows
{
	my ($self, $sql) = @_;

	return map { [split /\|/, $_, -1] } split /\n/, $self->{node}->safe_psql('postgres', $sql);
}

# What was answered by the sessions, as "program|member|entry" => "kind|points|key".
sub answered
{
	my ($self, $log) = @_;

	return $self->{answered} //= {
		map { my ($program, $member, $seq, @figures) = @$_; ("$program|$member|$seq" => join '|', @figures) }
		map { @{ $_->{entries} || [] } } grep { $_->{answer} } values %{ $log->{acts} }
	};
}

sub missing
{
	my ($self, $log) = @_;
	my $answered = $self->answered($log);
	my @wrong;

	for my $where (sort keys %$answered)
	{
		my $entry = $self->{entries}{$where};
		push @wrong, "$where: $answered->{$where}, in the ledger " . ($entry ? $entry->{figures} : 'nothing')
		  if !$entry || $entry->{figures} ne $answered->{$where};
	}
	my %keys;
	for my $act (sort { $a->{id} cmp $b->{id} } grep { $_->{answer} && $_->{answer} ne 'none' } values %{ $log->{acts} })
	{
		$keys{ $act->{key} } = 1;
		push @wrong, "$act->{id}: answered, and not done" unless $self->{done}{ $act->{key} };
		next unless $act->{tag} eq 'P' && $act->{repeated} eq 'f';
		# Several entries of one event are answered as their first, with what they come to.
		my $program = $act->{call} =~ /program => '(\w+)'/ ? $1 : '';
		my ($own) = grep { $_->[0] eq $program && $_->[2] == $act->{entry} } @{ $act->{entries} };
		my $sum = 0;
		$sum += 10_000 * $_->[4] for grep { $own && $_->[0] eq $program && $_->[1] == $own->[1] && $_->[2] >= $own->[2] && $_->[5] eq $own->[5] } @{ $act->{entries} };
		push @wrong, "$act->{id} $act->{name}: answered entry $act->{entry} of $act->{points} points, which its transaction did not write"
		  unless $own && abs($sum - 10_000 * $act->{points}) < 0.5;
	}
	push @wrong, map { "$_: done, and not answered" } sort grep { !$keys{$_} } keys %{ $self->{done} };
	return \@wrong;
}

sub unknown
{
	my ($self, $log) = @_;
	my $answered = $self->answered($log);

	return [
		map { "$_: $self->{entries}{$_}{figures}" }
		sort grep { !$answered->{$_} && $self->{entries}{$_}{by} eq 'nobody' } keys %{ $self->{entries} }
	];
}

# By member: what was answered, and what time did alone.
sub balances
{
	my ($self, $log) = @_;
	my $answered = $self->answered($log);
	my (%sum, @wrong);

	for my $where (keys %$answered)
	{
		my ($program, $member) = split /\|/, $where;
		$sum{"$program|$member"} += 10_000 * (split /\|/, $answered->{$where})[1];
	}
	for my $where (grep { !$answered->{$_} } keys %{ $self->{entries} })
	{
		my $entry = $self->{entries}{$where};
		$sum{"$entry->{program}|$entry->{member}"} += 10_000 * $entry->{points};
	}
	for my $row (split /\n/, $self->{node}->safe_psql('postgres', 'SELECT p.name, m.member_id, loyalty.total(m.purse)
		FROM loyalty.member m JOIN loyalty.program p USING (program_id)'))
	{
		my ($program, $member, $points) = split /\|/, $row;
		my $sum = delete($sum{"$program|$member"}) // 0;
		push @wrong, sprintf '%s %s: %s, by what was answered %.4f', $program, $member, $points, $sum / 10_000
		  if abs($sum - 10_000 * $points) > 0.5;
	}
	return [@wrong, map { "$_: no member" } keys %sum];
}

sub orders
{
	my ($self, $log) = @_;
	my %there = map { $_ => 1 } split /\n/, $self->{node}->safe_psql('postgres', 'SELECT id FROM orders');
	my @wrong;

	for my $order (sort keys %{ $log->{orders} })
	{
		my $made = $log->{orders}{$order} !~ /-/;
		push @wrong, "$order: made and deleted ($log->{orders}{$order}) and " . ($there{$order} ? '' : 'not ') . 'there'
		  if $made != !!$there{$order};
		delete $there{$order};
	}
	return [@wrong, map { "$_: nobody made it" } sort keys %there];
}

# What was redeemed is what was answered, and no stock was oversold.
sub stock
{
	my ($self, $log) = @_;
	my (%units, @wrong);

	for my $act (grep { $_->{units} && ($_->{repeated} // '') eq 'f' || $_->{units} && $_->{found} && !$_->{of} } values %{ $log->{acts} })
	{
		my ($program, $reward, $units) = split / /, $act->{units};
		$units{"$program|$reward"} += $units;
	}
	for my $row ($self->rows(q{SELECT program, reward, sum(quantity) FROM loyalty.redemptions WHERE NOT automatic GROUP BY 1, 2}))
	{
		my ($program, $reward, $units) = @$row;
		my $answered = delete $units{"$program|$reward"} // 0;
		push @wrong, "$program $reward: $units redeemed, $answered answered" if $units != $answered;
	}
	return [
		@wrong,
		(map { "$_: $units{$_} answered, none redeemed" } sort keys %units),
		map { join ' ', @$_ } $self->rows('SELECT s.*, d.units FROM loyalty.stock s
			LEFT JOIN (SELECT r.program, r.name AS reward, d.stock_period AS period, sum(d.stocked) AS units
				FROM loyalty.redemption d JOIN loyalty.reward r USING (reward_id) GROUP BY 1, 2, 3) d USING (program, reward, period)
			WHERE s.taken > s.stock OR s.taken <> coalesce(d.units, 0)')
	];
}

# What vouchers paid is what was answered.
sub vouchers
{
	my ($self, $log) = @_;
	my %sums = (U => [0, 0], G => [0, 0]);
	my @wrong;

	for my $act (values %{ $log->{acts} })
	{
		next unless ($act->{tag} // '') =~ /^[UG]$/ && ($act->{repeated} eq 'f' || $act->{found} && !$act->{of});
		$sums{ $act->{tag} }[0]++;
		$sums{ $act->{tag} }[1] += $act->{points};
	}
	for my $row ($self->rows(q{SELECT 'U', count(*), coalesce(sum(taken), 0) FROM loyalty.voucher_use
		UNION ALL SELECT 'G', count(*), coalesce(sum(amount), 0) FROM loyalty.voucher_return}))
	{
		my ($kind, $count, $sum) = @$row;
		push @wrong, "$kind: $count, $sum in the ledger, $sums{$kind}[0], $sums{$kind}[1] answered"
		  if $count != $sums{$kind}[0] || abs($sum - $sums{$kind}[1]) > 0.001;
	}
	return \@wrong;
}

sub summary
{
	my ($self, $log) = @_;
	my $answered = $self->answered($log);
	my %sums;

	for my $where (keys %{ $self->{entries} })
	{
		my $entry = $self->{entries}{$where};
		my $sum = $sums{ $entry->{kind} }{ $answered->{$where} ? 'answered' : $entry->{by} } //= [0, 0];
		$sum->[0]++;
		$sum->[1] += $entry->{points};
	}
	return map {
		my $kind = $_;
		map { sprintf '%-10s %-9s %6d entries %12.2f points', $kind, $_, @{ $sums{$kind}{$_} } } sort keys %{ $sums{$kind} };
	} sort keys %sums;
}

1;
