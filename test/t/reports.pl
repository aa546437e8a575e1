# Every figure of a report against one that is worked out from the orders alone.
#
# test/reports/*.sql are psql scripts that run in a database with
#
#   the program 'shop': USD, Europe/London, '12 months end of month', a point is
#     worth 0.01, one rule "base" of 1 per 1; there is no other program
#   public.orders(order_id, customer, at, amount, channel, store), attached and
#     backfilled; a NULL customer is a guest, a negative amount a refund of its own
#   public.enrollments(customer, at, channel): who was enrolled by a function, before
#     the backfill; everybody else became a member by his first order
#   public.acts(customer, at, kind, points): what was spent and adjusted by
#     functions, in this order of time, after the backfill
#   and everything maintained up to now.
#
# What a script prints is a failure; what several of them need is in
# test/reports/shared.  The shop is made up, and its last two years end yesterday;
# with LOYALTY_DATA=DIRECTORY the same is done with the real orders in
# cdnow_sample.txt and online_retail_lines_2011Q1.csv.gz there.  REPORTS=X runs
# test/reports/X.sql alone.

use strict;
use warnings;

use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

$ENV{PGTZ} = 'UTC';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off");
$node->start;

my @scripts = glob 'test/reports/' . ($ENV{REPORTS} // '*') . '.sql';

# Numbers from 0 to 1 that a name stands for, the same in every run.
my $program = <<'SQL';
CREATE EXTENSION loyalty;
INSERT INTO loyalty.program (name, currency, time_zone, expiry, point_value)
VALUES ('shop', 'USD', 'Europe/London', '12 months end of month', 0.01);
INSERT INTO loyalty.rule (program, name, award) VALUES ('shop', 'base', '1 per 1');
CREATE FUNCTION draw(name text) RETURNS double precision LANGUAGE sql IMMUTABLE
	AS 'SELECT ((hashtextextended($1, 42) & 1073741823) + 0.5) / 1073741824';
CREATE TABLE orders (order_id bigint PRIMARY KEY, customer text, at timestamptz NOT NULL, amount numeric NOT NULL, channel text, store text);
CREATE TABLE enrollments (customer text PRIMARY KEY, at timestamptz NOT NULL, channel text);
CREATE TABLE acts (customer text NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, points numeric NOT NULL);
SQL

# 600 customers who come at some time, buy every 10 to 70 days and stay a while; a
# tenth of the orders is of guests, some are made at the same time, some sent back.
my $synthetic = <<'SQL';
CREATE TABLE period AS
SELECT d - interval '24 months' AS since, d AS until
FROM (SELECT date_trunc('day', now() AT TIME ZONE 'Europe/London') AT TIME ZONE 'Europe/London') v (d);

INSERT INTO orders
SELECT row_number() OVER (ORDER BY at, customer, k), CASE WHEN draw(customer || ' guest ' || k) > 0.1 THEN customer END, at,
	   CASE WHEN draw(customer || ' free ' || k) < 0.005 THEN 0
			ELSE round(exp(2.7 + 1.1 * sqrt(-2 * ln(draw(customer || ' a ' || k))) * cos(2 * pi() * draw(customer || ' b ' || k)))::numeric, 2) END,
	   channel, CASE WHEN channel = 'store' THEN (ARRAY['north', 'south', 'east'])[1 + floor(3 * draw(customer || ' store ' || k))] END
FROM (SELECT 'c' || n AS customer, k, (ARRAY['web', 'web', 'app', 'store', 'store', NULL])[1 + floor(6 * draw(n || ' channel ' || k))] AS channel,
			 since + interval '1 day' * (715 * draw(n || ' first')
				+ sum(CASE WHEN k = 0 THEN 0 ELSE -ln(draw(n || ' gap ' || k)) * (10 + 60 * draw(n || ' pace')) END) OVER (PARTITION BY n ORDER BY k)) AS at,
			 since + interval '1 day' * (715 * draw(n || ' first') - ln(draw(n || ' stays')) * 300) AS leaves
	  FROM period, generate_series(1, 600) n, generate_series(0, 100) k) o, period
WHERE at < until AND at <= leaves;
INSERT INTO orders
SELECT order_id + 100000, customer, at, round(amount / 3, 2), channel, store FROM orders WHERE draw(order_id || ' twice') < 0.01;
INSERT INTO orders
SELECT order_id + 200000, customer, back, CASE WHEN draw(order_id || ' all') < 0.5 THEN -amount ELSE -round(amount / 2, 2) END, channel, store
FROM orders CROSS JOIN LATERAL (SELECT at + interval '30 days' * draw(order_id || ' days')) b (back), period
WHERE draw(order_id || ' back') < 0.05 AND amount > 0 AND back < until;

-- Before the first order, after it, and without any.
INSERT INTO enrollments
SELECT customer, least(first + interval '1 day' * (200 * draw(customer || ' enrolls') - 60), until),
	   (ARRAY['app', 'web', 'store', NULL])[1 + floor(4 * draw(customer || ' by'))]
FROM (SELECT customer, min(at) AS first FROM orders WHERE customer IS NOT NULL GROUP BY customer) o, period
WHERE draw(customer || ' asked') < 0.3
UNION ALL
SELECT 'n' || n, since + interval '1 day' * 725 * draw(n || ' only'), 'app' FROM period, generate_series(1, 40) n;
SQL

# Spent is a part of what there was; what later returns would make impossible is left out.
my $acts = <<'SQL';
SELECT loyalty.enroll(customer, profile => CASE WHEN channel IS NOT NULL THEN jsonb_build_object('channel', channel) END, at => at) FROM enrollments ORDER BY customer;
SELECT loyalty.attach('orders', member => 'customer', amount => 'amount', at => 'at', channel => 'channel', store => 'store');
CALL loyalty.backfill('orders');
DO $$
DECLARE
	a record;
	given numeric;
BEGIN
	FOR a IN
		SELECT customer, CASE WHEN draw(order_id || ' kind') < 0.85 THEN 'spend' ELSE 'adjust' END AS kind,
			   date_trunc('second', at + interval '1 day' * 60 * draw(order_id || ' then')) AS at, draw(order_id || ' part')::numeric AS part
		FROM orders
		WHERE customer IS NOT NULL AND amount > 0 AND draw(order_id || ' act') < 0.1
		ORDER BY 3, order_id
	LOOP
		CONTINUE WHEN a.at > now() - interval '1 hour';
		BEGIN
			IF a.kind = 'adjust' AND a.part < 0.7 THEN
				given := 1 + floor(100 * a.part);
			ELSE
				given := -ceil((SELECT available::numeric FROM loyalty.balance(a.customer, a.at)) * (0.2 + 0.8 * a.part));
				CONTINUE WHEN given >= 0;
			END IF;
			IF a.kind = 'adjust' THEN
				PERFORM loyalty.adjust(a.customer, given, at => a.at);
			ELSE
				given := -given;
				PERFORM loyalty.spend(a.customer, given, at => a.at);
			END IF;
			INSERT INTO acts VALUES (a.customer, a.at, a.kind, given);
		EXCEPTION WHEN SQLSTATE 'LY001' THEN
		END;
	END LOOP;
END $$;
CALL loyalty.maintain();
ANALYZE;
SQL

sub check_shop
{
	my ($name, $orders) = @_;
	my $began = time;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $program);
	$node->safe_psql($name, $orders);
	$node->safe_psql($name, $acts);
	is($node->safe_psql($name, 'SELECT count(*) FROM loyalty.verify()'), 0,
		sprintf '%s: %s, made in %.1f s', $name,
		$node->safe_psql($name, q{SELECT format('%s orders of %s customers, %s enrolled, %s acts', (SELECT count(*) FROM orders), (SELECT count(DISTINCT customer) FROM orders), (SELECT count(*) FROM enrollments), (SELECT count(*) FROM acts))}),
		time - $began);
	foreach my $script (@scripts)
	{
		my $report = $script =~ s{.*/(.*)\.sql$}{$1}r;
		my $said = '';

		$began = time;
		IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($name), '-f', $script ], '>&', \$said)
		  or $said .= "psql failed\n";
		is($said, '', sprintf '%s: %s, in %.1f s', $name, $report, time - $began);
	}
	return;
}

check_shop('shop', $synthetic);

SKIP:
{
	my $data = $ENV{LOYALTY_DATA} // skip 'LOYALTY_DATA names no directory with real orders', 1;

	# One line a purchase: customer, number in the sample, day, items, amount.
	my $n = 0;
	my $lines = '';
	foreach (split /\n/, slurp_file("$data/cdnow_sample.txt"))
	{
		my ($customer, undef, $day, undef, $amount) = split;

		$lines .= ++$n . "\t$customer\t$day 12:00 Europe/London\t$amount\n";
	}
	check_shop('cdnow', "COPY orders (order_id, customer, at, amount) FROM STDIN;\n$lines\\.\n");

	# Lines of an invoice are one order, with the letter before its number as a digit more.
	my $csv = PostgreSQL::Test::Utils::tempdir . '/lines.csv';
	gunzip("$data/online_retail_lines_2011Q1.csv.gz" => $csv) or die "online_retail_lines_2011Q1.csv.gz: $GunzipError";
	check_shop('retail', <<"SQL");
CREATE TABLE line (invoice text, item text, description text, quantity numeric, at timestamp, price numeric, customer text, country text);
COPY line FROM '$csv' CSV HEADER;
INSERT INTO orders
SELECT regexp_replace(invoice, '^\\D+', '')::bigint + CASE WHEN invoice ~ '^\\D' THEN 1000000000 ELSE 0 END, min(customer),
	   min(at) AT TIME ZONE 'Europe/London', sum(quantity * price), 'web', min(country)
FROM line
GROUP BY invoice;
SQL
}

done_testing();
