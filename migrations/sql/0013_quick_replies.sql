--
-- Create model QuickReply
--
CREATE TABLE "quick_reply" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "staff_id" BIGINT,
    "title" VARCHAR(32) NOT NULL,
    "text" VARCHAR(600) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
CREATE INDEX "quick_reply_owner_idx" ON "quick_reply" ("brand_id", "staff_id");
COMMENT ON TABLE "quick_reply" IS 'A text that staff send often: of the whole brand, or of one person. Variables such as {昵称} are filled in.';
