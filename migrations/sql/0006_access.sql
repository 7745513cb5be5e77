--
-- Create model MemberSession
--
CREATE TABLE "member_session" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "refresh_hash" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL,
    "revoked_at" TIMESTAMPTZ,
    "revoked_why" VARCHAR(12) NOT NULL DEFAULT '',
    "fan_id" BIGINT NOT NULL REFERENCES "fan" ("id") ON DELETE RESTRICT
);
CREATE INDEX "member_session_fan_idx" ON "member_session" ("fan_id");
CREATE INDEX "member_session_expires_idx" ON "member_session" ("expires_at");
COMMENT ON TABLE "member_session" IS 'A member signed in at one mini-program, on one device. Nothing WeChat told about the login is kept.';
--
-- Create model IdempotentRequest
--
CREATE TABLE "idempotent_request" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "scope" VARCHAR(40) NOT NULL,
    "key" VARCHAR(64) NOT NULL,
    "request_hash" VARCHAR(64) NOT NULL,
    "state" VARCHAR(8) NOT NULL,
    "owner" UUID NOT NULL,
    "lease_until" TIMESTAMPTZ NOT NULL,
    "status" INT,
    "body_sealed" TEXT,
    "created_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_idempotent__scope_98a3ca" UNIQUE ("scope", "key")
);
CREATE INDEX "idempotent_request_created_idx" ON "idempotent_request" ("created_at");
COMMENT ON TABLE "idempotent_request" IS 'A write under an Idempotency-Key: who works on it until when, or the answer it got.';
--
-- Run SQL
--
ALTER TABLE member_session ADD CONSTRAINT member_session_why_known CHECK (revoked_why IN ('', 'signed_out', 'replayed', 'deleted'))
ALTER TABLE member_session ADD CONSTRAINT member_session_why_said CHECK ((revoked_at IS NULL) = (revoked_why = ''))
ALTER TABLE idempotent_request ADD CONSTRAINT idempotent_request_state_known CHECK (state IN ('running', 'done'))
ALTER TABLE idempotent_request ADD CONSTRAINT idempotent_request_done_answered CHECK ((state = 'done') = (status IS NOT NULL AND body_sealed IS NOT NULL))
