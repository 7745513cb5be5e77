--
-- Run SQL
--
CREATE TRIGGER event_key_firm BEFORE UPDATE OR DELETE ON event_key FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()
CREATE TRIGGER event_key_not_truncated BEFORE TRUNCATE ON event_key FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()
--
-- Create model OwedAnswer
--
CREATE TABLE "owed_answer" (
    "push_key" UUID NOT NULL  PRIMARY KEY,
    "purpose" VARCHAR(32) NOT NULL,
    "due_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "owed_answer" IS 'An answer that was stored too late for its request; whoever sees it leave by the door out takes the row away.';
