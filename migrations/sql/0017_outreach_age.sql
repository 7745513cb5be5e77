--
-- Add index to Decision
--
CREATE INDEX "outreach_decision_age_idx" ON "outreach_decision" ("decided_at", "id");
