--
-- Create model ErasedIdentity
--
CREATE TABLE "erased_identity" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "fingerprint" VARCHAR(64) NOT NULL UNIQUE,
    "expires_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "erased_identity_expires_idx" ON "erased_identity" ("expires_at");
COMMENT ON TABLE "erased_identity" IS 'The keyed fingerprint of an openid or unionid that was erased; forgotten itself after a while.';
--
-- Create model EventRedaction
--
CREATE TABLE "event_redaction" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "member_id" BIGINT NOT NULL,
    "xact" BIGINT NOT NULL,
    "redacted_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "event_redaction_xact_idx" ON "event_redaction" ("xact", "member_id");
COMMENT ON TABLE "event_redaction" IS 'On record: in this transaction the payloads of a member''s events were emptied, and nothing else.';
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
-- Alter options for Event
--
-- (no-op)
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
--
-- Run SQL
--

    CREATE FUNCTION fensi_number_of_xact() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.xact := pg_current_xact_id()::text::bigint;
        RETURN NEW;
    END $$


    CREATE TRIGGER event_redaction_here BEFORE INSERT ON event_redaction
        FOR EACH ROW EXECUTE FUNCTION fensi_number_of_xact()


    CREATE TRIGGER event_redaction_append_only BEFORE UPDATE OR DELETE ON event_redaction
        FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()


    CREATE FUNCTION fensi_only_redaction() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND NEW.payload = '{}'::jsonb AND to_jsonb(NEW) - 'payload' = to_jsonb(OLD) - 'payload'
           AND EXISTS (
               SELECT FROM event_redaction r
               WHERE r.xact = pg_current_xact_id()::text::bigint AND r.member_id = OLD.member_id
           )
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'restrict_violation';
    END $$

DROP TRIGGER event_append_only ON event

    CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event
        FOR EACH ROW EXECUTE FUNCTION fensi_only_redaction()

