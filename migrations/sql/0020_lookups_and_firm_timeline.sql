--
-- Add field lookup_due_at to Fan
--
ALTER TABLE "fan" ADD COLUMN "lookup_due_at" TIMESTAMPTZ
--
-- Alter field lookup_due_at on Fan
--
ALTER TABLE "fan" ALTER COLUMN "lookup_due_at" SET DEFAULT '-infinity'
--
-- Run SQL
--

    UPDATE fan f SET lookup_due_at = '-infinity'
    FROM account a
    WHERE a.id = f.account_id AND a.kind <> 'miniprogram' AND f.openid NOT LIKE 'erased-%'
      AND (f.follow_count = 0 OR f.id IN (
          SELECT (convert_from(payload, 'UTF8')::json ->> 'fan_id')::bigint FROM pgqueuer
          WHERE entrypoint = 'members.profile'
      ))

DELETE FROM pgqueuer WHERE entrypoint = 'members.profile'
CREATE INDEX fan_lookup_idx ON fan (account_id, lookup_due_at) WHERE lookup_due_at IS NOT NULL
--
-- Run SQL
--
CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()
CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON event_redaction FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()

    DO $$ DECLARE part regclass; BEGIN
        FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'event'::regclass LOOP
            EXECUTE format('CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()', part);
        END LOOP;
    END $$


    CREATE OR REPLACE FUNCTION fensi_event_month(day date) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        first timestamptz := date_trunc('month', day::timestamp) AT TIME ZONE 'UTC';
        next timestamptz := (date_trunc('month', day::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
        name text := 'event_' || to_char(day, 'YYYY_MM');
    BEGIN
        IF to_regclass(name) IS NOT NULL THEN
            RETURN false;
        END IF;
        -- Creating a partition locks the whole timeline for a moment. Taken first, and in the order in which
        -- writers take their locks, so that two processes making months wait and do not deadlock.
        LOCK TABLE event IN ACCESS EXCLUSIVE MODE;
        IF to_regclass(name) IS NOT NULL THEN
            RETURN false;
        END IF;
        -- A month that already has rows in the default partition stays there: moving them would need an
        -- exclusive lock on the whole timeline, and a partition is a matter of speed, not of truth.
        IF EXISTS (SELECT FROM event_default WHERE occurred_at >= first AND occurred_at < next) THEN
            RETURN false;
        END IF;
        EXECUTE format('CREATE TABLE %I PARTITION OF event FOR VALUES FROM (%L) TO (%L)', name, first, next);
        EXECUTE format('CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()', name);
        RETURN true;
    END $$

