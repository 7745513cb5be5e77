--
-- Alter options for GiftCode
--
-- (no-op)
--
-- Run SQL
--
ALTER TABLE gift_code RENAME CONSTRAINT gift_code_fingerprint_key TO uid_gift_code_fingerp_08b45c
--
-- Alter field fingerprint on GiftCode
--
ALTER TABLE "gift_code" DROP CONSTRAINT "uid_gift_code_fingerp_08b45c"
--
-- Add field brand to GiftCode
--
ALTER TABLE "gift_code" ADD COLUMN "brand_id" BIGINT REFERENCES "brand" ("id") ON DELETE RESTRICT
--
-- Run SQL
--
UPDATE gift_code c SET brand_id = g.brand_id FROM gift g WHERE g.id = c.gift_id
--
-- Alter field brand on GiftCode
--
ALTER TABLE "gift_code" ALTER COLUMN "brand_id" SET NOT NULL
--
-- Add constraint to GiftCode
--
ALTER TABLE "gift_code" ADD CONSTRAINT "uid_gift_code_brand_i_34843f" UNIQUE ("brand_id", "fingerprint")
