--
-- Create model KnowledgeBase
--
CREATE TABLE "knowledge_base" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "revision" BIGINT NOT NULL,
    "synonyms" JSONB NOT NULL,
    "synonyms_revision" INT NOT NULL,
    "brand_id" BIGINT NOT NULL UNIQUE REFERENCES "brand" ("id") ON DELETE RESTRICT
);
COMMENT ON TABLE "knowledge_base" IS 'A brand''s synonyms, and a number that grows with every change its index has to follow.';
--
-- Create model KnowledgeEntry
--
CREATE TABLE "knowledge_entry" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "kind" VARCHAR(8) NOT NULL,
    "key" UUID NOT NULL UNIQUE,
    "external_id" VARCHAR(128),
    "status" VARCHAR(10) NOT NULL,
    "newest" INT NOT NULL,
    "published" INT,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_knowledge_e_brand_i_946540" UNIQUE ("brand_id", "external_id")
);
CREATE INDEX "knowledge_entry_brand_idx" ON "knowledge_entry" ("brand_id", "status", "id");
COMMENT ON TABLE "knowledge_entry" IS 'An article, or a question with its answer. What it says stands in versions; fans see the published one.';
--
-- Create model KnowledgeVector
--
CREATE TABLE "knowledge_vector" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "model" VARCHAR(64) NOT NULL,
    "digest" UUID NOT NULL,
    "vector" BYTEA NOT NULL,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_knowledge_v_brand_i_8bc3a2" UNIQUE ("brand_id", "model", "digest")
);
COMMENT ON TABLE "knowledge_vector" IS 'The embedding of a published text, kept by what the text says: the same text is never embedded twice.';
--
-- Create model KnowledgeVersion
--
CREATE TABLE "knowledge_version" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "number" INT NOT NULL,
    "title" VARCHAR(200) NOT NULL,
    "body" TEXT NOT NULL,
    "alternatives" JSONB NOT NULL,
    "category" VARCHAR(64) NOT NULL,
    "valid_from" TIMESTAMPTZ,
    "valid_until" TIMESTAMPTZ,
    "author" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "entry_id" BIGINT NOT NULL REFERENCES "knowledge_entry" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_knowledge_v_entry_i_2add45" UNIQUE ("entry_id", "number")
);
COMMENT ON TABLE "knowledge_version" IS 'What an entry said from one edit to the next; never changed.';
--
-- Run SQL
--
ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_kind_known CHECK (kind IN ('article', 'qa'))
ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_status_known CHECK (status IN ('draft', 'published', 'archived'))
ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_published_says_what CHECK ((status = 'published') = (published IS NOT NULL))
ALTER TABLE knowledge_entry ADD CONSTRAINT knowledge_entry_published_exists CHECK (published <= newest)
ALTER TABLE knowledge_version ADD CONSTRAINT knowledge_version_validity_ordered CHECK (valid_from < valid_until)

    CREATE FUNCTION fensi_keep_knowledge_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a version of an entry never changes' USING ERRCODE = 'restrict_violation';
    END $$


    CREATE TRIGGER knowledge_version_kept BEFORE UPDATE OR DELETE ON knowledge_version
        FOR EACH ROW EXECUTE FUNCTION fensi_keep_knowledge_version()

