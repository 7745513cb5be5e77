--
-- Create model AwardExplanation
--
CREATE TABLE "award_explanation" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "event_key" UUID NOT NULL,
    "rule_id" BIGINT NOT NULL,
    "version" INT,
    "beneficiary_id" BIGINT NOT NULL,
    "asset" VARCHAR(16) NOT NULL,
    "planned" BIGINT NOT NULL,
    "given" BIGINT NOT NULL,
    "reason" VARCHAR(32) NOT NULL,
    "award_key" UUID,
    "subject" VARCHAR(64) NOT NULL,
    "day" DATE NOT NULL,
    "due_at" TIMESTAMPTZ,
    "occurred_at" TIMESTAMPTZ NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_award_expla_event_k_eee868" UNIQUE ("event_key", "rule_id", "beneficiary_id", "asset")
);
CREATE INDEX "award_explanation_caps_idx" ON "award_explanation" ("beneficiary_id", "rule_id", "day");
CREATE INDEX "award_explanation_subject_idx" ON "award_explanation" ("rule_id", "subject");
COMMENT ON TABLE "award_explanation" IS 'Why one rule gave one person something for one event, less than planned, nothing, or took it back.';
--
-- Create model AwardLimit
--
CREATE TABLE "award_limit" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "rule_id" BIGINT NOT NULL,
    "subject" VARCHAR(64) NOT NULL,
    "kept" BIGINT,
    "reason" VARCHAR(32) NOT NULL,
    "kept_at" TIMESTAMPTZ,
    "held" BOOL NOT NULL,
    "held_at" TIMESTAMPTZ,
    CONSTRAINT "uid_award_limit_rule_id_1e1960" UNIQUE ("rule_id", "subject")
);
COMMENT ON TABLE "award_limit" IS 'What returns and verdicts leave of the awards for a subject, also of those that are only given later.';
--
-- Create model Level
--
CREATE TABLE "level" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "rank" INT NOT NULL,
    "name" VARCHAR(32) NOT NULL,
    "threshold" BIGINT NOT NULL,
    "benefits" JSONB NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_level_brand_i_3dfd4d" UNIQUE ("brand_id", "rank")
);
COMMENT ON TABLE "level" IS 'A level 等级 of a brand: reached at `threshold` growth, with what it is worth to the member.';
--
-- Create model MemberLevel
--
CREATE TABLE "member_level" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "member_id" BIGINT NOT NULL,
    "rank" INT NOT NULL,
    "name" VARCHAR(32) NOT NULL,
    "growth" BIGINT NOT NULL,
    "changed_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
CREATE INDEX "member_level_latest_idx" ON "member_level" ("member_id", "brand_id", "id");
COMMENT ON TABLE "member_level" IS 'One change of a person''s level, up or down; who has none is at the lowest level.';
--
-- Create model PointsRule
--
CREATE TABLE "points_rule" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "code" VARCHAR(64) NOT NULL,
    "kind" VARCHAR(32) NOT NULL,
    "event_kind" VARCHAR(64) NOT NULL,
    "system" BOOL NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_points_rule_brand_i_1c6306" UNIQUE ("brand_id", "code")
);
COMMENT ON TABLE "points_rule" IS 'One rule of a brand; `kind` names the code that reads it (scrm.points.rules).';
--
-- Create model PointsRuleVersion
--
CREATE TABLE "points_rule_version" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "version" INT NOT NULL,
    "module" VARCHAR(32) NOT NULL,
    "name" VARCHAR(64) NOT NULL,
    "frequency" VARCHAR(16) NOT NULL,
    "points" INT NOT NULL,
    "growth" INT NOT NULL,
    "note" VARCHAR(200) NOT NULL,
    "day_cap_points" INT,
    "day_cap_growth" INT,
    "month_cap_points" INT,
    "month_cap_growth" INT,
    "unit" VARCHAR(16) NOT NULL,
    "enabled" BOOL NOT NULL,
    "points_valid_days" INT,
    "settings" JSONB NOT NULL,
    "effective_from" TIMESTAMPTZ NOT NULL,
    "effective_until" TIMESTAMPTZ,
    "created_at" TIMESTAMPTZ NOT NULL,
    "rule_id" BIGINT NOT NULL REFERENCES "points_rule" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_points_rule_rule_id_a9e3e0" UNIQUE ("rule_id", "version")
);
COMMENT ON TABLE "points_rule_version" IS 'What a rule says from a moment on: the columns of the operator''s table (mission A038).';
--
-- Run SQL
--
ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_not_negative CHECK (points >= 0 AND growth >= 0)
ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_frequency_known CHECK (frequency IN ('each', 'daily', 'once_daily', 'once'))
ALTER TABLE points_rule_version ADD CONSTRAINT points_rule_version_span CHECK (effective_until > effective_from)
ALTER TABLE award_limit ADD CONSTRAINT award_limit_not_negative CHECK (kept >= 0)
ALTER TABLE level ADD CONSTRAINT level_not_negative CHECK (rank >= 0 AND threshold >= 0)
--
-- Run SQL
--

    CREATE FUNCTION fensi_refuse_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a version of a rule does not change' USING ERRCODE = 'restrict_violation';
    END $$


    CREATE TRIGGER points_rule_version_immutable BEFORE UPDATE OR DELETE ON points_rule_version
        FOR EACH ROW EXECUTE FUNCTION fensi_refuse_rule_change()

