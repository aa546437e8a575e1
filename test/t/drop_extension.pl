# DROP EXTENSION takes its triggers off the shop's tables, without CASCADE, and
# the shop goes on; CREATE EXTENSION begins anew, also in the same session.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drop_extension');
$node->init;
$node->start;

my $setup = <<'SQL';
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name) VALUES ('beans');
INSERT INTO loyalty.rule (program, name, award) VALUES ('beans', 'base', '1 per 1');
SELECT loyalty.attach('orders', member => 'customer', amount => 'total') \g /dev/null
SELECT loyalty.attach('sales', member => 'customer', amount => 'total', key => 'id') \g /dev/null
SQL

my $shop = <<'SQL';
CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer, total numeric);
CREATE TABLE sales (id integer, customer integer, total numeric, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
SQL

# As a script would: every line of it must work.
sub run_sql
{
	my ($sql, $name) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql('postgres', $sql, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);

	is($status, 0, $name) or diag($stderr);
	return $stdout;
}

run_sql($shop, 'a shop');

# Everything in one session: what it keeps of the extension must not survive it.
my $answer = run_sql($setup . <<'SQL' . $setup . <<'SQL', 'dropped and made again in one session');
INSERT INTO orders (customer, total) VALUES (1, 10);
INSERT INTO sales VALUES (1, 1, 20, '2024-05-05');
SELECT available FROM loyalty.balance(1);
DROP EXTENSION loyalty;
SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal;
SELECT count(*) FROM pg_event_trigger;
SELECT to_regnamespace('loyalty') IS NULL;
INSERT INTO orders (customer, total) VALUES (1, 100);
UPDATE orders SET total = total + 1;
DELETE FROM orders WHERE total = 101;
INSERT INTO sales VALUES (2, 1, 200, '2024-06-06');
CREATE TABLE sales_2 PARTITION OF sales FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
TRUNCATE sales;
SELECT count(*) FROM orders;
SQL
SELECT available FROM loyalty.balance(1);
INSERT INTO orders (customer, total) VALUES (1, 3);
INSERT INTO sales_2 VALUES (3, 1, 4, '2025-05-05');
SELECT available FROM loyalty.balance(1);
SELECT count(*) FROM loyalty.verify();
CALL loyalty.backfill('orders');
SELECT available FROM loyalty.balance(1);
SELECT count(*) FROM loyalty.verify();
SQL
is($answer, join("\n", 30, 0, 0, 't', 1, 0, 7, 0, 18, 0), 'every answer is right');

# Another session has kept its configuration over a DROP and a CREATE.
$answer = run_sql(<<'SQL' . $setup . <<'SQL', 'dropped by one session, used by another');
SELECT available FROM loyalty.balance(1);
\! psql -Xqc 'DROP EXTENSION loyalty'
INSERT INTO orders (customer, total) VALUES (1, 1000);
SQL
INSERT INTO orders (customer, total) VALUES (1, 5);
SELECT available FROM loyalty.balance(1);
SQL
is($answer, "18\n5", 'and it earns in the new extension only');

# Rolled back, nothing has happened.
$answer = run_sql(<<'SQL', 'DROP EXTENSION rolled back');
BEGIN;
DROP EXTENSION loyalty;
INSERT INTO orders (customer, total) VALUES (1, 50);
ROLLBACK;
INSERT INTO orders (customer, total) VALUES (1, 6);
SELECT available FROM loyalty.balance(1);
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'loyalty%';
SELECT count(*) FROM loyalty.verify();
SQL
is($answer, "11\n16\n0", 'it goes on earning');

# Made anew within one transaction.
$answer = run_sql("BEGIN; DROP EXTENSION loyalty;\n" . $setup . <<'SQL', 'replaced in one transaction');
INSERT INTO orders (customer, total) VALUES (1, 7);
SELECT available FROM loyalty.balance(1);
COMMIT;
SELECT available FROM loyalty.balance(1);
SELECT count(*) FROM loyalty.verify();
SQL
is($answer, "7\n7\n0", 'and earning from its first order');

$node->stop;
done_testing();
