--
-- Create model LedgerBalance
--
CREATE TABLE "ledger_balance" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "holder_id" BIGINT NOT NULL,
    "asset" VARCHAR(16) NOT NULL,
    "balance" BIGINT NOT NULL DEFAULT 0,
    "debt" BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT "uid_ledger_bala_holder__611d4a" UNIQUE ("holder_id", "asset")
);
COMMENT ON TABLE "ledger_balance" IS 'The running sums of a holder''s postings: what they have, and what they owe.';
--
-- Create model LedgerDraw
--
CREATE TABLE "ledger_draw" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "entry_id" BIGINT NOT NULL,
    "lot_id" BIGINT NOT NULL,
    "amount" BIGINT NOT NULL,
    CONSTRAINT "uid_ledger_draw_entry_i_4c97cf" UNIQUE ("entry_id", "lot_id")
);
COMMENT ON TABLE "ledger_draw" IS 'What an entry took from a lot, so that undoing it gives back to the very same lot.';
--
-- Create model LedgerEntry
--
CREATE TABLE "ledger_entry" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "kind" VARCHAR(12) NOT NULL,
    "asset" VARCHAR(16) NOT NULL,
    "holder_id" BIGINT NOT NULL,
    "amount" BIGINT NOT NULL,
    "description" VARCHAR(200) NOT NULL,
    "platform" VARCHAR(32) NOT NULL,
    "event_key" UUID,
    "rule" VARCHAR(64) NOT NULL DEFAULT '',
    "rule_version" INT,
    "day" DATE,
    "occurred_at" TIMESTAMPTZ NOT NULL,
    "recorded_at" TIMESTAMPTZ NOT NULL,
    "undoes_id" BIGINT REFERENCES "ledger_entry" ("id") ON DELETE RESTRICT
);
CREATE INDEX "ledger_entry_event_idx" ON "ledger_entry" ("event_key");
COMMENT ON TABLE "ledger_entry" IS 'One movement of one asset of one holder: an award, a spend, a clawback, an expiry, or the undoing of one.';
--
-- Create model LedgerLot
--
CREATE TABLE "ledger_lot" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "entry_id" BIGINT NOT NULL UNIQUE,
    "holder_id" BIGINT NOT NULL,
    "asset" VARCHAR(16) NOT NULL,
    "amount" BIGINT NOT NULL,
    "remaining" BIGINT NOT NULL,
    "earned_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ,
    "expiries" INT NOT NULL DEFAULT 0
);
COMMENT ON TABLE "ledger_lot" IS 'What one award left in a holder''s hands: spent first in, first out, gone at its expiry.';
--
-- Create model LedgerPosting
--
CREATE TABLE "ledger_posting" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "entry_id" BIGINT NOT NULL,
    "account" VARCHAR(10) NOT NULL,
    "holder_id" BIGINT,
    "asset" VARCHAR(16) NOT NULL,
    "amount" BIGINT NOT NULL
);
CREATE INDEX "ledger_posting_entry_idx" ON "ledger_posting" ("entry_id");
COMMENT ON TABLE "ledger_posting" IS 'One side of an entry. `holder` is what we owe a holder, `debt` what a holder owes us (never above zero).';
--
-- Create model PendingAward
--
CREATE TABLE "pending_award" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "key" UUID NOT NULL UNIQUE,
    "asset" VARCHAR(16) NOT NULL,
    "holder_id" BIGINT NOT NULL,
    "amount" BIGINT NOT NULL,
    "withdrawn" BIGINT NOT NULL DEFAULT 0,
    "description" VARCHAR(200) NOT NULL,
    "platform" VARCHAR(32) NOT NULL,
    "event_key" UUID NOT NULL,
    "rule" VARCHAR(64) NOT NULL,
    "rule_version" INT NOT NULL,
    "day" DATE NOT NULL,
    "subject" VARCHAR(64) NOT NULL,
    "state" VARCHAR(10) NOT NULL,
    "due_at" TIMESTAMPTZ NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "settled_at" TIMESTAMPTZ,
    "reason" VARCHAR(64) NOT NULL DEFAULT '',
    "expires_after_days" INT
);
CREATE INDEX "pending_award_due_idx" ON "pending_award" ("due_at") WHERE state = 'pending';
CREATE INDEX "pending_award_subject_idx" ON "pending_award" ("subject");
CREATE INDEX "pending_award_holder_idx" ON "pending_award" ("holder_id", "state");
COMMENT ON TABLE "pending_award" IS 'An award that matures later, unless a return or a verdict cancels it first.';
--
-- Run SQL
--
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_kind_known CHECK (kind IN ('award', 'spend', 'clawback', 'expire', 'undo'))
ALTER TABLE ledger_posting ADD CONSTRAINT ledger_posting_account_known CHECK (account IN ('holder', 'debt', 'expense', 'redeemed', 'expired'))
ALTER TABLE ledger_posting ADD CONSTRAINT ledger_posting_holder_named CHECK ((account IN ('holder', 'debt')) = (holder_id IS NOT NULL))
ALTER TABLE ledger_lot ADD CONSTRAINT ledger_lot_bounds CHECK (remaining >= 0 AND remaining <= amount AND amount > 0)
ALTER TABLE ledger_draw ADD CONSTRAINT ledger_draw_positive CHECK (amount > 0)
ALTER TABLE ledger_balance ADD CONSTRAINT ledger_balance_not_negative CHECK (balance >= 0 AND debt >= 0)
ALTER TABLE pending_award ADD CONSTRAINT pending_award_state_known CHECK (state IN ('pending', 'paid', 'cancelled'))
ALTER TABLE pending_award ADD CONSTRAINT pending_award_positive CHECK (amount > 0)
ALTER TABLE pending_award ADD CONSTRAINT pending_award_withdrawn_bounds CHECK (withdrawn >= 0 AND withdrawn <= amount AND (state <> 'pending' OR withdrawn < amount))
--
-- Run SQL
--
CREATE INDEX ledger_lot_fifo_idx ON ledger_lot (holder_id, asset, earned_at, id) WHERE remaining > 0
CREATE INDEX ledger_lot_expiring_idx ON ledger_lot (holder_id, asset, expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL
CREATE INDEX ledger_lot_expiry_idx ON ledger_lot (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL
CREATE INDEX ledger_posting_statement_idx ON ledger_posting (holder_id, asset, entry_id) WHERE holder_id IS NOT NULL
