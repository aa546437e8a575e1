-- loyalty: points earned on the orders a shop already keeps.
-- This script is put together from the parts in sql/; edit those.
\echo Use "CREATE EXTENSION loyalty" to load this file. \quit

-- Whoever may create things in the schema that CREATE EXTENSION looks names up in
-- could lay an operator in the way that fits better than PostgreSQL's own.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Made here, not by the control file: then the schema belongs to the extension,
-- and installing fails if somebody prepared one of that name beforehand.
CREATE SCHEMA loyalty;
COMMENT ON SCHEMA loyalty IS 'loyalty programs: points, members and their ledger';
