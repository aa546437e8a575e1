# Draws what growth.sh has measured: its figures (standard input) become an SVG
# (standard output).
#
#   perl bench/growth_plot.pl <bench/growth.txt >doc/growth.svg
#
# On the left the cost over the entries of the ledger, on the right over the
# lots of the member. The ground is white, so that it can be read on any page.

use strict;
use warnings;

my @acts = (
	['order', '#0b62a4', 'an order'],
	['spend', '#b8470b', 'a spend'],
	['balance', '#3a7d2c', 'balance()']);
my ($width, $height, $top, $bottom) = (860, 400, 70, 60);
my ($panel_width, $left, $between) = (330, 70, 90);
my (%cost, %sizes, %lots);

while (<STDIN>)
{
	next if /^#/;
	my ($act, $lots, $entries, $processor) = split;
	next if !defined $processor;
	$cost{$act}{$lots}{$entries} = $processor;
	$sizes{$entries} = 1;
	$lots{$lots} = 1 if $lots ne 'any';
}
my @sizes = sort { $a <=> $b } keys %sizes;
my @lots = sort { $a <=> $b } keys %lots;
die "no figures\n" if !@sizes || !@lots;
my $largest = $sizes[-1];

my @panels = (
	{
		title => 'by entries in the ledger', axis => 'entries in the ledger (log scale)',
		x => $left, ticks => \@sizes,
		at => sub { my ($act, $entries) = @_; $cost{$act}{any}{$entries} }
	},
	{
		title => 'by lots of the member, ' . grouped($largest) . ' entries', axis => 'lots of the member (log scale)',
		x => $left + $panel_width + $between, ticks => \@lots,
		at => sub { my ($act, $number) = @_; $cost{$act}{$number}{$largest} }
	});

# One scale for both, so that they can be compared: up to a round number.
my $most = 1;
for my $panel (@panels)
{
	for my $act (@acts)
	{
		for my $tick (@{ $panel->{ticks} })
		{
			my $value = $panel->{at}->($act->[0], $tick);
			$most = $value if defined $value && $value > $most;
		}
	}
}
my $step = 10**int(log($most) / log(10));
$step /= 2 if $most / $step < 5;
$step /= 2.5 if $most / $step < 4;
my $limit = $step * (int($most / $step) + 1);

sub grouped
{
	my ($number) = @_;
	1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
	return $number;
}

sub up
{
	my ($value) = @_;
	return sprintf '%.1f', $height - $bottom - $value / $limit * ($height - $top - $bottom);
}

sub across
{
	my ($panel, $tick) = @_;
	my @ticks = @{ $panel->{ticks} };
	my $span = log($ticks[-1]) - log($ticks[0]);
	return sprintf '%.1f', $panel->{x} + 20 + ($span ? (log($tick) - log($ticks[0])) / $span : 0) * ($panel_width - 40);
}

sub text
{
	my ($x, $y, $anchor, $text, $more) = @_;
	print qq{<text x="$x" y="$y" text-anchor="$anchor"}, ($more ? " $more" : ''), ">$text</text>\n";
}

print <<SVG;
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height"
	font-family="sans-serif" font-size="12" fill="#222222" role="img" aria-labelledby="title">
<title id="title">Processor time of an order, a spend and a balance() as the ledger and a member's lots grow</title>
<rect width="$width" height="$height" fill="#ffffff"/>
SVG

my $legend = $left;
for my $act (@acts)
{
	my ($name, $color, $label) = @$act;
	print qq{<line x1="$legend" y1="22" x2="@{[$legend + 24]}" y2="22" stroke="$color" stroke-width="2"/>\n};
	print qq{<circle cx="@{[$legend + 12]}" cy="22" r="3.5" fill="$color"/>\n};
	text($legend + 31, 26, 'start', $label);
	$legend += 120;
}

for my $panel (@panels)
{
	my $right = $panel->{x} + $panel_width;
	my $ground = $height - $bottom;
	my $middle = ($top + $ground) / 2;

	text($panel->{x}, $top - 16, 'start', $panel->{title}, 'font-weight="bold"');
	for (my $value = 0; $value <= $limit + $step / 2; $value += $step)
	{
		my $y = up($value);
		print qq{<line x1="$panel->{x}" y1="$y" x2="$right" y2="$y" stroke="}, ($value ? '#dddddd' : '#222222'), qq{"/>\n};
		text($panel->{x} - 8, $y + 4, 'end', $value);
	}
	text($panel->{x} - 46, $middle, 'middle', 'processor time, µs', qq{transform="rotate(-90 @{[$panel->{x} - 46]} $middle)"});
	for my $tick (@{ $panel->{ticks} })
	{
		my $x = across($panel, $tick);
		print qq{<line x1="$x" y1="$ground" x2="$x" y2="@{[$ground + 5]}" stroke="#222222"/>\n};
		text($x, $ground + 20, 'middle', grouped($tick));
	}
	text(($panel->{x} + $right) / 2, $ground + 44, 'middle', $panel->{axis});

	for my $act (@acts)
	{
		my ($name, $color) = @$act;
		my @known = grep { defined $panel->{at}->($name, $_) } @{ $panel->{ticks} };
		next if !@known;
		my $points = join ' ', map { across($panel, $_) . ',' . up($panel->{at}->($name, $_)) } @known;
		print qq{<polyline points="$points" fill="none" stroke="$color" stroke-width="2"/>\n};
		for my $tick (@known)
		{
			my ($x, $y) = (across($panel, $tick), up($panel->{at}->($name, $tick)));
			print qq{<circle cx="$x" cy="$y" r="3.5" fill="$color"/>\n};
			text($x, $y - 9, 'middle', sprintf('%.0f', $panel->{at}->($name, $tick)), qq{fill="$color" font-size="11"});
		}
	}
}
print "</svg>\n";
