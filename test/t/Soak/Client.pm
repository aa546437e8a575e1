# One session of the soak: acts at random, and writes into its log what it asks
# before it asks, and what it is answered. Lines are fields between tabs:
#   I act name key of   asked: "of" is the act that is asked once more
#   L act               the connection broke before the answer
#   F act found|none    whether it was there when the connection was back
#   T act sqlstate      to be tried again
#   R act sqlstate text refused
#   J act program member entry kind points source_key     what its transaction wrote
#   O act +|- order     order that it made or deleted
#   A act wrote|none|there kind entry points balance repeated   answered; kind as in the call
package Soak::Client;

use strict;
use warnings;

use IO::Handle;
use Soak::Acts;
use Soak::Session;
use Time::HiRes ();

sub new
{
	my ($class, %self) = @_;
	my $self = bless {%self, session => Soak::Session->new(%{ $self{node} }), count => 0, mine => []}, $class;

	open $self->{log}, '>', $self{file} or die "$self{file}: $!";
	$self->{log}->autoflush(1);
	srand $self{seed};
	return $self;
}

sub real_time { return Time::HiRes::time(); }

# The server's time.
sub now
{
	my ($self) = @_;

	return $self->{clock_base} + ($self->real_time - $self->{clock_base}) * $self->{clock_rate};
}

sub rows
{
	my ($self, $sql) = @_;

	return $self->{session}->read_rows($sql =~ s/\s+/ /gr);
}

sub note
{
	my ($self, @fields) = @_;

	print { $self->{log} } join("\t", map { $_ // '' } @fields), "\n";
	return;
}

sub run
{
	my ($self) = @_;
	my @names = map { ($_) x $Soak::Acts::acts{$_}[0] } sort keys %Soak::Acts::acts;

	while ($self->real_time < $self->{until})
	{
		my $act;

		$self->{key} = "$self->{run}c$self->{number}n" . ++$self->{count};
		if (@{ $self->{mine} } && rand() < 0.04)
		{
			# once more, perhaps long after
			my $earlier = $self->{mine}[rand @{ $self->{mine} }];
			$act = { %$earlier, id => $self->{key}, of => $earlier->{id} };
		}
		else
		{
			my $name = $names[rand @names];
			$act = $Soak::Acts::acts{$name}[1]->($self) or next;
			$act->{name} = $name;
			$act->{id} = $self->{key};
			$act->{key} //= $self->{key};
		}
		$self->perform($act);
	}
	$self->{session}->close;
	return;
}

# Whether somebody is concerned who is merged now and then: after a kill it is not told from the log in which ledger he acted.
sub is_merging
{
	my ($act) = @_;

	return grep { /^p/ } @{ $act->{refs} };
}

# Whoever is concerned, and what the transaction wrote in his name.
sub statements
{
	my ($self, $act, $there) = @_;
	my @statements;

	push @statements, $act->{rows} if $act->{rows} && !$there;
	if ($act->{call} && !($there && is_merging($act)))
	{
		my $answer = $act->{answer} // q('P', a.entry, a.points, a.balance, a.repeated);
		my $keep = $act->{codes} ? ", k AS (INSERT INTO codes (code, program, member) SELECT a.$act->{codes}, '$act->{program}', '$act->{refs}[0]'"
		  . " FROM a WHERE a.$act->{codes} IS NOT NULL ON CONFLICT DO NOTHING)" : '';
		push @statements, "WITH a AS MATERIALIZED (SELECT * FROM $act->{call} a)$keep SELECT $answer FROM a";
	}
	push @statements, sprintf q(INSERT INTO done (key, refs) VALUES ('%s', '{%s}') ON CONFLICT DO NOTHING RETURNING 'D', key),
	  $act->{key}, join ',', @{ $act->{refs} }
	  if $act->{call};
	push @statements, <<"SQL" =~ s/\s+/ /gr;
SELECT 'J', p, e.member_id, e.seq, e.kind, e.points, e.source_key
FROM done d, unnest(d.refs) r, unnest('{@{[ join ',', Soak::World::PROGRAMS ]}}'::text[]) p,
	LATERAL (SELECT * FROM loyalty.entry WHERE member_id = loyalty.find_member(r, p) AND posted_at = d.at OFFSET 0) e
WHERE d.key = '$act->{key}'
SQL
	return join ' \; ', @statements;
}

sub is_there
{
	my ($self, $act) = @_;

	return @{ $self->rows("SELECT 'D' || '|' FROM done WHERE key = '$act->{key}'") } > 0;
}

sub perform
{
	my ($self, $act) = @_;
	my $there = 0;
	my $answer;

	$self->note('I', $act->{id}, $act->{name}, $act->{key}, $act->{of}, $act->{rows}, $act->{call}, $act->{again}, $act->{units});
	while (1)
	{
		$answer = $self->{session}->ask($self->statements($act, $there));
		if (!$answer)
		{
			$self->note('L', $act->{id});
			$there = $self->is_there($act);
			$self->note('F', $act->{id}, $there ? 'found' : 'none');
			next;
		}
		last unless ($answer->{sqlstate} // '') =~ /^40/;
		$self->note('T', $act->{id}, $answer->{sqlstate}, $answer->{message}, $answer->{detail});
	}
	$self->note('W', $act->{id}, $_) for @{ $answer->{warnings} };
	if ($answer->{sqlstate})
	{
		$self->note('R', $act->{id}, @$answer{ 'sqlstate', 'message', 'detail' });
		return;
	}
	my %rows;
	push @{ $rows{ shift @$_ } }, $_ for @{ $answer->{rows} };
	my $wrote = $rows{D} || $there && !$act->{call};
	$self->note('J', $act->{id}, @$_) for @{ $rows{J} || [] };
	if ($wrote || $there)
	{
		$self->note('O', $act->{id}, '+', $_) for @{ $act->{created} || [] };
		$self->note('O', $act->{id}, '-', $_) for @{ $act->{deleted} || [] };
	}
	my ($tag) = grep { $rows{$_} } qw(P U G X);
	$self->note('A', $act->{id}, $wrote ? 'wrote' : $act->{call} ? 'there' : 'none', $tag, @{ $tag ? $rows{$tag}[0] : [] });
	if ($act->{call} && !$act->{rows} && !$act->{again} && !$act->{of})
	{
		push @{ $self->{mine} }, $act;
		shift @{ $self->{mine} } if @{ $self->{mine} } > 60;
	}
	return;
}

1;
