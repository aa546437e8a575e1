# What the sessions of the soak asked, and what they were answered.
package Soak::Log;

use strict;
use warnings;

use Soak::Acts;

sub read
{
	my ($class, @files) = @_;
	my $self = bless {acts => {}, entries => {}, retried => {}, lost => 0, warnings => []}, $class;

	for my $file (@files)
	{
		open my $in, '<', $file or die "$file: $!";
		while (my $line = <$in>)
		{
			chomp $line;
			my ($kind, $id, @fields) = split /\t/, $line, -1;
			my $act = $self->{acts}{$id} //= {id => $id};
			if ($kind eq 'I') { @$act{ 'name', 'key', 'of', 'rows', 'call', 'again', 'units' } = @fields; }
			elsif ($kind eq 'L') { $self->{lost}++; }
			elsif ($kind eq 'F') { $act->{found} = $fields[0] eq 'found'; $self->{found}++ if $act->{found}; }
			elsif ($kind eq 'T') { $self->{retried}{ $fields[0] }++; }
			elsif ($kind eq 'W') { push @{ $self->{warnings} }, "$id: $fields[0]"; }
			elsif ($kind eq 'R') { $act->{refused} = \@fields; }
			elsif ($kind eq 'J') { push @{ $act->{entries} }, \@fields; }
			elsif ($kind eq 'O') { $self->{orders}{ $fields[1] } .= $fields[0]; }
			elsif ($kind eq 'A') { @$act{ 'answer', 'tag', 'entry', 'points', 'balance', 'repeated' } = (@fields, ('') x 6); }
		}
	}
	return $self;
}

# Refusals that are not in the table of acts, and acts without an answer.
sub unexpected
{
	my ($self) = @_;
	my @wrong = @{ $self->{warnings} };

	for my $act (values %{ $self->{acts} })
	{
		if ($act->{refused})
		{
			my $state = $act->{refused}[0];
			push @wrong, "$act->{id} $act->{name}: @{ $act->{refused} } [" . ($act->{rows} // '') . " $act->{call}]"
			  if $act->{of} || $Soak::Acts::acts{ $act->{name} }[2] !~ /\b$state\b/;
		}
		elsif (!$act->{answer}) { push @wrong, "$act->{id} $act->{name}: no answer"; }
	}
	return [sort @wrong];
}

# Answers by key: one that did it, at most, and the others say the same.
sub contradictions
{
	my ($self) = @_;
	my (%first, %did, @wrong);

	for my $act (sort { ($a->{of} || '') cmp ($b->{of} || '') } grep { $_->{answer} && $_->{call} } values %{ $self->{acts} })
	{
		my $figures = join '|', @$act{ 'entry', 'points', 'balance' };

		push @wrong, "$act->{key}: $figures, and $first{$act->{key}} to another call"
		  if ($first{ $act->{key} } //= $figures) ne $figures;
		push @wrong, "$act->{key}: done twice" if $act->{answer} eq 'wrote' && $did{ $act->{key} }++;
		push @wrong, "$act->{key}: repeated $act->{repeated}, but $act->{answer}"
		  if ($act->{answer} eq 'wrote') != ($act->{repeated} eq 'f') && !$act->{again} && $act->{repeated} ne '';
	}
	return [sort @wrong];
}

sub merges
{
	my ($self) = @_;

	return scalar grep { $_->{name} =~ /merge$/ && $_->{answer} } values %{ $self->{acts} };
}

sub summary
{
	my ($self, $seconds) = @_;
	my (%done, %refused, %again);
	my $all = values %{ $self->{acts} };

	for my $act (values %{ $self->{acts} })
	{
		if ($act->{refused}) { $refused{ $act->{name} }{ $act->{refused}[0] }++; }
		elsif ($act->{answer} eq 'wrote') { $done{ $act->{name} }++; }
		else { $again{ $act->{name} }++; }
	}
	return (
		sprintf('%d acts, %.0f a second; connections lost %d, of these acts done %d; tried again %s',
			$all, $all / $seconds, $self->{lost}, $self->{found} // 0,
			join(', ', map { "$_ $self->{retried}{$_}" } sort keys %{ $self->{retried} }) || 'none'),
		map {
			sprintf '%-12s %6d done %5d asked again or nothing to do  %s', $_, $done{$_} // 0, $again{$_} // 0,
			  join ', ', map { "$_->[0] $_->[1]" } do { my $r = $refused{$_} || {}; map { [$_, $r->{$_}] } sort keys %$r };
		} sort keys %Soak::Acts::acts);
}

1;
