--
-- Create model PointsAdjustment
--
CREATE TABLE "points_adjustment" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "brand_id" BIGINT NOT NULL,
    "staff_id" BIGINT NOT NULL,
    "member_id" BIGINT NOT NULL,
    "asset" VARCHAR(16) NOT NULL,
    "amount" BIGINT NOT NULL,
    "reason" VARCHAR(100) NOT NULL,
    "day" DATE NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "points_adjustment_limit_idx" ON "points_adjustment" ("staff_id", "day");
CREATE INDEX "points_adjustment_member_idx" ON "points_adjustment" ("member_id");
COMMENT ON TABLE "points_adjustment" IS 'Points or growth that one of the staff gave or took by hand, with why; the ledger''s entry has the same key.';
--
-- Create model TagBatch
--
CREATE TABLE "tag_batch" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "action" VARCHAR(4) NOT NULL,
    "staff_id" BIGINT NOT NULL,
    "state" VARCHAR(8) NOT NULL,
    "total" INT NOT NULL DEFAULT 0,
    "done" INT NOT NULL DEFAULT 0,
    "changed" INT NOT NULL DEFAULT 0,
    "undone" INT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ NOT NULL,
    "finished_at" TIMESTAMPTZ,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    "tag_id" BIGINT NOT NULL REFERENCES "tag" ("id") ON DELETE RESTRICT
);
CREATE INDEX "tag_batch_brand_idx" ON "tag_batch" ("brand_id", "id");
COMMENT ON TABLE "tag_batch" IS 'A tag put on, or taken off, many people at once by one of the staff; it can be undone as a whole.';
--
-- Create model TagBatchMember
--
CREATE TABLE "tag_batch_member" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "person_id" BIGINT NOT NULL,
    "outcome" VARCHAR(10) NOT NULL,
    "mark_id" BIGINT,
    "batch_id" BIGINT NOT NULL REFERENCES "tag_batch" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_tag_batch_m_batch_i_b84dbb" UNIQUE ("batch_id", "person_id")
);
CREATE INDEX "tag_batch_member_left_idx" ON "tag_batch_member" ("batch_id", "outcome", "person_id");
COMMENT ON TABLE "tag_batch_member" IS 'One person of a batch, and what came of it; `mark_id` is the `member_tag` row that was put.';
--
-- Add field name_fingerprint to MemberProfile
--
ALTER TABLE "member_profile" ADD COLUMN "name_fingerprint" VARCHAR(64)
--
-- Add index to MemberProfile
--
CREATE INDEX "member_profile_name_idx" ON "member_profile" ("name_fingerprint");
--
-- Run SQL
--
ALTER TABLE tag_batch ADD CONSTRAINT tag_batch_action_known CHECK (action IN ('put', 'take'))
ALTER TABLE tag_batch ADD CONSTRAINT tag_batch_state_known CHECK (state IN ('running', 'done', 'undoing', 'undone'))
ALTER TABLE tag_batch_member ADD CONSTRAINT tag_batch_member_outcome_known CHECK (outcome IN ('pending', 'changed', 'unchanged', 'undone'))
ALTER TABLE points_adjustment ADD CONSTRAINT points_adjustment_not_nothing CHECK (amount <> 0)
