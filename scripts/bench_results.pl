#!/usr/bin/env perl
# bench_results.pl COMMAND MACHINE FILE...: what the benchmarks printed, as
# Markdown. Each FILE is named like its script. From a line of against_target
# or without_target of bench/lib.sh comes a row of the table; everything else
# stands below it as it was printed, lines of a Markdown table as such.

use strict;
use warnings;

my ($command, $machine, @files) = @ARGV;

sub lines
{
	my ($name) = @_;
	open my $in, '<', $name or die "$name: $!\n";
	chomp(my @lines = <$in>);
	return @lines;
}

# WHAT FIGURE (LEAST to MOST) target: SENSE TARGET VERDICT, of which the spread
# and all from "target" on may be missing: these fields, or nothing.
sub figure
{
	my ($line) = @_;
	my $figure = qr/(\d+\.\d+)(?: \((\d+\.\d+) to (\d+\.\d+)\))?/;
	my @fields = $line =~ /^(?!#)(\S.*?)\s+$figure\s+target: (at (?:most|least) [\d.]+)\s+(met|MISSED)$/;

	@fields = $line =~ /^(?!#)(\S.*?)\s{2,}$figure$/ if !@fields;
	return @fields;
}

my (%body, %seconds, @missed);
my $targets = 0;
for my $file (@files)
{
	my ($name) = $file =~ m{([^/]+)$};
	my (@rows, @parts, $verbatim);

	for (lines($file))
	{
		next if /^$/;
		if (/^# \Q$name\E took (\d+) s$/)
		{
			$seconds{$name} = $1;
		}
		elsif (my @figure = figure($_))
		{
			my ($what, $median, $least, $most, $target, $verdict) = @figure;
			$_ //= '' for $target, $verdict;
			my $spread = defined $least ? "$least to $most" : '';

			$what =~ s/\|/\\|/g;
			push @rows, "| $what | $target | $median | $spread | $verdict |";
			$targets++ if $target;
			push @missed, "$what: $median, target $target" if $verdict eq 'MISSED';
		}
		else
		{
			my $table = /^\|/ ? 1 : 0;
			push @parts, [ $table, [] ] if !@parts || $parts[-1][0] != $table;
			push @{ $parts[-1][1] }, s/^# //r;
		}
	}
	$body{$name} = join "\n",
		(@rows ? ('| | target | median | least to most | |', '|---|---|---|---|---|', @rows, '') : ()),
		map { $_->[0] ? (@{ $_->[1] }, '') : ('```', @{ $_->[1] }, '```', '') } @parts;
}

my @date = gmtime;
my $total = 0;
$total += $_ for values %seconds;

print "# Results of the benchmarks\n\n",
	"Written by `$command` on ", sprintf('%d-%02d-%02d', $date[5] + 1900, $date[4] + 1, $date[3]),
	", in ", sprintf('%d min %d s', $total / 60, $total % 60), ". Ratios are taken within a run; each\n",
	"figure is the median of the runs. Another machine has other figures.\n\n";
print s/^# /- /r, "\n" for lines($machine);
print "\n", $targets - @missed, " of $targets targets met", (@missed ? "; missed:\n\n" : ".\n");
print "- $_\n" for @missed;
for my $file (@files)
{
	my ($name) = $file =~ m{([^/]+)$};
	print "\n## $name\n\n[$name.sh]($name.sh), `scripts/bench.sh $name`",
		(exists $seconds{$name} ? ", $seconds{$name} s" : ''), ".\n\n$body{$name}";
}
