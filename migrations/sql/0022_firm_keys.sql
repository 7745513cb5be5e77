--
-- Run SQL
--
CREATE TRIGGER event_key_firm BEFORE UPDATE OR DELETE ON event_key FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()
CREATE TRIGGER event_key_not_truncated BEFORE TRUNCATE ON event_key FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()
