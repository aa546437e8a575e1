-- A file of real purchases: a plain table, attached and backfilled.
--
-- Before this, scripts/demo.sh loaded the file into "raw", all text; the
-- variables customer, amount, time and id name its columns there (id may be
-- empty).

SELECT :'id' <> '' AS has_id \gset

\if :has_id
CREATE TABLE orders (
	order_id text PRIMARY KEY,
	customer_id text,
	total numeric NOT NULL,
	created_at timestamptz NOT NULL
);
INSERT INTO orders
SELECT :"id", nullif(:"customer", ''), :"amount"::numeric, :"time"::timestamptz FROM raw;
\else
CREATE TABLE orders (
	order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id text,
	total numeric NOT NULL,
	created_at timestamptz NOT NULL
);
INSERT INTO orders (customer_id, total, created_at)
SELECT nullif(:"customer", ''), :"amount"::numeric, :"time"::timestamptz FROM raw;
\endif

DROP TABLE raw;
ANALYZE orders;

SELECT count(*) AS purchases, count(DISTINCT customer_id) AS customers, sum(total) AS amount,
       min(created_at)::date AS first, max(created_at)::date AS last
FROM orders;

CREATE EXTENSION loyalty;

INSERT INTO loyalty.program (name, expiry, time_zone, tier_window)
VALUES ('demo', '12 months end of month', 'UTC', 'rolling 365 days');
INSERT INTO loyalty.rule (program, name, award) VALUES ('demo', 'base', '1 per 1');
INSERT INTO loyalty.tier (program, name, rank, min_amount)
VALUES ('demo', 'silver', 1, 100), ('demo', 'gold', 2, 250), ('demo', 'platinum', 3, 500);

\echo '# 1 point per whole unit of money, good for 12 months and then to the end of the month;'
\echo '# silver, gold and platinum for 100, 250 and 500 within 365 days'
\echo '# backfilling the ledger from the table'
SELECT loyalty.attach('orders', member => 'customer_id', amount => 'total', at => 'created_at') \g /dev/null
CALL loyalty.backfill('orders', 5000);

SELECT coalesce(nullif(:'as_of', '')::date,
                (date_trunc('month', max(created_at)) + interval '1 month')::date) AS as_of
FROM orders \gset

\echo
\echo '# maintenance on that day: what lapsed, and who keeps his tier'
SET client_min_messages = warning;
CALL loyalty.maintain(at => least(:'as_of'::date + time '23:59' AT TIME ZONE 'UTC', now()));
RESET client_min_messages;

\echo '# the program as of' :as_of
SELECT coalesce(sum(points) FILTER (WHERE kind = 'earn'), 0) AS issued,
       coalesce(-sum(points) FILTER (WHERE kind = 'clawback'), 0) AS taken_back,
       -- what the ledger has written down as expired, and what it has yet to write down
       coalesce(-sum(points) FILTER (WHERE kind = 'expire'), 0)
           + loyalty.expired(loyalty.sum(lots), :'as_of') AS expired,
       loyalty.available(loyalty.sum(lots), :'as_of') AS outstanding
FROM loyalty.entry
WHERE occurred_at <= :'as_of';

\echo '# members by tier'
SELECT tier, members FROM loyalty.tier_distribution ORDER BY rank DESC NULLS LAST;

\echo '# the ten who earned most'
CREATE TEMPORARY TABLE top AS
SELECT m.ref AS member, count(*) AS purchases, sum(e.points) AS earned
FROM loyalty.entry e
JOIN loyalty.member m USING (member_id)
WHERE e.kind = 'earn' AND e.occurred_at < :'as_of'
GROUP BY m.ref
ORDER BY earned DESC, m.ref
LIMIT 10;

SELECT t.*, b.tier, b.available, b.next_expiry, b.next_expiry_points
FROM top t
CROSS JOIN LATERAL loyalty.balance(t.member, :'as_of'::timestamptz) b
ORDER BY t.earned DESC, t.member;

SELECT count(*) > 0 AS has_earners FROM top \gset
\if :has_earners
SELECT member FROM top ORDER BY earned, member DESC LIMIT 1 \gset

\echo '# the statement of member' :member
SELECT * FROM loyalty.statement(:'member', until => :'as_of'::timestamptz);
\endif

\echo '# what loyalty.verify() finds wrong'
SELECT count(*) AS violations FROM loyalty.verify();
