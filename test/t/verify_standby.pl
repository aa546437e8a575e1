# verify() reads only: it runs on a standby and takes no transaction id.
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
	INSERT INTO loyalty.program (name) VALUES ('beans');
	INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
	CREATE TABLE orders (id integer PRIMARY KEY, customer text, total numeric);
	SELECT loyalty.attach('orders', member => 'customer', amount => 'total');
	INSERT INTO orders SELECT i, 'c' || i % 10, i FROM generate_series(1, 100) i;
	UPDATE loyalty.source SET backfill_finished_at = now();
	DELETE FROM orders WHERE id <= 10;
});
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT count(*) FROM loyalty.verify()'), '0', 'sound on a standby');
is($primary->safe_psql('postgres', q{
	BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
	SELECT count(*), pg_current_xact_id_if_assigned() IS NULL FROM loyalty.verify();
	COMMIT;
}), '0|t', 'sound in a read-only transaction, without a transaction id');

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
