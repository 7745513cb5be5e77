--
-- Create model Checkin
--
CREATE TABLE "checkin" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "event_key" UUID NOT NULL UNIQUE,
    "day" DATE NOT NULL,
    "kind" VARCHAR(8) NOT NULL,
    "occurred_at" TIMESTAMPTZ NOT NULL,
    "doublings" INT NOT NULL DEFAULT 0,
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE RESTRICT,
    "doubles_id" BIGINT REFERENCES "checkin" ("id") ON DELETE RESTRICT,
    "fan_id" BIGINT REFERENCES "fan" ("id") ON DELETE RESTRICT,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_checkin_member__23f737" UNIQUE ("member_id", "day")
);
CREATE INDEX "checkin_doubles_idx" ON "checkin" ("doubles_id");
COMMENT ON TABLE "checkin" IS 'One natural day in Asia/Shanghai on which a home member checked in, or which they made up later.';
--
-- Create model CheckinPolicy
--
CREATE TABLE "checkin_policy" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "cards_per_month" INT NOT NULL,
    "days_back" INT NOT NULL,
    "brand_id" BIGINT NOT NULL UNIQUE REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "checkin_policy" IS 'What a brand allows beyond checking in today; without a row there are no make-up cards.';
--
-- Create model Gift
--
CREATE TABLE "gift" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(64) NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "price" INT NOT NULL,
    "stock" INT NOT NULL DEFAULT 0,
    "per_person" INT,
    "level" VARCHAR(32),
    "on_sale_from" TIMESTAMPTZ,
    "on_sale_until" TIMESTAMPTZ,
    "enabled" BOOL NOT NULL DEFAULT TRUE,
    "picture" VARCHAR(255) NOT NULL DEFAULT '',
    "created_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT
);
CREATE INDEX "gift_brand_idx" ON "gift" ("brand_id", "id");
COMMENT ON TABLE "gift" IS 'A gift 积分商品. `stock` of a virtual one is the number of its free codes.';
--
-- Create model MemberAddress
--
CREATE TABLE "member_address" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "sealed" TEXT NOT NULL,
    "is_default" BOOL NOT NULL DEFAULT FALSE,
    "created_at" TIMESTAMPTZ NOT NULL,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT
);
CREATE INDEX "member_address_member_idx" ON "member_address" ("member_id");
COMMENT ON TABLE "member_address" IS 'Where a member wants things sent; name, phone and address are one seal.';
--
-- Create model Redemption
--
CREATE TABLE "redemption" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "points" INT NOT NULL,
    "state" VARCHAR(10) NOT NULL,
    "address_sealed" TEXT,
    "shipping_company" VARCHAR(32) NOT NULL DEFAULT '',
    "shipping_number" VARCHAR(64) NOT NULL DEFAULT '',
    "placed_at" TIMESTAMPTZ NOT NULL,
    "shipped_at" TIMESTAMPTZ,
    "completed_at" TIMESTAMPTZ,
    "cancelled_at" TIMESTAMPTZ,
    "cancel_reason" VARCHAR(100) NOT NULL DEFAULT '',
    "account_id" BIGINT NOT NULL REFERENCES "account" ("id") ON DELETE RESTRICT,
    "fan_id" BIGINT REFERENCES "fan" ("id") ON DELETE RESTRICT,
    "gift_id" BIGINT NOT NULL REFERENCES "gift" ("id") ON DELETE RESTRICT,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT
);
CREATE INDEX "redemption_member_idx" ON "redemption" ("member_id", "id");
CREATE INDEX "redemption_gift_idx" ON "redemption" ("gift_id", "state");
COMMENT ON TABLE "redemption" IS 'One gift redeemed by one member: placed → shipped → completed, or cancelled.';
--
-- Create model GiftCode
--
CREATE TABLE "gift_code" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "sealed" TEXT NOT NULL,
    "fingerprint" VARCHAR(64) NOT NULL UNIQUE,
    "state" VARCHAR(10) NOT NULL,
    "shown_at" TIMESTAMPTZ,
    "gift_id" BIGINT NOT NULL REFERENCES "gift" ("id") ON DELETE RESTRICT,
    "redemption_id" BIGINT REFERENCES "redemption" ("id") ON DELETE RESTRICT
);
CREATE INDEX "gift_code_free_idx" ON "gift_code" ("gift_id", "id") WHERE state = 'free';
CREATE INDEX "gift_code_redemption_idx" ON "gift_code" ("redemption_id");
COMMENT ON TABLE "gift_code" IS 'One code of a virtual gift: worth money, so it is sealed; the fingerprint keeps it from being loaded twice.';
--
-- Run SQL
--
ALTER TABLE checkin ADD CONSTRAINT checkin_kind_known CHECK (kind IN ('done', 'made_up'))
ALTER TABLE checkin_policy ADD CONSTRAINT checkin_policy_sensible CHECK (cards_per_month >= 0 AND days_back >= 1)
ALTER TABLE gift ADD CONSTRAINT gift_kind_known CHECK (kind IN ('physical', 'virtual'))
ALTER TABLE gift ADD CONSTRAINT gift_stock_not_negative CHECK (stock >= 0)
ALTER TABLE gift ADD CONSTRAINT gift_numbers_positive CHECK (price > 0 AND per_person > 0)
ALTER TABLE gift ADD CONSTRAINT gift_window_ordered CHECK (on_sale_from < on_sale_until)
ALTER TABLE redemption ADD CONSTRAINT redemption_state_known CHECK (state IN ('placed', 'shipped', 'completed', 'cancelled'))
ALTER TABLE redemption ADD CONSTRAINT redemption_points_positive CHECK (points > 0)
ALTER TABLE gift_code ADD CONSTRAINT gift_code_state_known CHECK (state IN ('free', 'given', 'shown', 'void'))
ALTER TABLE gift_code ADD CONSTRAINT gift_code_taken_by_somebody CHECK ((state = 'free') = (redemption_id IS NULL))
