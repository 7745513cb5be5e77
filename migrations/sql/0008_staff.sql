--
-- Create model Audit
--
CREATE TABLE "audit" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "at" TIMESTAMPTZ NOT NULL,
    "staff_id" BIGINT,
    "staff_name" VARCHAR(64) NOT NULL,
    "address" VARCHAR(45) NOT NULL DEFAULT '',
    "action" VARCHAR(48) NOT NULL,
    "subject" VARCHAR(64) NOT NULL,
    "subject_name" VARCHAR(64) NOT NULL DEFAULT '',
    "brand_id" BIGINT,
    "before" JSONB,
    "after" JSONB
);
CREATE INDEX "audit_brand_idx" ON "audit" ("brand_id", "id");
CREATE INDEX "audit_staff_idx" ON "audit" ("staff_id", "id");
CREATE INDEX "audit_subject_idx" ON "audit" ("subject", "id");
COMMENT ON TABLE "audit" IS 'Who changed what, when, from where. Append-only: a trigger refuses anything else.';
--
-- Create model Role
--
CREATE TABLE "role" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "code" VARCHAR(16)  UNIQUE,
    "name" VARCHAR(32) NOT NULL,
    "permissions" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_role_brand_i_236d62" UNIQUE ("brand_id", "name")
);
COMMENT ON TABLE "role" IS 'A role 角色. A built-in one has a code, and its permissions stand in `permissions.py`.';
--
-- Create model SignInFailure
--
CREATE TABLE "sign_in_failure" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "subject" VARCHAR(64) NOT NULL UNIQUE,
    "failures" INT NOT NULL DEFAULT 0,
    "failed_at" TIMESTAMPTZ NOT NULL,
    "locked_until" TIMESTAMPTZ
);
CREATE INDEX "sign_in_failure_failed_idx" ON "sign_in_failure" ("failed_at");
COMMENT ON TABLE "sign_in_failure" IS 'Sign-ins that failed, per login name (known or not) and per address: what the next one has to wait for.';
--
-- Create model Staff
--
CREATE TABLE "staff" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "login" VARCHAR(32) NOT NULL UNIQUE,
    "name" VARCHAR(32) NOT NULL,
    "password_hash" VARCHAR(160) NOT NULL,
    "must_change" BOOL NOT NULL DEFAULT TRUE,
    "status" VARCHAR(8) NOT NULL DEFAULT 'active',
    "all_brands" BOOL NOT NULL DEFAULT FALSE,
    "skills" JSONB NOT NULL,
    "capacity" SMALLINT NOT NULL DEFAULT 5,
    "created_at" TIMESTAMPTZ NOT NULL,
    "signed_in_at" TIMESTAMPTZ,
    "role_id" BIGINT NOT NULL REFERENCES "role" ("id") ON DELETE RESTRICT
);
CREATE INDEX "staff_role_idx" ON "staff" ("role_id");
COMMENT ON TABLE "staff" IS 'A member of staff 员工. Never deleted: what they did keeps their name.';
--
-- Create model StaffBrand
--
CREATE TABLE "staff_brand" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    "staff_id" BIGINT NOT NULL REFERENCES "staff" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_staff_brand_staff_i_b49adc" UNIQUE ("staff_id", "brand_id")
);
COMMENT ON TABLE "staff_brand" IS 'A brand that a member of staff works for.';
--
-- Create model StaffSession
--
CREATE TABLE "staff_session" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "token_hash" VARCHAR(64) NOT NULL UNIQUE,
    "address" VARCHAR(45) NOT NULL,
    "agent" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "seen_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL,
    "revoked_at" TIMESTAMPTZ,
    "revoked_why" VARCHAR(12) NOT NULL DEFAULT '',
    "staff_id" BIGINT NOT NULL REFERENCES "staff" ("id") ON DELETE RESTRICT
);
CREATE INDEX "staff_session_staff_idx" ON "staff_session" ("staff_id");
CREATE INDEX "staff_session_expires_idx" ON "staff_session" ("expires_at");
COMMENT ON TABLE "staff_session" IS 'Somebody signed in at one browser.';
--
-- Run SQL
--
ALTER TABLE staff ADD CONSTRAINT staff_status_known CHECK (status IN ('active', 'disabled'))
ALTER TABLE staff ADD CONSTRAINT staff_capacity_sane CHECK (capacity BETWEEN 0 AND 100)
ALTER TABLE staff_session ADD CONSTRAINT staff_session_why_known CHECK (revoked_why IN ('', 'signed_out', 'revoked', 'password', 'disabled', 'replaced'))
ALTER TABLE staff_session ADD CONSTRAINT staff_session_why_said CHECK ((revoked_at IS NULL) = (revoked_why = ''))
--
-- Run SQL
--
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit is append-only'; END $$
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
--
-- Run SQL
--
INSERT INTO role (code, name, permissions, created_at) VALUES ('admin', '管理员', '[]', now()), ('supervisor', '客服主管', '[]', now()), ('agent', '客服', '[]', now()), ('operator', '运营', '[]', now()), ('viewer', '只读', '[]', now())
