# The world of the soak: programs, members, and what acts have in common.
package Soak::World;

use strict;
use warnings;

use Exporter 'import';
our @EXPORT_OK = qw(any at call member merging points program steady);

use constant MEMBERS => 50;
use constant MERGING => 8;
use constant PROGRAMS => ('beans', 'miles');

# Days pass in a second; so everything that time does happens many times.
use constant SETUP => <<'SQL';
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, expiry, pending, clawback, reinstate, point_value, spend_share, tier_window, tier_validity)
VALUES ('beans', '30 days', '2 days', 'debt', '20 days', 0.1, 0.9, 'rolling 60 days', '45 days');
INSERT INTO loyalty.program (name, expiry, points_scale, rounding, clawback, transfer_policy, transfer_cap, transfer_cap_period)
VALUES ('miles', 'inactive 20 days', 2, 'half_even', 'available', 'restart', 2000, 'month');
INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 300), ('beans', 'gold', 2, 900);
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1'), ('miles', 'base', '0.55 per 1');
INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'gold', 'x2', $$member.tier = 'gold'$$);
INSERT INTO loyalty.rule (program, name, award, budget, budget_period) VALUES ('beans', 'budget', '1 per 2', 3000, 'month');
INSERT INTO loyalty.rule (program, name, award, member_cap, cap_period) VALUES ('miles', 'cap', '5%', 40, 'week');
INSERT INTO loyalty.rule (program, name, event, award) VALUES ('beans', 'review', 'review', '50'), ('miles', 'review', 'review', '12.5');
INSERT INTO loyalty.rule (program, name, event, award, confirm, confirm_within, on_silence)
VALUES ('beans', 'survey', 'survey', '40', true, '3 days', 'accept'), ('miles', 'survey', 'survey', '7.25', true, '3 days', 'reject');
CREATE TABLE orders (id text PRIMARY KEY, customer text, total numeric NOT NULL, status text NOT NULL DEFAULT 'paid',
	created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON orders (created_at);
SELECT loyalty.attach('orders', member => 'customer', amount => 'total', at => 'created_at', counts => $$status = 'paid'$$, program => p)
FROM unnest('{beans,miles}'::text[]) p;
SQL

# Everything a client needs of chance; c is the client.
# Some members are merged now and then. An act that names an entry, or is asked once more, is about the others:
# who was merged has his acts from then on in another ledger.
sub steady { return 'm' . (1 + int(MEMBERS * rand()**2)); }
sub merging { return 'p' . (1 + int rand MERGING); }
sub member { return rand() < 0.1 ? merging() : steady(); }

sub program { return (PROGRAMS)[rand 2]; }
sub points { my ($program, $most) = @_; return 1 + int(rand $most) + ($program eq 'miles' ? int(rand 100) / 100 : 0); }
sub any { return $_[rand @_]; }

# A call that carries the client's key.
sub call
{
	my ($c, $function, $program, $refs, $arguments) = @_;

	return {
		refs => $refs,
		program => $program,
		call => "loyalty.$function('$refs->[0]', $arguments, key => '$c->{key}', program => '$program')"
	};
}

# Now and then a call says when, a little in the past.
sub at
{
	my ($c) = @_;

	return '' if rand() > 0.05;
	return sprintf ', at => to_timestamp(%.0f)', $c->now - rand(2 * 86400);
}

1;
