-- reward_performance, each figure computed anew from a log of what was asked for.
-- Redemptions are made of the orders here, and all is taken back at the end.
\ir shared/sold.sql
BEGIN;

-- A mug goes back in part and has an option of its own, a credit is to be confirmed,
-- posters run out, a trip is never had.
INSERT INTO loyalty.reward (program, name, kind, cost, price, value, stock, backorder, needs_confirmation, needs_fulfillment)
VALUES ('shop', 'mug', 'product', 7, 2.35, NULL, NULL, false, false, false), ('shop', 'credit', 'store_credit', 5, NULL, 3, NULL, false, true, false),
	('shop', 'poster', 'product', 3, NULL, NULL, 12, true, false, true), ('shop', 'trip', 'experience', 1000000, NULL, NULL, NULL, false, false, false);
INSERT INTO loyalty.reward_option (program, reward, name, cost, price) VALUES ('shop', 'mug', 'half', 3, 5);

CREATE TEMPORARY TABLE log (n integer, customer text, at timestamptz, reward text, units integer, cost integer, price numeric,
							back integer NOT NULL DEFAULT 0, confirmed boolean NOT NULL DEFAULT false, fulfilled boolean NOT NULL DEFAULT false);
DO $$
DECLARE
	a record;
	number bigint;
	had boolean;
BEGIN
	FOR a IN
		SELECT row_number() OVER (ORDER BY at, order_id)::integer AS n, o.*
		FROM (SELECT order_id, customer, 1 + floor(3 * public.draw(order_id || ' units'))::integer AS units,
					 date_trunc('second', at + interval '1 day' * 20 * public.draw(order_id || ' redeems')) AS at,
					 (ARRAY['mug', 'half', 'credit', 'poster'])[1 + floor(4 * public.draw(order_id || ' which'))] AS what,
					 public.draw(order_id || ' becomes') AS becomes
			  FROM public.orders
			  WHERE customer <> '' AND amount > 0 AND public.draw(order_id || ' reward') < 0.15) o
		WHERE at < now() - interval '1 hour'
		ORDER BY n
	LOOP
		-- for most it is enough, also where what they had has expired long since
		PERFORM loyalty.adjust(a.customer, 3 + floor(30 * a.becomes)::integer, at => a.at);
		BEGIN
			SELECT r.entry INTO number
			FROM loyalty.redeem(a.customer, CASE a.what WHEN 'half' THEN 'mug' ELSE a.what END, a.units, option => CASE a.what WHEN 'half' THEN 'half' ELSE 'base' END, at => a.at) r;
		EXCEPTION WHEN SQLSTATE 'LY001' THEN
			CONTINUE;
		END;
		INSERT INTO log (n, customer, at, reward, units, cost, price)
		SELECT a.n, a.customer, a.at, v.reward, a.units, v.cost, v.price
		FROM (VALUES ('mug', 'mug', 7, 2.35), ('half', 'mug', 3, 5), ('credit', 'credit', 5, 0), ('poster', 'poster', 3, 0)) v (what, reward, cost, price)
		WHERE v.what = a.what;
		IF a.what = 'mug' AND a.becomes < 0.4 THEN
			-- one unit, which may be all
			PERFORM loyalty.cancel(a.customer, number, 7);
			UPDATE log SET back = 1 WHERE n = a.n;
		ELSIF a.what = 'credit' AND a.becomes < 0.5 THEN
			PERFORM loyalty.confirm_redemption(a.customer, number);
			UPDATE log SET confirmed = true WHERE n = a.n;
		ELSIF a.what = 'credit' AND a.becomes < 0.7 THEN
			-- what went back whole waits for nothing
			PERFORM loyalty.cancel(a.customer, number, 5 * a.units);
			UPDATE log SET back = units WHERE n = a.n;
		ELSIF a.what = 'poster' AND a.becomes < 0.5 THEN
			SELECT r.backordered = 0 INTO had FROM loyalty.redemptions r WHERE r.member = a.customer AND r.entry = number;
			IF had THEN
				PERFORM loyalty.fulfill_redemption(a.customer, number);
				UPDATE log SET fulfilled = true WHERE n = a.n;
			END IF;
		END IF;
	END LOOP;
END $$;
-- Two who are one by now; the first has got all that he redeemed.
SELECT customer AS twin FROM log GROUP BY customer HAVING bool_and(reward = 'mug') ORDER BY min(n) LIMIT 1 \gset
SELECT customer AS other FROM log WHERE reward = 'mug' AND customer <> :'twin' ORDER BY n LIMIT 1 \gset
SELECT count(loyalty.merge_members(:'twin', :'other')) \g /dev/null

-- Of posters those wait who asked when there were too few, and all after them.
CREATE TEMPORARY VIEW asked AS
	SELECT l.*, l.at AT TIME ZONE 'Europe/London' AS local, CASE l.customer WHEN :'twin' THEN :'other' ELSE l.customer END AS person,
		   l.reward = 'poster' AND sum(l.units) OVER (PARTITION BY l.reward ORDER BY l.n) > 12 AS waits
	FROM log l;
CREATE TEMPORARY TABLE compared AS
	SELECT 'expected' AS side, w.name, r.reward,
		   ROW(CASE r.reward WHEN 'credit' THEN 'store_credit' WHEN 'trip' THEN 'experience' ELSE 'product' END,
			   count(a.n), coalesce(sum(a.units), 0), coalesce(sum(a.back), 0), count(DISTINCT a.person), coalesce(sum(a.units * a.cost), 0),
			   CASE WHEN count(a.n) > 0 THEN round(sum(a.units * a.cost)::numeric / sum(a.units), 4) END,
			   round(coalesce(sum((a.units - a.back) * a.price), 0), 2),
			   round(coalesce(sum((a.units - a.back) * CASE r.reward WHEN 'credit' THEN 3 ELSE a.cost * 0.01 END), 0), 2),
			   CASE WHEN max(t.points) > 0 THEN round(coalesce(sum(a.units * a.cost), 0) / max(t.points), 4) END,
			   min(a.at), max(a.at), count(*) FILTER (WHERE r.reward = 'credit' AND NOT a.confirmed AND a.back < a.units),
			   count(*) FILTER (WHERE r.reward = 'poster' AND NOT a.fulfilled AND NOT a.waits), coalesce(sum(a.units) FILTER (WHERE a.waits), 0))::text AS figures
	FROM span w
	CROSS JOIN (VALUES ('mug'), ('credit'), ('poster'), ('trip')) r (reward)
	LEFT JOIN asked a ON a.reward = r.reward AND a.local >= w.since_at AND a.local < w.until_at
	CROSS JOIN LATERAL (
		SELECT (SELECT coalesce(sum(abs(c.points)), 0) FROM public.acts c
				WHERE c.kind = 'spend' AND c.at AT TIME ZONE 'Europe/London' >= w.since_at AND c.at AT TIME ZONE 'Europe/London' < w.until_at)
			   + (SELECT coalesce(sum(l.units * l.cost), 0) FROM asked l WHERE l.local >= w.since_at AND l.local < w.until_at)) t (points)
	GROUP BY w.name, r.reward
	UNION ALL
	SELECT 'reported', w.name, r.reward,
		   ROW(r.kind, r.redemptions, r.units, r.returned, r.members, r.points, r.average_points, r.price_revenue, r.value_given, r.share,
			   r.first_redeemed, r.last_redeemed, r.awaiting_confirmation, r.awaiting_fulfillment, r.backordered)::text
	FROM span w
	CROSS JOIN LATERAL loyalty.reward_performance(w.since, w.until, 'shop') r;

SELECT concat_ws(' ', c.name, c.reward, c.side, c.figures)
FROM (SELECT min(side) AS side, name, reward, figures FROM compared GROUP BY name, reward, figures HAVING count(*) <> 2 OR min(side) = max(side)) c
ORDER BY 1;
-- What there must be for any of this to have been compared.
SELECT 'no ' || k FROM (SELECT DISTINCT CASE WHEN back > 0 THEN 'return ' || reward WHEN waits THEN 'queue' WHEN confirmed THEN 'confirmed' WHEN fulfilled THEN 'fulfilled' END FROM asked) f (found)
RIGHT JOIN unnest('{return mug,return credit,queue,confirmed,fulfilled}'::text[]) k ON k = found
WHERE found IS NULL;
ROLLBACK;
DROP TABLE span, sold;
