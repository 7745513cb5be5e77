--
-- Create model Invitation
--
CREATE TABLE "invitation" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "code" VARCHAR(16) NOT NULL UNIQUE,
    "created_at" TIMESTAMPTZ NOT NULL,
    "member_id" BIGINT NOT NULL UNIQUE REFERENCES "member" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "invitation" IS 'The code with which a member invites; it stays the same, since friends keep links for long.';
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
-- Create model Referral
--
CREATE TABLE "referral" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "event_key" UUID NOT NULL UNIQUE,
    "state" VARCHAR(8) NOT NULL,
    "voidings" INT NOT NULL DEFAULT 0,
    "came_at" TIMESTAMPTZ NOT NULL,
    "fan_id" BIGINT NOT NULL REFERENCES "fan" ("id") ON DELETE RESTRICT,
    "inviter_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    "invitee_id" BIGINT NOT NULL UNIQUE REFERENCES "member" ("id") ON DELETE RESTRICT
);
CREATE INDEX "referral_inviter_idx" ON "referral" ("inviter_id", "id");
COMMENT ON TABLE "referral" IS 'A new member who came through a member''s code. Both are home members; one row per new member ever.';
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
ALTER TABLE referral ADD CONSTRAINT referral_state_known CHECK (state IN ('counts', 'void', 'fraud'))
