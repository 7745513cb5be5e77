--
-- Create model Conversation
--
CREATE TABLE "conversation" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "member_id" BIGINT NOT NULL,
    "state" VARCHAR(8) NOT NULL,
    "desk" VARCHAR(8) NOT NULL DEFAULT 'ours',
    "kf_account" VARCHAR(64) NOT NULL DEFAULT '',
    "skill" VARCHAR(32) NOT NULL DEFAULT '',
    "staff_id" BIGINT,
    "reason" VARCHAR(16) NOT NULL DEFAULT '',
    "asked_by" UUID,
    "opened_at" TIMESTAMPTZ NOT NULL,
    "heard_since" TIMESTAMPTZ NOT NULL,
    "asked_at" TIMESTAMPTZ,
    "priority" SMALLINT NOT NULL DEFAULT 0,
    "waiting_since" TIMESTAMPTZ,
    "assigned_at" TIMESTAMPTZ,
    "first_response_at" TIMESTAMPTZ,
    "snoozed_until" TIMESTAMPTZ,
    "answer_due_at" TIMESTAMPTZ,
    "alarmed_at" TIMESTAMPTZ,
    "promised_until" TIMESTAMPTZ,
    "promise_risked_at" TIMESTAMPTZ,
    "promise_broken_at" TIMESTAMPTZ,
    "closed_at" TIMESTAMPTZ,
    "close_reason" VARCHAR(16) NOT NULL DEFAULT '',
    "closed_by" BIGINT,
    "summary" VARCHAR(500) NOT NULL DEFAULT '',
    "rating" SMALLINT,
    "rated_at" TIMESTAMPTZ,
    "heard" INT NOT NULL DEFAULT 0,
    "last_fan_message_at" TIMESTAMPTZ,
    "last_at" TIMESTAMPTZ NOT NULL,
    "last_from" VARCHAR(8) NOT NULL DEFAULT '',
    "last_line" VARCHAR(80) NOT NULL DEFAULT '',
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE RESTRICT,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    "fan_id" BIGINT NOT NULL REFERENCES "fan" ("id") ON DELETE RESTRICT
);
CREATE INDEX "conversation_waiting_idx" ON "conversation" ("brand_id", "priority", "waiting_since", "id") WHERE state = 'waiting';
CREATE INDEX "conversation_owner_idx" ON "conversation" ("staff_id", "last_at") WHERE state = 'staff';
CREATE INDEX "conversation_fan_idx" ON "conversation" ("fan_id", "id");
CREATE INDEX "conversation_asked_idx" ON "conversation" ("brand_id", "asked_at");
COMMENT ON TABLE "conversation" IS 'A conversation 会话 with one fan; at most one of a fan is open. A closed one is never opened again.';
--
-- Create model ConversationChange
--
CREATE TABLE "conversation_change" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "fan_id" BIGINT NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    "kind" VARCHAR(24) NOT NULL,
    "actor" VARCHAR(8) NOT NULL,
    "staff_id" BIGINT,
    "to_staff_id" BIGINT,
    "skill" VARCHAR(32) NOT NULL DEFAULT '',
    "reason" VARCHAR(32) NOT NULL DEFAULT '',
    "text" VARCHAR(2000) NOT NULL DEFAULT '',
    "key" UUID  UNIQUE,
    "conversation_id" BIGINT NOT NULL REFERENCES "conversation" ("id") ON DELETE RESTRICT
);
CREATE INDEX "conversation_change_order_idx" ON "conversation_change" ("conversation_id", "id");
CREATE INDEX "conversation_change_fan_idx" ON "conversation_change" ("fan_id", "at", "id");
COMMENT ON TABLE "conversation_change" IS 'One change to a conversation with its reason and who made it, or an internal note. Never changed or deleted.';
--
-- Create model ConversationMessage
--
CREATE TABLE "conversation_message" (
    "key" UUID NOT NULL  PRIMARY KEY,
    "kind" VARCHAR(8) NOT NULL,
    "staff_id" BIGINT,
    "said_at" TIMESTAMPTZ NOT NULL,
    "conversation_id" BIGINT NOT NULL REFERENCES "conversation" ("id") ON DELETE RESTRICT
);
CREATE INDEX "conversation_message_order_idx" ON "conversation_message" ("conversation_id", "said_at");
COMMENT ON TABLE "conversation_message" IS 'That a message of the outbox belongs to a conversation, and who says it; `key` is its decision''s.';
--
-- Create model ConversationRead
--
CREATE TABLE "conversation_read" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "staff_id" BIGINT NOT NULL,
    "seen" INT NOT NULL,
    "conversation_id" BIGINT NOT NULL REFERENCES "conversation" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_conversatio_convers_7f5ddb" UNIQUE ("conversation_id", "staff_id")
);
COMMENT ON TABLE "conversation_read" IS 'How many of the fan''s messages one of the staff has seen.';
--
-- Create model Desk
--
CREATE TABLE "desk" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "first_response_seconds" INT NOT NULL,
    "promise_minutes" INT NOT NULL,
    "unsure_minutes" INT NOT NULL,
    "rating_minutes" INT NOT NULL,
    "idle_minutes" INT NOT NULL,
    "brand_id" BIGINT NOT NULL UNIQUE REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "desk" IS 'What a brand has set for its service; without a row the defaults of scrm.conversations.desk hold.';
--
-- Create model Seat
--
CREATE TABLE "seat" (
    "staff_id" BIGINT NOT NULL  PRIMARY KEY,
    "capacity" SMALLINT NOT NULL,
    "skills" JSONB NOT NULL,
    "present_until" TIMESTAMPTZ,
    "last_assigned_at" TIMESTAMPTZ,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
CREATE INDEX "seat_brand_idx" ON "seat" ("brand_id", "staff_id");
COMMENT ON TABLE "seat" IS 'A seat 坐席: one of the staff who answers fans. `present_until` is the lease that their browser renews.';
--
-- Create model Shift
--
CREATE TABLE "shift" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "staff_id" BIGINT NOT NULL,
    "pattern" VARCHAR(10) NOT NULL,
    "day" DATE,
    "starts" SMALLINT NOT NULL,
    "ends" SMALLINT NOT NULL,
    "breaks" JSONB NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
CREATE INDEX "shift_brand_idx" ON "shift" ("brand_id", "staff_id");
COMMENT ON TABLE "shift" IS 'When somebody serves: days that fit a pattern, or one date; see scrm.conversations.shifts.';
--
-- Create model Skill
--
CREATE TABLE "skill" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(32) NOT NULL,
    "title" VARCHAR(32) NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_skill_brand_i_0ec0ac" UNIQUE ("brand_id", "name")
);
COMMENT ON TABLE "skill" IS 'What a conversation may need somebody for: a queue, such as 售后. `name` is its stable code.';
--
-- Create model SpecialDay
--
CREATE TABLE "special_day" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "day" DATE NOT NULL,
    "kind" VARCHAR(8) NOT NULL,
    "note" VARCHAR(64) NOT NULL DEFAULT '',
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_special_day_brand_i_795ed7" UNIQUE ("brand_id", "day")
);
COMMENT ON TABLE "special_day" IS 'A day on which a brand departs from the public calendar: worked, rested, or closed altogether.';
--
-- Create model WeChatDesk
--
CREATE TABLE "wechat_desk" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "account_id" BIGINT NOT NULL UNIQUE REFERENCES "account" ("id") ON DELETE CASCADE
);
COMMENT ON TABLE "wechat_desk" IS 'An account whose fans are served by WeChat''s own customer service instead of our seats.';
--
-- Run SQL
--
ALTER TABLE conversation ADD CONSTRAINT conversation_state_known CHECK (state IN ('bot', 'waiting', 'staff', 'closed'))
ALTER TABLE conversation ADD CONSTRAINT conversation_desk_known CHECK (desk IN ('ours', 'wechat'))
ALTER TABLE conversation ADD CONSTRAINT conversation_owned CHECK ((state <> 'staff' OR desk <> 'ours' OR staff_id IS NOT NULL) AND (state NOT IN ('bot', 'waiting') OR staff_id IS NULL))
ALTER TABLE conversation ADD CONSTRAINT conversation_waits CHECK ((state = 'waiting') <= (waiting_since IS NOT NULL))
ALTER TABLE conversation ADD CONSTRAINT conversation_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL))
ALTER TABLE conversation ADD CONSTRAINT conversation_rating_sensible CHECK (rating BETWEEN 1 AND 5)
ALTER TABLE conversation_message ADD CONSTRAINT conversation_message_kind_known CHECK (kind IN ('staff', 'handoff', 'closing'))
ALTER TABLE desk ADD CONSTRAINT desk_numbers_positive CHECK (first_response_seconds > 0 AND promise_minutes > 0 AND unsure_minutes > 0 AND rating_minutes > 0 AND idle_minutes > 0)
ALTER TABLE seat ADD CONSTRAINT seat_capacity_not_negative CHECK (capacity >= 0)
ALTER TABLE shift ADD CONSTRAINT shift_dated CHECK ((pattern IN ('date', 'off')) = (day IS NOT NULL))
ALTER TABLE shift ADD CONSTRAINT shift_minutes_ordered CHECK (starts >= 0 AND starts < 1440 AND ends > starts AND ends <= 2880)
ALTER TABLE special_day ADD CONSTRAINT special_day_kind_known CHECK (kind IN ('workday', 'restday', 'closed'))
CREATE UNIQUE INDEX conversation_open_fan_idx ON conversation (fan_id) WHERE state <> 'closed'
CREATE INDEX conversation_live_idx ON conversation (brand_id, last_at, id) WHERE state <> 'closed'
