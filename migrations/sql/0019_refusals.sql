--
-- Add field refused_at to Fan
--
ALTER TABLE "fan" ADD COLUMN "refused_at" TIMESTAMPTZ
--
-- Add field refused_code to Fan
--
ALTER TABLE "fan" ADD COLUMN "refused_code" INT
