--
-- Create model MemberProfile
--
CREATE TABLE "member_profile" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "nickname" VARCHAR(32),
    "name_sealed" TEXT,
    "phone_sealed" TEXT,
    "gender" VARCHAR(8),
    "birthday" DATE,
    "province" VARCHAR(32),
    "city" VARCHAR(32),
    "avatar" VARCHAR(500),
    "said_at" JSONB NOT NULL,
    "revision" INT NOT NULL DEFAULT 0,
    "member_id" BIGINT NOT NULL UNIQUE REFERENCES "member" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "member_profile" IS 'What a member says of themselves, at the home where they said it; a person''s profile is put together from all.';
--
-- Alter options for Identity
--
-- (no-op)
--
-- Add field erased_at to Member
--
ALTER TABLE "member" ADD COLUMN "erased_at" TIMESTAMPTZ
--
-- Add index to MemberMerge
--
CREATE INDEX "member_merge_evidence_idx" ON "member_merge" ("evidence");
--
-- Run SQL
--
ALTER TABLE member_profile ADD CONSTRAINT member_profile_gender_known CHECK (gender IN ('male', 'female', 'other'))
