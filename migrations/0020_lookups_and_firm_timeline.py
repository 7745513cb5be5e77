"""Asking the platform who a fan is, whichever push made them known; and a timeline that cannot be truncated."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# What was asked for and not done, or given up, is done by the sweep that follows; jobs of this name there are none any
# more. Nobody asked about fans whose follow we never received.
ASK = [
    """
    UPDATE fan f SET lookup_due_at = '-infinity'
    FROM account a
    WHERE a.id = f.account_id AND a.kind <> 'miniprogram' AND f.openid NOT LIKE 'erased-%'
      AND (f.follow_count = 0 OR f.id IN (
          SELECT (convert_from(payload, 'UTF8')::json ->> 'fan_id')::bigint FROM pgqueuer
          WHERE entrypoint = 'members.profile'
      ))
    """,
    "DELETE FROM pgqueuer WHERE entrypoint = 'members.profile'",
    "CREATE INDEX fan_lookup_idx ON fan (account_id, lookup_due_at) WHERE lookup_due_at IS NOT NULL",
]
DO_NOT_ASK = ["DROP INDEX fan_lookup_idx"]

# Of a partitioned table only the triggers of rows are its partitions' as well: each has its own of these.
NOT_TRUNCATED = [
    "CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()",
    "CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON event_redaction FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()",
    """
    DO $$ DECLARE part regclass; BEGIN
        FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'event'::regclass LOOP
            EXECUTE format('CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()', part);
        END LOOP;
    END $$
    """,
]
MONTH = """
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
        EXECUTE format('CREATE TABLE %I PARTITION OF event FOR VALUES FROM (%L) TO (%L)', name, first, next);{firm}
        RETURN true;
    END $$
    """
FIRM_MONTH = MONTH.replace(
    "{firm}",
    """
        EXECUTE format('CREATE TRIGGER event_not_truncated BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()', name);""",
)
TRUNCATED = [
    MONTH.replace("{firm}", ""),
    "DROP TRIGGER event_not_truncated ON event_redaction",
    "DROP TRIGGER event_not_truncated ON event",
    """
    DO $$ DECLARE part regclass; BEGIN
        FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'event'::regclass LOOP
            EXECUTE format('DROP TRIGGER event_not_truncated ON %s', part);
        END LOOP;
    END $$
    """,
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0019_refusals")]

    initial = False

    operations = [
        # First without a default: whoever follows by a push that we received has been asked about.
        ops.AddField(
            model_name="Fan",
            name="lookup_due_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AlterField(
            model_name="Fan",
            name="lookup_due_at",
            field=fields.DatetimeField(null=True, db_default="-infinity", auto_now=False, auto_now_add=False),
        ),
        ops.RunSQL(ASK, DO_NOT_ASK),
        ops.RunSQL([*NOT_TRUNCATED, FIRM_MONTH], TRUNCATED),
    ]
