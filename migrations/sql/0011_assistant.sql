--
-- Create model AssistantAnswer
--
CREATE TABLE "assistant_answer" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "brand_id" BIGINT NOT NULL,
    "account_id" BIGINT NOT NULL,
    "fan_id" BIGINT NOT NULL,
    "member_id" BIGINT NOT NULL,
    "outcome" VARCHAR(16) NOT NULL,
    "reason" VARCHAR(32) NOT NULL DEFAULT '',
    "detail" VARCHAR(256) NOT NULL DEFAULT '',
    "said" TEXT NOT NULL,
    "written" TEXT NOT NULL DEFAULT '',
    "ai" BOOL NOT NULL DEFAULT FALSE,
    "passages" JSONB NOT NULL,
    "tools" JSONB NOT NULL,
    "choices" JSONB NOT NULL,
    "model" VARCHAR(64) NOT NULL DEFAULT '',
    "tokens_in" INT NOT NULL DEFAULT 0,
    "tokens_out" INT NOT NULL DEFAULT 0,
    "cost_micro" BIGINT NOT NULL DEFAULT 0,
    "took_ms" INT NOT NULL DEFAULT 0,
    "answered_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "assistant_answer_fan_idx" ON "assistant_answer" ("fan_id", "id");
CREATE INDEX "assistant_answer_brand_idx" ON "assistant_answer" ("brand_id", "id");
COMMENT ON TABLE "assistant_answer" IS 'Why the bot said what it said: one row for each text the assistant took on.';
--
-- Create model AssistantCall
--
CREATE TABLE "assistant_call" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "brand_id" BIGINT NOT NULL,
    "member_id" BIGINT NOT NULL,
    "purpose" VARCHAR(12) NOT NULL,
    "day" DATE NOT NULL,
    "tokens" BIGINT NOT NULL,
    "cost_micro" BIGINT NOT NULL,
    "settled" BOOL NOT NULL DEFAULT FALSE,
    "created_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "assistant_call_age_idx" ON "assistant_call" ("created_at");
COMMENT ON TABLE "assistant_call" IS 'One call of the model, reserved before and settled after. One that was never settled stays charged in full.';
--
-- Create model AssistantSetting
--
CREATE TABLE "assistant_setting" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "data" JSONB NOT NULL,
    "changed_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL UNIQUE REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "assistant_setting" IS 'A brand''s settings of the assistant; `data` has the shape of `scrm.assistant.settings.AssistantSettings`.';
--
-- Create model AssistantUsage
--
CREATE TABLE "assistant_usage" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "brand_id" BIGINT NOT NULL,
    "member_id" BIGINT NOT NULL,
    "purpose" VARCHAR(12) NOT NULL,
    "day" DATE NOT NULL,
    "calls" INT NOT NULL DEFAULT 0,
    "tokens" BIGINT NOT NULL DEFAULT 0,
    "cost_micro" BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT "uid_assistant_u_brand_i_d1ca5e" UNIQUE ("brand_id", "day", "member_id", "purpose")
);
COMMENT ON TABLE "assistant_usage" IS 'What the model was used on a day in Shanghai: by one person, or (member 0) by a brand altogether.';
--
-- Create model InterestProgress
--
CREATE TABLE "interest_progress" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "event_id" BIGINT NOT NULL DEFAULT 0
);
COMMENT ON TABLE "interest_progress" IS 'How far the rules have read the timeline: every text up to this event has been looked at. One row.';
--
-- Create model InterestQuestion
--
CREATE TABLE "interest_question" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "event_key" UUID NOT NULL UNIQUE,
    "brand_id" BIGINT NOT NULL,
    "due_at" TIMESTAMPTZ NOT NULL,
    "attempts" INT NOT NULL DEFAULT 0,
    "event" JSONB NOT NULL
);
CREATE INDEX "interest_question_due_idx" ON "interest_question" ("due_at");
COMMENT ON TABLE "interest_question" IS 'A text that no rule understood and the model shall be asked about, when the budget allows.';
--
-- Run SQL
--
ALTER TABLE assistant_usage ADD CONSTRAINT assistant_usage_counts CHECK (calls >= 0 AND tokens >= 0 AND cost_micro >= 0)
ALTER TABLE assistant_usage ADD CONSTRAINT assistant_usage_purpose_known CHECK (purpose IN ('answers', 'interests'))
ALTER TABLE assistant_answer ADD CONSTRAINT assistant_answer_outcome_known CHECK (outcome IN ('self_service', 'knowledge', 'menu', 'answered', 'doubt', 'failed', 'over_budget'))
