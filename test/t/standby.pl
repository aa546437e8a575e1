# On a streaming replica every function and view that only reads answers what
# the primary answers, and every other one says that it cannot write.  Promoted,
# it goes on with the same keys, numbers and budgets; what was in flight is
# there as a whole or not at all.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Time::HiRes qw(usleep);

my $primary = new_node('primary', allows_streaming => 1);
$primary->start;
on_node($primary);
open_shop('shop');

# So that each function finds something, also by a number.
$primary->safe_psql('shop', q{
	INSERT INTO loyalty.rule (program, name, event, award, budget) VALUES ('beans', 'survey', 'survey', '30', 900);
	SELECT loyalty.create_household('numbers', '2', program => 'beans');
	SELECT loyalty.issue_voucher('2', 'value', value => 5, program => 'beans');
	SELECT loyalty.issue_voucher('c1', 'value', value => 5, program => 'beans');
	SELECT loyalty.record('2', 'survey', key => 'first', program => 'beans');
	UPDATE loyalty.reward SET stock = 100 WHERE name = 'tour';
	SELECT loyalty.roll_up('beans', until => now());
	VACUUM FREEZE;
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

# Arguments by name, else by type; before them the name of a function.
my %values = (
	'member text' => q{'c1'}, 'member bigint' => '2', 'program text' => q{'beans'}, 'program_id integer' => '1',
	'member_id bigint' => q{loyalty.find_member('c1', 'beans')}, 'code text' => q{(SELECT code FROM zzz.code WHERE name = 'card')},
	'source text' => q{'aaa.orders'}, 'source regclass' => q{'aaa.orders'}, 'key text' => q{'1040'}, 'key bigint' => '1040', 'amount numeric' => '20', 'points numeric' => '1',
	'from_member text' => q{'c1'}, 'to_member text' => q{'c2'}, 'into_member text' => q{'c2'}, 'from_member bigint' => '2', 'to_member bigint' => '3', 'into_member bigint' => '3',
	'entry bigint' => '1', 'hold bigint' => '2', 'reward text' => q{'tour'}, 'role regrole' => q{'reader'}, 'access text' => q{'read'}, 'event text' => q{'survey'},
	'at timestamp with time zone' => 'now()', 'codes text[]' => q{'{x}'}, 'pool text' => q{'film "1"'}, 'rule text' => q{'base'}, 'changes jsonb' => q{'{"award": "2"}'},
	'name text' => q{'somebody'}, 'head text' => q{'c1'}, 'join_household household text' => q{'the "family"'}, 'household program text' => q{'beans'}, 'tier text' => q{'gold'}, 'cron text' => q{'0 * * * *'},
	'ends date' => q{'2100-01-31'}, 'new_ends date' => q{'2100-02-28'}, 'query text' => q{'SELECT id AS key, customer AS member, at, 1 AS amount FROM aaa.head'}, 'watch text[]' => q{'{aaa.head.id}'},

	'household member text' => q{'mum'}, 'attach member text' => q{'customer'}, 'attach amount text' => q{'total'}, 'accept member text' => q{'reviewer 3'},
	'reject member text' => q{'reviewer 3'}, 'capture member text' => q{'holder'}, 'release member text' => q{'holder'}, 'redeem member text' => q{'redeemer'},
	'confirm_redemption member text' => q{'redeemer'}, 'confirm_redemption entry bigint' => '4', 'fulfill_redemption member text' => q{'redeemer'},
	'fulfill_redemption entry bigint' => '2', 'choose_reward member text' => q{'kid'}, 'cancel member text' => q{'redeemer'}, 'cancel entry bigint' => '2',
	'set_estimate kind text' => q{'point_cost'}, 'set_estimate value numeric' => '0.5',
	'leave_household member text' => q{'kid'}, 'unmerge_members from_member text' => q{'twin "1"'}, 'import_balance source text' => q{'SELECT $$i9$$ AS member, 5 AS points'},
	'issue_voucher kind text' => q{'value'}, 'issue_voucher value numeric' => '5', 'quote amount numeric' => '20', 'expiring within interval' => q{'10 years'},
	'attach program text' => q{'club'}, 'attach_query program text' => q{'club'}, 'detach program text' => q{'beans'},

	'has_consent member text' => q{'Zoë'}, 'has_consent program text' => q{'Café "Zoë"'}, 'proposal text' => q{(SELECT proposal FROM loyalty.proposals WHERE key = 'big 3')},
	'purpose text' => q{'publicité'}, 'granted boolean' => 'true', 'proof seal integer' => '1', 'check_proof proof jsonb' => q{loyalty.proof('c1', 1, 'beans')},
	'check_proof root bytea' => q{(SELECT decode(hash, 'hex') FROM loyalty.seals WHERE program = 'beans' AND seal = 1)},
	'check_proof root text' => q{(SELECT hash FROM loyalty.seals WHERE program = 'beans' AND seal = 1)},

	'score integer' => '9', 'feedback_by_period kind text' => q{'nps'}, 'report_period period text' => q{'month'},
	'series numeric[]' => q{'{1,2,3}'}, 'whole numeric' => '2', 'value numeric' => '1',

	'record_batch events jsonb' => q{'[{"member": "c1", "event": "survey"}]'}, 'record_rows events loyalty.event_request[]' => q{'{"(c1,survey,,,,,,)"}'},

	'triangle numeric[]' => q{'{{100, 20, 30}, {50, 15, NULL}, {80, NULL, NULL}}'},

	'value text' => q{'month'}, 'choices text[]' => q{'{day,month}'},
	'purchases_by_membership period text' => q{'month'}, 'dimension text' => q{'store'},

	'coarsen text' => q{'month'}, 'derive_voucher_code bytea' => q{'\xc0ffee00c0ffee00'},
	points => q{'12.5'}, purse => q{'{120@2026-03-31, 40@2026-01-15/2026-12-31, 5@infinity}'}, award => q{'1 per 10'}, expiry => q{'12 months end of month'},
	qualification => q{'rolling 365 days'}, tally => q{'{2026-01: 120.50/37/2, 2026-02: 9/9/1}'}, voucher_code => q{(SELECT code::loyalty.voucher_code FROM zzz.code WHERE name = 'card')},
	date => q{'2026-02-15'}, 'timestamp with time zone' => q{'2026-02-15'}, bigint => '3', integer => '2', smallint => '1', numeric => '1.5', text => q{'c1'}, bytea => q{'\x01'},
);
# Those that read text need it for their type.
my %text = (
	points_in => '12.5', purse_in => '{1@2026-03-31}', award_in => 'x2', expiry_in => 'never', qualification_in => 'lifetime', tally_in => '{}',
);

# Of each function how to call it: all arguments that have no default, program, and those given above for it.
sub routines
{
	my ($which) = @_;

	return map {
		my ($name, $kind, $set, $signature, @arguments) = split /\|/;
		my @given = map {
			my ($argument, $type, $default) = split /:/;
			my $plain = $type =~ s/^loyalty\.//r;
			my ($value) = grep { defined } map { $values{$_} } "$name $argument $type", "$name $type", "$argument $type", $plain;

			$value = exists $text{$name} ? "'$text{$name}'" : "(SELECT code FROM zzz.code WHERE name = 'card')::cstring" if $type eq 'cstring';
			$default && $argument ne 'program' && !exists $values{"$name $argument $type"} ? () : [ $argument, defined $value ? "${value}::$type" : undef ];
		} @arguments;
		my @missing = map { $_->[0] } grep { !defined $_->[1] } @given;

		{
			name => $signature, missing => \@missing,
			# Whose proposal it is takes it back.
			call => ($name eq 'withdraw' ? 'SET LOCAL SESSION AUTHORIZATION clerk; ' : '') . ($kind eq 'p' ? 'CALL' : 'SELECT * FROM') . " loyalty.$name(" . join(', ', map { $_->[0] ne '' ? "$_->[0] => $_->[1]" : $_->[1] } @given) . ')',
		}
	} split /\n/, $primary->safe_psql('shop', qq{
		SELECT concat_ws('|', p.proname, p.prokind, p.proretset, p.oid::regprocedure,
			(SELECT string_agg(coalesce(p.proargnames[n], '') || ':' || format_type(t, NULL) || ':' || (n > p.pronargs - p.pronargdefaults)::int, '|' ORDER BY n)
			 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a (t, n)))
		FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'loyalty'
		WHERE $which ORDER BY p.oid::regprocedure::text});
}

sub answers
{
	my ($node, $call) = @_;
	my ($status, $stdout, $stderr) = $node->psql('shop', "\\set VERBOSITY verbose\nBEGIN READ ONLY; $call; COMMIT;", extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);

	$stdout =~ s/"exported_at": "[^"]*"//;
	return wantarray ? ($status, $stdout, $stderr) : $stdout;
}

# What takes or gives "internal" is for the server alone: sums, sorting and
# binary copies come by it.
my $internal = q{('internal'::regtype = ANY (p.proargtypes) OR p.prorettype = 'internal'::regtype)};
foreach my $routine (routines("p.provolatile <> 'v' AND p.prokind = 'f' AND NOT $internal"))
{
	is_deeply($routine->{missing}, [], "$routine->{name}: the test knows its arguments") or next;
	my ($status, $expected, $error) = answers($primary, $routine->{call});
	is($status, 0, "$routine->{name} answers in a read-only transaction") or diag("$routine->{call}: $error");
	($status, my $answer, $error) = answers($standby, $routine->{call});
	is($answer, $expected, "$routine->{name} answers the same on a standby") or diag("$routine->{call}: $error");
	isnt($answer, '', "$routine->{call} says something") unless $routine->{name} =~ /\.verify\(/;
}

my $sums = q{SET enable_hashagg = off; SELECT loyalty.sum(points), loyalty.avg(points), loyalty.min(points), loyalty.max(points), loyalty.sum(lots) FROM loyalty.entry; SELECT loyalty.sum(tally) FROM loyalty.member;
	SELECT points FROM loyalty.entry ORDER BY points; SELECT DISTINCT lots FROM loyalty.entry ORDER BY lots::text};
is(scalar answers($standby, $sums), scalar answers($primary, $sums), 'sums and sorting');
foreach my $view (split /\n/, $primary->safe_psql('shop', q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'loyalty'::regnamespace AND relkind IN ('v', 'r') ORDER BY 1}))
{
	my ($status, $answer, $error) = answers($standby, "SELECT t::text FROM $view t ORDER BY 1");
	is($status, 0, "$view can be read on a standby") or diag($error);
	is($answer, scalar answers($primary, "SELECT t::text FROM $view t ORDER BY 1"), "$view: the same");
	# A view of nothing shows nothing of what it may need.
	isnt($answer, '', "$view: something") if $view !~ /^loyalty\.(?:.*_failure|suspicious_.*)$/;
}
is($standby->safe_psql('shop', 'SET ROLE reader; SELECT count(DISTINCT program_id) FROM loyalty.member'), 2, 'roles see their programs there');

# What writes.
foreach my $routine (routines("p.provolatile = 'v' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)"))
{
	# A random code; nothing to do; and what is pg_cron's to say.
	next if $routine->{name} =~ /\.(?:new_voucher_code|make_policies|schedule_maintenance|unschedule_maintenance)\(/;
	is_deeply($routine->{missing}, [], "$routine->{name}: the test knows its arguments") or next;
	foreach my $node ($standby, $primary)
	{
		my ($status, undef, $error) = answers($node, $routine->{call});
		like($error, qr/ERROR:  25006: cannot execute .* (?:during recovery|in a read-only transaction)/,
			"$routine->{name} says that it cannot write" . ($node == $standby ? '' : ' in a read-only transaction')) or diag("$routine->{call}: $error");
	}
}
is($primary->safe_psql('shop', 'SELECT count(*) FROM loyalty.verify()'), 0, 'nothing has been written');

# Promoted while orders and acts are under way.  One transaction is open.
my $script = PostgreSQL::Test::Utils::tempdir . '/stream.sql';
append_to_file($script, q{\set n random(1, 1000)
INSERT INTO aaa.orders (customer, total) VALUES ('s' || :n, 100 + :n);
SELECT loyalty.record('s' || :n, 'survey', key => nextval('zzz.keys')::text, program => 'beans');
BEGIN;
SELECT loyalty.adjust('s' || :n, 3, program => 'beans');
SELECT loyalty.transfer('s' || :n, 't' || :n, 3, program => 'beans');
INSERT INTO zzz.whole VALUES (:n, 3);
COMMIT;
});
$primary->safe_psql('shop', 'CREATE SEQUENCE zzz.keys; CREATE TABLE zzz.whole (n integer, points integer)');
my $open = $primary->background_psql('shop');
$open->query_safe(q{BEGIN; INSERT INTO aaa.orders (order_id, customer, total) VALUES (9001, 'in flight', 500);
	SELECT loyalty.adjust('in flight', 7, program => 'beans'), loyalty.spend('c1', 10, key => 'in flight', amount => 100, program => 'beans')});
my ($in, $out, $err) = ('', '', '');
my $stream = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-T', 60, '-f', $script, '-h', $primary->host, '-p', $primary->port, 'shop' ], \$in, \$out, \$err);
$primary->poll_query_until('shop', 'SELECT count(*) > 300 FROM zzz.whole') or die "no orders: $err";
$primary->stop('immediate');
$stream->finish;
$standby->promote;
on_node($standby);

is_sound('shop', 'promoted');
my $kept = $standby->safe_psql('shop', 'SELECT count(*) FROM zzz.whole');
cmp_ok($kept, '>', 100, "what was committed ($kept)");
is($standby->safe_psql('shop', q{SELECT n FROM zzz.whole GROUP BY n HAVING sum(points) <> coalesce((loyalty.balance('t' || n, program => 'beans')).available, 0)}), '',
	'is there as a whole');
is($standby->safe_psql('shop', q{SELECT (SELECT count(*) FROM aaa.orders WHERE order_id = 9001), (SELECT count(*) FROM loyalty.member WHERE ref = 'in flight'),
	(SELECT count(*) FROM loyalty.entry WHERE source_key = 'in flight')}), '0|0|0', 'and what was not, not at all');

# The same keys and budgets.
is($standby->safe_psql('shop', q{SELECT repeated FROM loyalty.record('2', 'survey', key => 'first', program => 'beans')}), 't', 'keys are known');
$standby->safe_psql('shop', q{SELECT loyalty.record('late ' || n, 'survey', program => 'beans') FROM generate_series(1, 40) n});
is($standby->safe_psql('shop', q{SELECT sum(points) FROM loyalty.entry JOIN loyalty.rule USING (rule_id) WHERE event = 'survey'}), 900, 'a budget is drawn on to its end');
is($standby->safe_psql('shop', q{SELECT spent, left_over FROM loyalty.budget_usage JOIN loyalty.rule USING (rule_id) WHERE event = 'survey'}), '900|0', 'and says so');
$standby->safe_psql('shop', q{SELECT loyalty.adjust('collector', 1000, program => 'beans'), loyalty.redeem('collector', 'tour', 98, program => 'beans')});
my ($status, undef, $error) = $standby->psql('shop', q{SELECT loyalty.redeem('collector', 'tour', program => 'beans')});
like($error, qr/out of stock|stock/, 'and a stock, too');
goes_on('shop', 'promoted');

$standby->stop;
done_testing();
