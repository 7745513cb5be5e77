--
-- Create model Brand
--
CREATE TABLE "brand" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(64) NOT NULL UNIQUE,
    "created_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "brand" IS 'A brand 品牌: whoever owns accounts, members and staff.';
--
-- Create model Account
--
CREATE TABLE "account" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "kind" VARCHAR(16) NOT NULL,
    "name" VARCHAR(64) NOT NULL,
    "appid" VARCHAR(64) NOT NULL UNIQUE,
    "mode" VARCHAR(12) NOT NULL,
    "verified" BOOL NOT NULL DEFAULT TRUE,
    "secret_sealed" TEXT NOT NULL,
    "token_sealed" TEXT NOT NULL,
    "aes_key_sealed" TEXT,
    "enabled" BOOL NOT NULL DEFAULT TRUE,
    "created_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "account" IS 'An account 公众号/小程序. What is sealed here is opened only to verify, decrypt or call.';
--
-- Create model Channel
--
CREATE TABLE "channel" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "scene" VARCHAR(64) NOT NULL,
    "name" VARCHAR(64) NOT NULL,
    "cost_fen" BIGINT NOT NULL DEFAULT 0,
    "ticket" TEXT NOT NULL DEFAULT '',
    "url" TEXT NOT NULL DEFAULT '',
    "created_at" TIMESTAMPTZ NOT NULL,
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_channel_account_36305d" UNIQUE ("account_id", "scene")
);
COMMENT ON TABLE "channel" IS 'A channel 渠道: the scene of a parameterised QR code of one account, and what it cost.';
--
-- Create model Decision
--
CREATE TABLE "outreach_decision" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "account_id" BIGINT NOT NULL,
    "fan_id" BIGINT NOT NULL,
    "member_id" BIGINT NOT NULL,
    "purpose" VARCHAR(32) NOT NULL,
    "allowed" BOOL NOT NULL,
    "reason" VARCHAR(64) NOT NULL,
    "facts" JSONB NOT NULL,
    "decided_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "outreach_decision_fan_idx" ON "outreach_decision" ("fan_id", "decided_at");
COMMENT ON TABLE "outreach_decision" IS 'Whether something may be said to a fan, and why: one row for every attempt, allowed or not.';
--
-- Create model Dialogue
--
CREATE TABLE "dialogue" (
    "fan_id" BIGINT NOT NULL  PRIMARY KEY,
    "name" VARCHAR(64) NOT NULL,
    "step" VARCHAR(64) NOT NULL,
    "data" JSONB NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "dialogue" IS 'A running conversation of several steps with one fan; gone when it ends or its time is up.';
--
-- Create model Event
--
CREATE TABLE "event" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL,
    "kind" VARCHAR(64) NOT NULL,
    "occurred_at" TIMESTAMPTZ NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "member_id" BIGINT,
    "account_id" BIGINT,
    "fan_id" BIGINT,
    "payload" JSONB NOT NULL
);
CREATE INDEX "event_member_idx" ON "event" ("member_id", "occurred_at");
COMMENT ON TABLE "event" IS 'One happening. Append-only: no code updates or deletes a row, and a trigger refuses to.';
--
-- Create model EventKey
--
CREATE TABLE "event_key" (
    "key" UUID NOT NULL  PRIMARY KEY
);
COMMENT ON TABLE "event_key" IS 'The unique key of an event: inserting it decides whether the event is new.';
--
-- Create model HeldReply
--
CREATE TABLE "held_reply" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "fan_id" BIGINT NOT NULL,
    "push_key" UUID NOT NULL,
    "reply" JSONB NOT NULL,
    "held_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "held_reply_fan_idx" ON "held_reply" ("fan_id", "id");
COMMENT ON TABLE "held_reply" IS 'What an account without customer-service messages could not say in time: it waits for the fan''s next push.';
--
-- Create model MalformedPush
--
CREATE TABLE "malformed_push" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "account_id" BIGINT NOT NULL,
    "reason" VARCHAR(64) NOT NULL,
    "body_sealed" TEXT NOT NULL,
    "received_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "malformed_push" IS 'A push that was genuine (its signature was right) but made no sense; kept sealed for inspection.';
--
-- Create model Member
--
CREATE TABLE "member" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "created_at" TIMESTAMPTZ NOT NULL,
    "merged_into_id" BIGINT REFERENCES "member" ("id") ON DELETE RESTRICT
);
CREATE INDEX "member_merged_into_idx" ON "member" ("merged_into_id");
COMMENT ON TABLE "member" IS 'A member 会员: one person, or a member that was merged into one.';
--
-- Create model Fan
--
CREATE TABLE "fan" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "openid" VARCHAR(64) NOT NULL,
    "following" BOOL NOT NULL DEFAULT FALSE,
    "follow_changed_at" TIMESTAMPTZ,
    "follow_count" INT NOT NULL DEFAULT 0,
    "first_touch_at" TIMESTAMPTZ,
    "last_touch_at" TIMESTAMPTZ,
    "created_at" TIMESTAMPTZ NOT NULL,
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE RESTRICT,
    "first_channel_id" BIGINT REFERENCES "channel" ("id") ON DELETE RESTRICT,
    "last_channel_id" BIGINT REFERENCES "channel" ("id") ON DELETE RESTRICT,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_fan_account_74397e" UNIQUE ("account_id", "openid")
);
CREATE INDEX "fan_member_idx" ON "fan" ("member_id");
COMMENT ON TABLE "fan" IS 'A fan 粉丝: one openid at one account. Stays known after unfollowing.';
--
-- Create model ChannelTouch
--
CREATE TABLE "channel_touch" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "first_at" TIMESTAMPTZ NOT NULL,
    "last_at" TIMESTAMPTZ NOT NULL,
    "followed_at" TIMESTAMPTZ,
    "channel_id" BIGINT NOT NULL REFERENCES "channel" ("id") ON DELETE RESTRICT,
    "fan_id" BIGINT NOT NULL REFERENCES "fan" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_channel_tou_channel_753505" UNIQUE ("channel_id", "fan_id")
);
CREATE INDEX "channel_touch_fan_idx" ON "channel_touch" ("fan_id");
COMMENT ON TABLE "channel_touch" IS 'One fan and one channel: however often the code is scanned, one row.';
--
-- Create model Identity
--
CREATE TABLE "identity" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "kind" VARCHAR(12) NOT NULL,
    "subject" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_identity_kind_f8b502" UNIQUE ("kind", "subject")
);
CREATE INDEX "identity_member_idx" ON "identity" ("member_id");
COMMENT ON TABLE "identity" IS 'What else identifies a member besides openids: a unionid, later a phone number (hashed).';
--
-- Create model MemberMerge
--
CREATE TABLE "member_merge" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "evidence" JSONB NOT NULL,
    "moved" JSONB NOT NULL,
    "merged_at" TIMESTAMPTZ NOT NULL,
    "split_at" TIMESTAMPTZ,
    "absorbed_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    "kept_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT
);
CREATE INDEX "member_merge_kept_idx" ON "member_merge" ("kept_id");
COMMENT ON TABLE "member_merge" IS 'A merge of two members with its evidence; kept for ever, so that it can be explained and undone.';
--
-- Create model Menu
--
CREATE TABLE "menu" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "buttons" JSONB NOT NULL,
    "published_at" TIMESTAMPTZ,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "account_id" BIGINT NOT NULL UNIQUE REFERENCES "account" ("id") ON DELETE CASCADE
);
COMMENT ON TABLE "menu" IS 'The menu an account should show; `published_at` is empty while the platform has not been told.';
--
-- Create model OutboxMessage
--
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "account_id" BIGINT NOT NULL,
    "fan_id" BIGINT NOT NULL,
    "body" JSONB NOT NULL,
    "state" VARCHAR(10) NOT NULL,
    "due_at" TIMESTAMPTZ NOT NULL,
    "lease_until" TIMESTAMPTZ,
    "attempts" INT NOT NULL DEFAULT 0,
    "code" INT,
    "detail" VARCHAR(256) NOT NULL DEFAULT '',
    "platform_id" VARCHAR(64) NOT NULL DEFAULT '',
    "created_at" TIMESTAMPTZ NOT NULL,
    "sent_at" TIMESTAMPTZ,
    "decision_id" BIGINT NOT NULL UNIQUE REFERENCES "outreach_decision" ("id") ON DELETE RESTRICT
);
CREATE INDEX "outbox_pending_idx" ON "outbox" ("due_at") WHERE state = 'pending';
CREATE INDEX "outbox_claimed_idx" ON "outbox" ("lease_until") WHERE state = 'claimed';
CREATE INDEX "outbox_sending_idx" ON "outbox" ("lease_until") WHERE state = 'sending';
CREATE INDEX "outbox_fan_idx" ON "outbox" ("fan_id", "id");
CREATE INDEX "outbox_platform_idx" ON "outbox" ("account_id", "platform_id");
COMMENT ON TABLE "outbox" IS 'A message on its way out; it ends as sent, refused, failed or unknown, and never leaves those states.';
--
-- Create model Push
--
CREATE TABLE "push" (
    "key" UUID NOT NULL  PRIMARY KEY,
    "account_id" BIGINT NOT NULL,
    "fan_id" BIGINT,
    "state" VARCHAR(10) NOT NULL,
    "answer" JSONB,
    "reason" VARCHAR(64) NOT NULL DEFAULT '',
    "fields" JSONB,
    "attempts" INT NOT NULL DEFAULT 1,
    "lease_until" TIMESTAMPTZ,
    "received_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "push_running_idx" ON "push" ("lease_until") WHERE state = 'running';
CREATE INDEX "push_running_fan_idx" ON "push" ("fan_id") WHERE state = 'running';
CREATE INDEX "push_received_idx" ON "push" USING BRIN ("received_at");
COMMENT ON TABLE "push" IS 'One push and its answer. Short-lived: the platform repeats for seconds, rows are pruned after days.';
--
-- Create model ReplyRule
--
CREATE TABLE "reply_rule" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "match" VARCHAR(10) NOT NULL,
    "pattern" VARCHAR(256) NOT NULL,
    "reply" JSONB NOT NULL,
    "priority" INT NOT NULL DEFAULT 100,
    "enabled" BOOL NOT NULL DEFAULT TRUE,
    "created_at" TIMESTAMPTZ NOT NULL,
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_reply_rule_account_9b72a1" UNIQUE ("account_id", "match", "pattern")
);
CREATE INDEX "reply_rule_order_idx" ON "reply_rule" ("account_id", "priority");
COMMENT ON TABLE "reply_rule" IS 'What the account answers to a word or a menu key. Lower `priority` is tried first.';
--
-- Create model Turn
--
CREATE TABLE "turn" (
    "fan_id" BIGINT NOT NULL  PRIMARY KEY,
    "push_key" UUID NOT NULL,
    "lease_until" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "turn" IS 'Whose turn it is at a fan: one message at a time, across processes. A lease, so a dead holder loses it.';
--
-- Create model Welcome
--
CREATE TABLE "welcome" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "audience" VARCHAR(10) NOT NULL,
    "reply" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE CASCADE,
    "channel_id" BIGINT REFERENCES "channel" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_welcome_account_98edb7" UNIQUE ("account_id", "channel_id", "audience")
);
COMMENT ON TABLE "welcome" IS 'What a new follower is told: the most specific row of (channel, new or returning) wins.';
--
-- Run SQL
--
ALTER TABLE account ADD CONSTRAINT account_kind_known CHECK (kind IN ('service', 'subscription', 'miniprogram'))
ALTER TABLE account ADD CONSTRAINT account_mode_known CHECK (mode IN ('plain', 'compatible', 'safe'))
ALTER TABLE identity ADD CONSTRAINT identity_kind_known CHECK (kind IN ('unionid', 'phone'))
ALTER TABLE push ADD CONSTRAINT push_state_known CHECK (state IN ('running', 'answered', 'late', 'failed'))
ALTER TABLE reply_rule ADD CONSTRAINT reply_rule_match_known CHECK (match IN ('exact', 'contains', 'regex', 'click'))
ALTER TABLE welcome ADD CONSTRAINT welcome_audience_known CHECK (audience IN ('any', 'new', 'returning'))
ALTER TABLE outbox ADD CONSTRAINT outbox_state_known CHECK (state IN ('pending', 'claimed', 'sending', 'sent', 'refused', 'failed', 'unknown'))
--
-- Run SQL
--
DROP TABLE "event"

    CREATE TABLE event (
        id bigint GENERATED BY DEFAULT AS IDENTITY,
        key uuid NOT NULL,
        kind varchar(64) NOT NULL,
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        member_id bigint,
        account_id bigint,
        fan_id bigint,
        payload jsonb NOT NULL,
        PRIMARY KEY (id, occurred_at)
    ) PARTITION BY RANGE (occurred_at)

CREATE INDEX event_member_idx ON event (member_id, occurred_at)
CREATE TABLE event_default PARTITION OF event DEFAULT

    CREATE FUNCTION fensi_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'restrict_violation';
    END $$


    CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event
        FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()


    CREATE FUNCTION fensi_event_month(day date) RETURNS boolean LANGUAGE plpgsql AS $$
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
        RETURN true;
    END $$

--
-- Run SQL
--
ALTER TABLE welcome DROP CONSTRAINT "uid_welcome_account_98edb7"
ALTER TABLE welcome ADD CONSTRAINT "uid_welcome_account_98edb7" UNIQUE NULLS NOT DISTINCT (account_id, channel_id, audience)
