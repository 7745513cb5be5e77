--
-- Create model AccountWords
--
CREATE TABLE "account_words" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "texts" JSONB NOT NULL,
    "account_id" BIGINT NOT NULL UNIQUE REFERENCES "account" ("id") ON DELETE CASCADE
);
COMMENT ON TABLE "account_words" IS 'An account''s own words, which go before its brand''s.';
--
-- Create model DeskWords
--
CREATE TABLE "desk_words" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "texts" JSONB NOT NULL,
    "brand_id" BIGINT NOT NULL UNIQUE REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "desk_words" IS 'A brand''s own words by their names (scrm.conversations.words.DEFAULTS); what is not in it is said as usual.';
