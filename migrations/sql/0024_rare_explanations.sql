--
-- Run SQL
--
CREATE INDEX award_explanation_less_idx ON award_explanation (id) WHERE given >= 0 AND (given < planned OR asset = '')
CREATE INDEX award_explanation_back_idx ON award_explanation (id) WHERE given < 0
