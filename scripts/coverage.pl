# For coverage.sh: adds up what gcov says (its text form, on standard input) of
# each line, in whatever objects it is compiled, and prints the shares.
#
#   coverage.pl LEAST LINES    fails below LEAST percent; LINES: where the lines
#                              that never ran are written

use strict;
use warnings;

my ($least, $lines_file) = @ARGV;
my (%count, %text, $file);

while (<STDIN>)
{
	my ($count, $line, $text) = /^\s*([^:]+):\s*(\d+):(.*)/ or next;
	if ($line == 0)
	{
		$file = $1 if $text =~ /^Source:(.*)/;
		next;
	}
	next if !defined $file || $file !~ m{^src/} || $count eq '-';
	$count =~ s/\*$//;
	$count = 0 if $count =~ /^[#=]/;
	$count{$file}{$line} += $count;
	$text{$file}{$line} = $text;
}

my ($all, $all_run) = (0, 0);
my @shares;
open my $missed, '>', $lines_file or die "$lines_file: $!";
for my $file (sort keys %count)
{
	my $lines = $count{$file};
	my $run = grep { $_ > 0 } values %$lines;

	push @shares, [ $file, $run, scalar keys %$lines ];
	$all += keys %$lines;
	$all_run += $run;
	for my $line (sort { $a <=> $b } keys %$lines)
	{
		print {$missed} "$file:$line:$text{$file}{$line}\n" if $lines->{$line} == 0;
	}
}
die "no line was counted\n" if $all == 0;

for my $share (sort { $a->[1] / $a->[2] <=> $b->[1] / $b->[2] || $a->[0] cmp $b->[0] } @shares)
{
	printf "%6.1f %%  %4d of %4d  %s\n", 100 * $share->[1] / $share->[2], @$share[ 1, 2, 0 ];
}
printf "%6.2f %%  %d of %d lines of src ran\n", 100 * $all_run / $all, $all_run, $all;
exit(100 * $all_run / $all < $least);
