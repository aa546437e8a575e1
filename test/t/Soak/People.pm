# Acts of the soak about members who are one person.
package Soak::People;

use strict;
use warnings;

use Soak::World qw(any call merging program);

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

our %acts = (merge => [1, \&merge, 'LY002 LY027'], unmerge => [3, \&unmerge, 'LY001 LY002 LY027']);

1;
