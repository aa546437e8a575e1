-- For the scripts above: what each order must have given, and times to ask for.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET timezone = 'UTC';
SET client_min_messages = warning;
SET search_path = pg_catalog, pg_temp, public;

-- In the program's own time; whoever enrolled did so then, everybody else with the first order.
CREATE TEMPORARY TABLE sold AS
	SELECT o.order_id, o.customer, o.amount, o.channel, o.store, (o.at AT TIME ZONE 'Europe/London')::timestamp AS local,
		   o.customer IS NOT NULL AND o.customer <> '' AS is_member,
		   coalesce(o.customer <> '' AND o.at >= coalesce(e.at, o.at), false) AS by_member,
		   sign(o.amount) * floor(abs(o.amount)) AS points
	FROM public.orders o
	LEFT JOIN public.enrollments e USING (customer)
	WHERE o.amount IS NOT NULL;
CREATE TEMPORARY TABLE span AS
	SELECT n AS name, s AS since, u AS until, coalesce(s::timestamp, '-infinity') AS since_at,
		   coalesce(u::timestamp, (now() AT TIME ZONE 'Europe/London')::date + 1) AS until_at
	FROM (SELECT min(local)::date AS first, max(local)::date AS last FROM sold) f
	CROSS JOIN LATERAL (VALUES ('all', NULL::date, NULL::date), ('middle', first + (last - first) / 3, first + (last - first) * 2 / 3),
							   ('late', last - 45, NULL), ('early', NULL, first + 45), ('none', '1900-01-01', '1900-02-01')) v (n, s, u);
