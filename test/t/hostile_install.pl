# Installing where somebody has prepared what the script may stumble over: it
# fails, or what he has prepared is not used.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('hostile_install');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN');

# A database in which mallory may create things, and has done so.
sub shop
{
	my ($name, $prepared) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, "GRANT CREATE ON DATABASE $name TO mallory; GRANT CREATE ON SCHEMA public TO mallory");
	$node->safe_psql($name, $prepared, extra_params => [ '-U', 'mallory' ]);
	return $name;
}

sub install
{
	my ($db) = @_;
	my ($status, undef, $error) = $node->psql($db, 'CREATE EXTENSION loyalty');

	return ($status, $error);
}

# The schema is somebody else's.
my $db = shop('schema_owner', 'CREATE SCHEMA loyalty; CREATE TABLE loyalty.entry (x int);
	CREATE FUNCTION loyalty.may_read(integer) RETURNS boolean LANGUAGE sql AS \'SELECT true\'');
my ($status, $error) = install($db);
isnt($status, 0, 'a schema of that name: the installation fails');
like($error, qr/schema "loyalty" already exists/, 'and says why');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_extension WHERE extname = 'loyalty'}), '0', 'nothing is installed');
is($node->safe_psql($db, q{SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'loyalty'}), 'mallory', 'nothing of it is adopted');

# Tables, functions and operators of names that the script uses, in the way of whoever installs.
$db = shop('names', q{
	CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE FUNCTION public.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE FUNCTION public.trap(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE FUNCTION public.trap(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE FUNCTION public.trap(numeric, numeric) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap);
	CREATE OPERATOR public.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap);
	CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.trap);
	CREATE OPERATOR public.> (LEFTARG = int, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = public.trap);
	CREATE FUNCTION public.trap(float8, int) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN 1; END $$;
	CREATE FUNCTION public.trap(numeric, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN true; END $$;
	CREATE FUNCTION public.trap(bigint, numeric) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; RETURN 1; END $$;
	CREATE OPERATOR public./ (LEFTARG = float8, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.> (LEFTARG = numeric, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.< (LEFTARG = numeric, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.>= (LEFTARG = numeric, RIGHTARG = int, FUNCTION = public.trap);
	CREATE OPERATOR public.* (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = public.trap);
	CREATE OPERATOR public./ (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = public.trap);
	CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap(); RETURN '2000-01-01'; END $$;
	CREATE FUNCTION public.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap(); END $$;
	CREATE FUNCTION public.pg_extension_config_dump(regclass, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap(); END $$;
	CREATE FUNCTION public.make_policies() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap(); END $$;
	CREATE FUNCTION public.config_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap(); RETURN NULL; END $$;
	CREATE TYPE public.points AS (x int);
	CREATE TABLE public.program (name text);
	CREATE TABLE public.member (x int);
	CREATE TABLE public.pg_class (oid oid);
});
$node->safe_psql($db, "ALTER DATABASE $db SET search_path = public, pg_catalog");
($status, $error) = install($db);
is($status, 0, 'names in the way: installed') or diag($error);
my $use = q{
	INSERT INTO loyalty.program (name) VALUES ('beans');
	INSERT INTO loyalty.rule (program, name, award, condition) VALUES ('beans', 'base', '1 per 1', 'amount > 1');
	INSERT INTO loyalty.tier (program, name, rank, min_points) VALUES ('beans', 'gold', 1, 5);
	INSERT INTO loyalty.reward (program, name, cost) VALUES ('beans', 'mug', 5);
	CREATE TABLE orders (id int PRIMARY KEY, c text, t numeric);
	SELECT loyalty.attach('orders', member => 'c', amount => 't');
	INSERT INTO orders VALUES (1, 'ann', 100), (2, 'ben', 50);
	UPDATE orders SET t = 90 WHERE id OPERATOR(pg_catalog.=) 1;
	SELECT loyalty.spend('ann', 1), loyalty.redeem('ann', 'mug'), loyalty.transfer('ann', 'ben', 1), loyalty.adjust('ann', 1), loyalty.set_member('ann', segments => '{a}');
	SELECT loyalty.create_household('h', 'ann'), loyalty.leave_household('ann'), loyalty.merge_members('ben', 'ann');
	SELECT * FROM loyalty.statement('ann'), loyalty.catalogue('ann'), loyalty.household('ann'), loyalty.explain('orders', '1', 'ann');
	SELECT loyalty.grant_access('mallory', 'member'), loyalty.revoke_access('mallory', 'member');
	CALL loyalty.maintain();
	CALL loyalty.backfill('orders');
	TABLE loyalty.liability; TABLE loyalty.tier_distribution; TABLE loyalty.tier_movement; TABLE loyalty.redemptions; TABLE loyalty.stock; TABLE loyalty.awaiting;
	TABLE loyalty.suspicious; TABLE loyalty.budget_usage; TABLE loyalty.voucher_stock;
};
($status, undef, $error) = $node->psql($db, $use, on_error_stop => 1);
is($status, 0, 'and used') or diag($error);
is($node->safe_psql($db, 'SELECT available FROM loyalty.balance(\'ann\')'), '135', 'rightly');
is($node->safe_psql($db, 'SELECT * FROM loyalty.verify()'), '', 'loyalty.verify() finds nothing');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'mallory'}), 'f', 'nobody walked into a trap');

# Whoever is no superuser does not install.
$node->safe_psql('postgres', 'CREATE DATABASE hers OWNER mallory');
($status, undef, $error) = $node->psql('hers', 'CREATE EXTENSION loyalty', extra_params => [ '-U', 'mallory' ]);
isnt($status, 0, 'an owner of a database who is no superuser does not install');
like($error, qr/permission denied to create extension/, 'and is told');

$node->stop;
done_testing();
