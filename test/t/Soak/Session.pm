# A psql that is asked one line at a time, and whose server may be killed.
package Soak::Session;

use strict;
use warnings;

use IPC::Open3;
use Time::HiRes qw(sleep time);

# What a killed server's clients wait at most for the next one.
use constant PATIENCE => 60;

# node: host and port of the server.
sub new
{
	my ($class, %node) = @_;

	return bless {%node, asked => 0}, $class;
}

# Ask; several statements with \; between them are one transaction. Returns
# undef when the connection broke before the answer was complete, else
# {rows => [[...], ...], warnings => [...], sqlstate => ..., message => ...}.
sub ask
{
	my ($self, $sql) = @_;

	$self->_connect unless $self->{pid};
	my $end = '@@' . ++$self->{asked};
	my %answer = (rows => [], warnings => []);
	{
		local $SIG{PIPE} = 'IGNORE';
		print { $self->{to} } "$sql;\n\\echo $end\n" or return $self->_lost;
	}
	while (defined(my $line = readline $self->{from}))
	{
		chomp $line;
		return \%answer if $line eq $end;
		if ($line =~ /^(?:psql:\S+ )?(ERROR|FATAL|PANIC|WARNING):  (\w{5}): (.*)/)
		{
			return $self->_lost if $1 eq 'FATAL' || $1 eq 'PANIC';
			if ($1 eq 'WARNING') { push @{ $answer{warnings} }, "$2 $3"; }
			else { ($answer{sqlstate}, $answer{message}) = ($2, $3); }
		}
		elsif ($line =~ /^[A-Z]\|/) { push @{ $answer{rows} }, [split /\|/, $line, -1]; }
		elsif ($line =~ /^DETAIL:  (.*)/) { $answer{detail} = $1; }
	}
	return $self->_lost;
}

# The same until there is an answer, for what only reads.
sub read_rows
{
	my ($self, $sql) = @_;

	while (1)
	{
		my $answer = $self->ask($sql) or next;
		die "$answer->{sqlstate} $answer->{message}\n" if $answer->{sqlstate};
		return $answer->{rows};
	}
}

sub close
{
	my ($self) = @_;

	return unless $self->{pid};
	CORE::close $self->{to};
	CORE::close $self->{from};
	waitpid delete $self->{pid}, 0;
	return;
}

sub _lost
{
	my ($self) = @_;

	$self->close;
	return;
}

sub _connect
{
	my ($self) = @_;
	my $deadline = time + PATIENCE;

	while (time < $deadline)
	{
		$self->{pid} = open3($self->{to}, $self->{from}, undef, 'psql', '-XqAt', '-d', 'postgres',
			'-h', $self->{host}, '-p', $self->{port});
		$self->{to}->autoflush(1);
		local $SIG{PIPE} = 'IGNORE';
		print { $self->{to} } "\\set VERBOSITY verbose\nSET application_name = 'soak';\n\\echo ready\n";
		while (defined(my $line = readline $self->{from}))
		{
			return if $line eq "ready\n";
		}
		$self->close;
		sleep 0.05;
	}
	die "no server\n";
}

1;
