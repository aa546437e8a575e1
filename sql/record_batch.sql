--
-- record_batch: many events at once, of feeds that no table holds
--

CREATE TYPE loyalty.event_request AS (
	member text,
	event text,
	amount numeric,
	data jsonb,
	lines jsonb,
	reason text,
	key text,
	at timestamptz
);
COMMENT ON TYPE loyalty.event_request IS 'an event that record_rows is to record; the columns are the arguments of record';
COMMENT ON COLUMN loyalty.event_request.member IS 'the shop''s own customer id';
COMMENT ON COLUMN loyalty.event_request.event IS 'what took place: purchase, review, signup and so on';
COMMENT ON COLUMN loyalty.event_request.amount IS 'amount of a purchase';
COMMENT ON COLUMN loyalty.event_request.data IS 'whatever conditions of rules read';
COMMENT ON COLUMN loyalty.event_request.lines IS 'array of objects of amount, quantity, item, category, channel, store, currency, at and data';
COMMENT ON COLUMN loyalty.event_request.reason IS 'note of the first entry';
COMMENT ON COLUMN loyalty.event_request.key IS 'names the event: the same again is not recorded twice';
COMMENT ON COLUMN loyalty.event_request.at IS 'when it took place; now by default';

CREATE TYPE loyalty.event_answer AS (
	position integer,
	entry bigint,
	points loyalty.points,
	balance loyalty.points,
	repeated boolean,
	error_code text,
	message text,
	detail text
);
COMMENT ON TYPE loyalty.event_answer IS 'what became of an event of a batch: a posting, or why it was left out';
COMMENT ON COLUMN loyalty.event_answer.position IS 'place of the event in the batch, from 1 on';
COMMENT ON COLUMN loyalty.event_answer.entry IS 'number of the first entry for its member';
COMMENT ON COLUMN loyalty.event_answer.points IS 'points that it gave (negative: took)';
COMMENT ON COLUMN loyalty.event_answer.balance IS 'points available afterwards, below zero in debt';
COMMENT ON COLUMN loyalty.event_answer.repeated IS 'true when an earlier event with the same key did the work';
COMMENT ON COLUMN loyalty.event_answer.error_code IS 'SQLSTATE of what failed, and was left out; NULL: it is recorded';
COMMENT ON COLUMN loyalty.event_answer.message IS 'its message';
COMMENT ON COLUMN loyalty.event_answer.detail IS 'its detail';

CREATE FUNCTION loyalty.record_batch(events jsonb, on_error text DEFAULT 'fail', program text DEFAULT NULL) RETURNS SETOF loyalty.event_answer
	AS 'MODULE_PATHNAME', 'loyalty_record_batch' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.record_batch(jsonb, text, text) IS 'records many events at once, as record would one after the other; events is an array of objects of member, event, amount, data, lines, reason, key and at; on_error: fail (all or nothing) or skip (what fails is left out, and the answer says why)';
CREATE FUNCTION loyalty.record_rows(events loyalty.event_request[], on_error text DEFAULT 'fail', program text DEFAULT NULL) RETURNS SETOF loyalty.event_answer
	AS 'MODULE_PATHNAME', 'loyalty_record_rows' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.record_rows(loyalty.event_request[], text, text) IS 'the same for an array of rows';
