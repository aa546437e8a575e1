# verify(), proof(), quote(), explain(), payable() and tier_outlook() read only: they run on a standby and take no transaction id.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION loyalty;
	INSERT INTO loyalty.program (name, point_value, spend_step, tier_window) VALUES ('beans', 0.1, 5, 'rolling 30 days');
	INSERT INTO loyalty.tier (program, name, rank, min_amount) VALUES ('beans', 'silver', 1, 500), ('beans', 'gold', 2, 1000);
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
	INSERT INTO loyalty.rule (program, name, event, award, member_cap) VALUES ('beans', 'review', 'review', '10', 15);
	INSERT INTO loyalty.rule (program, name, event, award, budget) VALUES ('beans', 'survey', 'survey', '30', 40);
	INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'birthday', 'x2', 'extract(month FROM member.birthday) = extract(month FROM at)');
	CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric);
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total');
	SELECT loyalty.enroll('c1', profile => '{"birthday": "1990-05-17"}');
	INSERT INTO orders SELECT i, 'c' || i % 10, i FROM generate_series(1, 100) i;
	UPDATE loyalty.source SET backfill_finished_at = now();
	DELETE FROM orders WHERE id <= 10;
	SELECT loyalty.record('c1', 'review'), loyalty.record('c1', 'survey');
	SELECT loyalty.seal();
});
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT count(*) FROM loyalty.verify()'), '0', 'sound on a standby');
is($standby->safe_psql('postgres', 'SET min_parallel_table_scan_size = 0; SELECT count(*) FROM loyalty.verify()'), '0', 'also with parallel workers');
is($standby->safe_psql('postgres', "SELECT loyalty.check_proof(loyalty.proof('c1'), hash), (SELECT count(*) > 9 FROM loyalty.history('c1')) FROM loyalty.seals"), 't|t', 'proofs on a standby');
like(($standby->psql('postgres', 'SELECT loyalty.seal()'))[2], qr/cannot execute loyalty.seal\(\) in a read-only transaction/, 'seals are made at home');
is($primary->safe_psql('postgres', q{
	BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
	SELECT count(*), pg_current_xact_id_if_assigned() IS NULL FROM loyalty.verify();
	COMMIT;
}), '0|t', 'sound in a read-only transaction, without a transaction id');

# What members have had, budgets and profiles are looked at there as at home.
my $quotes = q{
	SELECT 1, rule, points FROM loyalty.quote('c1', amount => 20, at => '2024-05-01')
	UNION ALL SELECT 2, rule, points FROM loyalty.quote('c1', 'review')
	UNION ALL SELECT 3, rule, points FROM loyalty.quote('c2', 'survey')
	UNION ALL SELECT 4, rule, points FROM loyalty.quote('stranger', lines => '[{"amount": 5, "at": "2024-05-01"}]')
	UNION ALL SELECT 5, rule, points FROM loyalty.quote(NULL::text, 'review')
	ORDER BY 1, 2 DESC};
my $quoted = "1|birthday|20\n1|base|20\n2|review|5\n3|survey|10\n4|base|5\n5|review|10";
is($standby->safe_psql('postgres', $quotes), $quoted, 'quotes on a standby');
is($primary->safe_psql('postgres', "BEGIN READ ONLY; $quotes; SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT;"),
	"$quoted\nt", 'quotes in a read-only transaction, without a transaction id');
is($primary->safe_psql('postgres', "SELECT count(*) FROM loyalty.member WHERE ref = 'stranger'"), '0', 'who asks is not enrolled');

is($standby->safe_psql('postgres', "SELECT rule, points, why FROM loyalty.explain('orders', '11') ORDER BY rule"),
	"base|11|applies\nbirthday|0|no line meets its condition", 'explains on a standby');

# So is what becomes of a tier, though it takes reviews, of which nothing is written.
my $outlooks = q{
	SELECT m, tier, until - (now() AT TIME ZONE 'UTC')::date, projected, amount, keep_amount, next_tier, next_amount
	FROM unnest('{c1,c9,stranger}'::text[]) m, loyalty.tier_outlook(m) ORDER BY 1};
my $seen = "c1||||459||silver|41\nc9|silver|29||531|500|gold|469\nstranger||||0||silver|500";
is($standby->safe_psql('postgres', $outlooks), $seen, 'outlooks on a standby');
is($primary->safe_psql('postgres', "BEGIN READ ONLY; $outlooks; SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT;"),
	"$seen\nt", 'outlooks in a read-only transaction, without a transaction id');
is($standby->safe_psql('postgres', "SELECT count(*) FROM loyalty.tier_progress('c9') WHERE reached"), '1', 'progress on a standby');

# What can be paid with points.
my $payable = q{
	SELECT points, value, points_needed, why FROM loyalty.payable('c3', 1.20)
	UNION ALL SELECT points, value, points_needed, why FROM loyalty.payable('c3', 1.20, at => '2020-01-01')
	UNION ALL SELECT points, value, points_needed, why FROM loyalty.payable('stranger', 1)};
my $paid = "10|1.0|12|points are spent in steps\n0|0.0|12|no more points are available\n0|0.0|10|no more points are available";
is($standby->safe_psql('postgres', $payable), $paid, 'payable on a standby');
is($primary->safe_psql('postgres', "BEGIN READ ONLY; $payable; SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT;"),
	"$paid\nt", 'payable in a read-only transaction, without a transaction id');

# What is wrong, with rows that fail to be read, is found there too.
$primary->safe_psql('postgres', q{
	SET session_replication_role = replica;
	UPDATE orders SET total = 'NaN' WHERE id = 20;
	DELETE FROM orders WHERE id = 21;
});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT invariant, purchase FROM loyalty.verify() ORDER BY purchase'),
	"I4|orders 20\nI4 vanished|orders 21", 'violations are found on a standby');

done_testing();
