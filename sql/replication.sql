--
-- replication: what else must be known where the ledger comes by logical replication
--

-- Whoever applies changes as a replica fires no statement trigger, and of row
-- triggers only those that say so.  Sessions there must know of changes, too, of
-- all that is kept with the configuration: they may be those that go on once that
-- database takes over.
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.program
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.program ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.program IS 'makes every session read programs again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.access
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.access ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.access IS 'makes every session read who may do what again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.currency_rate
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.currency_rate ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.currency_rate IS 'makes every session read rates again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.rule
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.rule ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.rule IS 'makes every session read rules again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.velocity_limit
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.velocity_limit ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.velocity_limit IS 'makes every session read velocity limits again when they are replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.tier
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.tier ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.tier IS 'makes every session read tiers again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.source
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.source ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.source IS 'makes every session read sources again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.reward ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.reward IS 'makes every session read rewards again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward_option
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.reward_option ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.reward_option IS 'makes every session read rewards again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.member_alias
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.member_alias ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.member_alias IS 'makes every session read whether there are other names of members again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.member_merge
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.member_merge ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.member_merge IS 'makes every session read whether members were merged again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.household
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.household ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.household IS 'makes every session read whether there are households again when that is replicated';
CREATE TRIGGER replicated AFTER INSERT OR UPDATE OR DELETE ON loyalty.reward_choice
	FOR EACH ROW EXECUTE FUNCTION loyalty.config_changed();
ALTER TABLE loyalty.reward_choice ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON loyalty.reward_choice IS 'makes every session read whether members have chosen rewards again when that is replicated';
