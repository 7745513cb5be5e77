--
-- Add field version to ReplyRule
--
ALTER TABLE "reply_rule" ADD COLUMN "version" INT NOT NULL DEFAULT 1
--
-- Add field version to Staff
--
ALTER TABLE "staff" ADD COLUMN "version" INT NOT NULL DEFAULT 1
