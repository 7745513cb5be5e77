--
-- Add field told to Push
--
ALTER TABLE "push" ADD COLUMN "told" INT NOT NULL DEFAULT 0
