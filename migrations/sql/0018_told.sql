--
-- Add field told to Push
--
ALTER TABLE "push" ADD COLUMN "told" BOOL NOT NULL DEFAULT FALSE
