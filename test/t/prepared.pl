# Points in a transaction that is prepared for two-phase commit: nobody sees
# them before it is committed, nothing is left of them when it is rolled back,
# and both also after a crash.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('prepared');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
on_node($node);
open_shop('shop');

sub answer { return $node->safe_psql('shop', shift) }

sub refused
{
	my ($sql) = @_;
	my ($status, undef, $error) = $node->psql('shop', "SET lock_timeout = '200ms'; $sql");

	return $status && $error =~ /ERROR:  (.*)/ ? $1 : 'not at all';
}

# Everything that writes, in one.
my $acts = q{
	INSERT INTO aaa.orders (order_id, customer, total) VALUES (9001, 'two', 260), (9002, 'three', 60);
	UPDATE aaa.orders SET total = total + 10 WHERE order_id = 1004;
	INSERT INTO aaa.head VALUES (91, 'two', now()); INSERT INTO zzz.line VALUES (91, 1, 5);
	INSERT INTO zzz."Pay ments" VALUES ('x', 1, 77, 40, 1, now());
	SAVEPOINT s; SELECT loyalty.adjust('never', 3, program => 'beans'); ROLLBACK TO s;
	SELECT loyalty.adjust('two', 20, key => 'k', program => 'beans'), loyalty.spend('two', 12.5, amount => 50, key => 'k', program => 'beans'), loyalty.hold('two', 10, amount => 50, program => 'beans'),
		loyalty.transfer('two', 'four', 3, program => 'beans'), loyalty.record('two', 'review', key => 'k', program => 'beans'),
		loyalty.redeem('redeemer', 'tour', key => 'k', program => 'beans'), loyalty.merge_members('three', 'four', program => 'beans'),
		loyalty.create_household('twos', 'two', program => 'beans'), loyalty.use_voucher(code, 1, program => 'beans') FROM zzz.code WHERE name = 'card';
	INSERT INTO loyalty.program (name) VALUES ('prepared');
	INSERT INTO loyalty.rule (program, name, award) VALUES ('prepared', 'base', '1 per 1');
	SELECT loyalty.adjust('two', 9, program => 'prepared'), loyalty.grant_access('reader', 'read', 'prepared');
	CREATE TABLE zzz.mine (id integer PRIMARY KEY, who text, total numeric);
	SELECT loyalty.attach('zzz.mine', member => 'who', amount => 'total', program => 'prepared');
	INSERT INTO zzz.mine VALUES (1, 'two', 100);
};
my $before = whole_ledger('shop');
my $early = $node->background_psql('shop', on_error_stop => 0);
$early->query('SELECT count(*) FROM loyalty.verify()');

answer("BEGIN; $acts PREPARE TRANSACTION 'undone'");
is(whole_ledger('shop'), $before, 'nobody sees what is prepared');
is_sound('shop', 'prepared');
answer("ROLLBACK PREPARED 'undone'");
is(whole_ledger('shop'), $before, 'rolled back, it never was');
is_sound('shop', 'rolled back');

answer("BEGIN; $acts PREPARE TRANSACTION 'done'");
$early->quit;
$node->stop('immediate');
$node->start;
$early = $node->background_psql('shop', on_error_stop => 0);
is($early->query(q{SELECT count(*) FROM loyalty.verify()}), '0', 'sound after a crash');

# Meanwhile its members are locked, and others are not.
like(refused(q{INSERT INTO aaa.orders (customer, total) VALUES ('redeemer', 1)}), qr/lock timeout/, 'orders of its members wait');
like(refused(q{SELECT loyalty.adjust('c5', 1, program => 'beans')}), qr/lock timeout/, 'acts on them, too');
is(refused(q{INSERT INTO aaa.orders (customer, total) VALUES ('c2', 1)}), 'not at all', 'those of others do not');
is(refused(q{SELECT * FROM loyalty.balance('c5', program => 'beans')}), 'not at all', 'nor who asks');
is(refused(q{CALL loyalty.maintain(program => 'club')}), 'not at all', 'nor maintenance');
like(refused(q{INSERT INTO loyalty.rule (program, name, award) VALUES ('club', 'other', '1')}), qr/lock timeout/, 'who writes rules does, as the transaction did');

answer("COMMIT PREPARED 'done'");
is($early->query(q{SELECT available FROM loyalty.balance('two', program => 'prepared')}), '109', 'committed, sessions from before see its program');
is($early->query(q{INSERT INTO zzz.mine VALUES (2, 'two', 1); SELECT available FROM loyalty.balance('two', program => 'prepared')}), '110', 'and its source');
is(answer(q{SELECT repeated FROM loyalty.adjust('two', 20, key => 'k', program => 'beans')}), 't', 'its keys are known');
is(answer(q{SELECT available FROM loyalty.balance('three', program => 'beans')}), answer(q{SELECT available FROM loyalty.balance('four', program => 'beans')}), 'so is whom it merged');
is(answer(q{SELECT count(*) FROM loyalty.member WHERE ref = 'never'}), 0, 'a savepoint that was rolled back is not');
is_sound('shop', 'committed');

# What a session did before it prepared means nothing to what it does next.
is(answer(q{BEGIN; INSERT INTO aaa.orders (order_id, customer, total) VALUES (9101, 'five', 10); UPDATE aaa.orders SET total = 20 WHERE order_id = 9101; PREPARE TRANSACTION 'first';
	COMMIT PREPARED 'first'; UPDATE aaa.orders SET total = 30 WHERE order_id = 9101; SELECT available FROM loyalty.balance('five', program => 'beans')}), 30, 'a session goes on');
is_sound('shop', 'gone on');
$early->quit;

$node->stop;
done_testing();
