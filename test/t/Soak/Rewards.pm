# Acts of the soak about rewards and vouchers.
package Soak::Rewards;

use strict;
use warnings;

use Soak::World qw(any at call member program steady);

# Some stock is short, and codes that vouchers have are known to all.
use constant SETUP => <<'SQL';
INSERT INTO loyalty.reward (program, name, cost, stock, stock_period, max_quantity) VALUES ('beans', 'mug', 40, 60, 'month', 3);
INSERT INTO loyalty.reward (program, name, cost, stock) VALUES ('beans', 'rare', 10, 100), ('miles', 'rare', 2.5, 50);
INSERT INTO loyalty.reward (program, name, cost, stock, stock_period, backorder, needs_fulfillment)
VALUES ('beans', 'late', 15, 20, 'week', true, true);
INSERT INTO loyalty.reward (program, name, kind, cost, member_cap, cap_period, needs_confirmation)
VALUES ('beans', 'ask', 'experience', 20, 2, 'week', true);
INSERT INTO loyalty.reward (program, name, kind, cost, value, stored, bearer) VALUES ('beans', 'gift', 'gift_card', 50, 5, true, true);
INSERT INTO loyalty.reward (program, name, kind, cost, value, auto_wait)
VALUES ('beans', 'back', 'cashback', 150, 1, '2 days'), ('miles', 'back', 'cashback', 60, 1, NULL);
INSERT INTO loyalty.voucher_pool (program, name, kind, percent, uses) VALUES ('miles', 'codes', 'percentage', 10, 2);
SELECT loyalty.import_vouchers('codes', array_agg('SUPPLIER' || n), program => 'miles') FROM generate_series(1, 400) n;
INSERT INTO loyalty.reward (program, name, kind, cost, pool) VALUES ('miles', 'code', 'voucher', 5, 'codes');
CREATE TABLE codes (code text PRIMARY KEY, program text, member text, at timestamptz DEFAULT now());
CREATE INDEX ON codes (program, at);
SQL

my %rewards = (beans => ['mug', 'mug', 'rare', 'late', 'ask', 'gift'], miles => ['rare', 'code', 'code']);

# One of the latest codes, and of a member's latest redemptions.
sub code
{
	my ($c, $program) = @_;

	return any(@{ $c->rows("SELECT 'K', code, member FROM codes WHERE program = '$program' ORDER BY at DESC LIMIT 25") });
}

sub redemption
{
	my ($c, $ref, $program) = @_;

	return any(@{ $c->rows("SELECT 'R', seq FROM loyalty.redemption WHERE member_id = loyalty.find_member('$ref', '$program') ORDER BY seq DESC LIMIT 5") });
}

sub redeem
{
	my ($c) = @_;
	my $program = program();
	my $reward = any(@{ $rewards{$program} });
	my $quantity = any(1, 1, 1, 2, 3);

	return {
		%{ call($c, 'redeem', $program, [member($c)], "'$reward', $quantity" . at($c)) },
		codes => 'voucher',
		units => "$program $reward $quantity"
	};
}

# What needs no key, since doing it again says the same.
sub handle
{
	my ($c, $function) = @_;
	my $program = program();
	my $ref = steady($c);
	my $redemption = redemption($c, $ref, $program) or return;

	return {
		refs => [$ref],
		program => $program,
		call => "loyalty.$function('$ref', $redemption->[1], program => '$program')",
		answer => q('X', a.entry, a.points, '', a.repeated),
		again => 1
	};
}

sub choose
{
	my ($c) = @_;
	my $program = program();
	my $ref = steady($c);

	return {
		refs => [$ref],
		program => $program,
		call => "loyalty.choose_reward('$ref', " . any(q('back'), q('back'), 'NULL') . ", program => '$program')",
		answer => q('X', '', '', '', ''),
		again => 1
	};
}

sub issue
{
	my ($c) = @_;
	my $program = program();
	my $ref = steady($c);
	my $terms = any("'value', value => 30, stored => true", "'points', points => 8, uses => 3", "'percentage', percent => 5, per_member => 1",
		"'value', value => 4, valid_for => '6 days'");

	return { %{ call($c, 'issue_voucher', $program, [$ref], $terms) }, answer => q('X', a.hint, '', '', a.repeated), codes => 'code' };
}

sub use_voucher
{
	my ($c) = @_;
	my $program = program();
	my $code = code($c, $program) or return;
	my $ref = $code->[2] || steady($c);
	my $amount = 1 + int(rand 1500) / 100;

	return if $ref =~ /^p/;

	return {
		refs => [$ref],
		program => $program,
		call => "loyalty.use_voucher('$code->[1]', $amount, member => '$ref', key => '$c->{key}', program => '$program')",
		answer => q('U', a.use_no, a.taken, a."left", a.repeated)
	};
}

sub return_voucher
{
	my ($c) = @_;
	my $program = program();
	my $code = code($c, $program) or return;
	my $amount = any('', '', ', 0.5', ', 2');

	return {
		refs => [$code->[2] || ()],
		program => $program,
		call => "loyalty.return_voucher('$code->[1]'$amount, key => '$c->{key}', program => '$program')",
		answer => q('G', a.use_no, a.given_back, a."left", a.repeated)
	};
}

sub void
{
	my ($c) = @_;
	my $program = program();
	my $code = code($c, $program) or return;

	return {
		refs => [],
		program => $program,
		call => "loyalty.void_voucher('$code->[1]', program => '$program')",
		answer => q('X', a.hint, '', '', a.repeated),
		again => 1
	};
}

our %acts = (
	redeem => [20, \&redeem, 'LY001 LY002 LY020 LY021 LY022 LY026'],
	confirm => [4, sub { handle(shift, 'confirm_redemption') }, 'LY023'],
	fulfill => [4, sub { handle(shift, 'fulfill_redemption') }, 'LY023'],
	choose => [1, \&choose, 'LY002'],
	issue => [3, \&issue, 'LY002'],
	# 22023: points for who is away too long would lapse at once
	use_voucher => [10, \&use_voucher, 'LY002 LY025 22023'],
	return_voucher => [4, \&return_voucher, 'LY001 LY018 LY025'],
	void => [1, \&void, 'LY025'],
);

1;
