--
-- Add index to AwardExplanation
--
CREATE INDEX "award_explanation_rule_idx" ON "award_explanation" ("rule_id", "id");
--
-- Add field growth_word to Brand
--
ALTER TABLE "brand" ADD COLUMN "growth_word" VARCHAR(8) NOT NULL DEFAULT '成长值'
--
-- Run SQL
--

UPDATE brand SET growth_word = '经验' WHERE id IN (
    SELECT brand_id FROM points_rule WHERE code IN ('community.post', 'community.comment', 'community.share')
)
