--
-- Create model StockMovement
--
CREATE TABLE "gift_stock_movement" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "amount" INT NOT NULL,
    "stock" INT NOT NULL,
    "reason" VARCHAR(100) NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    "gift_id" BIGINT NOT NULL REFERENCES "gift" ("id") ON DELETE RESTRICT,
    "staff_id" BIGINT REFERENCES "staff" ("id") ON DELETE RESTRICT
);
CREATE INDEX "gift_stock_movement_idx" ON "gift_stock_movement" ("gift_id", "id");
COMMENT ON TABLE "gift_stock_movement" IS 'How many came into a gift''s stock (above zero) or were taken out by staff, and why. A trigger refuses changes.';
--
-- Run SQL
--
ALTER TABLE gift_stock_movement ADD CONSTRAINT gift_stock_movement_moves CHECK (amount <> 0)
CREATE TRIGGER gift_stock_movement_firm BEFORE UPDATE OR DELETE ON gift_stock_movement FOR EACH ROW EXECUTE FUNCTION fensi_refuse_change()
CREATE TRIGGER gift_stock_movement_not_truncated BEFORE TRUNCATE ON gift_stock_movement FOR EACH STATEMENT EXECUTE FUNCTION fensi_refuse_change()
--
-- Add field version to Gift
--
ALTER TABLE "gift" ADD COLUMN "version" INT NOT NULL DEFAULT 1
--
-- Add index to Redemption
--
CREATE INDEX "redemption_placed_idx" ON "redemption" ("id") WHERE state = 'placed';
