# Acts of the soak about members who are one person, or share one balance.
package Soak::People;

use strict;
use warnings;

use Soak::World qw(any call merging program);

use constant SETUP => <<'SQL';
SELECT loyalty.create_household('home', 'p1', program => p) FROM unnest('{beans,miles}'::text[]) p;
SQL

sub merge
{
	my ($c) = @_;
	my $program = program();
	my ($from, $into) = (merging(), merging());

	return if $from eq $into;
	return { %{ call($c, 'merge_members', $program, [$from, $into], "'$into'") }, answer => q('X', '', '', '', '') };
}

sub unmerge
{
	my ($c) = @_;
	my $program = program();
	my $merged = any(@{ $c->rows("SELECT 'M', ref FROM loyalty.member_merge JOIN loyalty.program USING (program_id) WHERE undone_at IS NULL AND name = '$program'") })
	  or return;

	return {
		%{ call($c, 'unmerge_members', $program, [$merged->[1]], any('false', 'true', 'true')) },
		answer => q('X', '', '', '', '')
	};
}

sub join_or_leave
{
	my ($c) = @_;
	my $program = program();
	my $ref = merging();

	return {
		refs => [$ref],
		program => $program,
		call => 'loyalty.' . any("join_household('$ref', 'home', program => '$program')", "leave_household('$ref', program => '$program')"),
		answer => q('X', '', '', '', ''),
		again => 1
	};
}

our %acts = (household => [2, \&join_or_leave, 'LY001 LY002 LY003 LY028'], merge => [1, \&merge, 'LY002 LY027 LY028'], unmerge => [3, \&unmerge, 'LY001 LY002 LY027 LY028']);

1;
