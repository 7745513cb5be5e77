--
-- Create model Tag
--
CREATE TABLE "tag" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(32) NOT NULL,
    "category" VARCHAR(32) NOT NULL DEFAULT '',
    "created_at" TIMESTAMPTZ NOT NULL,
    "archived_at" TIMESTAMPTZ,
    "brand_id" BIGINT NOT NULL REFERENCES "brand" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_tag_brand_i_b6ee41" UNIQUE ("brand_id", "name")
);
COMMENT ON TABLE "tag" IS 'A tag 标签 of a brand. Archived, it is offered no more; whoever has it keeps it.';
--
-- Create model MemberTag
--
CREATE TABLE "member_tag" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "source" VARCHAR(8) NOT NULL,
    "staff_id" BIGINT,
    "put_at" TIMESTAMPTZ NOT NULL,
    "member_id" BIGINT NOT NULL REFERENCES "member" ("id") ON DELETE RESTRICT,
    "tag_id" BIGINT NOT NULL REFERENCES "tag" ("id") ON DELETE RESTRICT,
    CONSTRAINT "uid_member_tag_tag_id_08c046" UNIQUE ("tag_id", "member_id")
);
CREATE INDEX "member_tag_member_idx" ON "member_tag" ("member_id");
COMMENT ON TABLE "member_tag" IS 'A tag on a member; who put it there and when. Taking it off removes the row, the timeline remembers both.';
--
-- Run SQL
--
ALTER TABLE member_tag ADD CONSTRAINT member_tag_source_known CHECK (source IN ('staff', 'import', 'rule'))
ALTER TABLE member_tag ADD CONSTRAINT member_tag_staff_named CHECK (source <> 'staff' OR staff_id IS NOT NULL)
