"""The ledger of points and growth: entries, postings, lots, draws, balances, pending awards."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_kind_known CHECK (kind IN ('award', 'spend', 'clawback', 'expire', 'undo'))",
    "ALTER TABLE ledger_posting ADD CONSTRAINT ledger_posting_account_known CHECK (account IN ('holder', 'debt', 'expense', 'redeemed', 'expired'))",
    "ALTER TABLE ledger_posting ADD CONSTRAINT ledger_posting_holder_named CHECK ((account IN ('holder', 'debt')) = (holder_id IS NOT NULL))",
    "ALTER TABLE ledger_lot ADD CONSTRAINT ledger_lot_bounds CHECK (remaining >= 0 AND remaining <= amount AND amount > 0)",
    "ALTER TABLE ledger_draw ADD CONSTRAINT ledger_draw_positive CHECK (amount > 0)",
    "ALTER TABLE ledger_balance ADD CONSTRAINT ledger_balance_not_negative CHECK (balance >= 0 AND debt >= 0)",
    "ALTER TABLE pending_award ADD CONSTRAINT pending_award_state_known CHECK (state IN ('pending', 'paid', 'cancelled'))",
    "ALTER TABLE pending_award ADD CONSTRAINT pending_award_positive CHECK (amount > 0)",
    "ALTER TABLE pending_award ADD CONSTRAINT pending_award_withdrawn_bounds CHECK (withdrawn >= 0 AND withdrawn <= amount AND (state <> 'pending' OR withdrawn < amount))",
]
DROP_CHECKS = [
    "ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_kind_known",
    "ALTER TABLE ledger_posting DROP CONSTRAINT ledger_posting_account_known",
    "ALTER TABLE ledger_posting DROP CONSTRAINT ledger_posting_holder_named",
    "ALTER TABLE ledger_lot DROP CONSTRAINT ledger_lot_bounds",
    "ALTER TABLE ledger_draw DROP CONSTRAINT ledger_draw_positive",
    "ALTER TABLE ledger_balance DROP CONSTRAINT ledger_balance_not_negative",
    "ALTER TABLE pending_award DROP CONSTRAINT pending_award_state_known",
    "ALTER TABLE pending_award DROP CONSTRAINT pending_award_positive",
    "ALTER TABLE pending_award DROP CONSTRAINT pending_award_withdrawn_bounds",
]

# Partial in a way tortoise cannot say: spent lots and the promotion expense's postings stay out, so that spending
# costs the same after ten movements and after a hundred thousand.
PARTIAL_INDEXES = [
    "CREATE INDEX ledger_lot_fifo_idx ON ledger_lot (holder_id, asset, earned_at, id) WHERE remaining > 0",
    "CREATE INDEX ledger_lot_expiring_idx ON ledger_lot (holder_id, asset, expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL",
    "CREATE INDEX ledger_lot_expiry_idx ON ledger_lot (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL",
    "CREATE INDEX ledger_posting_statement_idx ON ledger_posting (holder_id, asset, entry_id) WHERE holder_id IS NOT NULL",
]
DROP_PARTIAL_INDEXES = [
    "DROP INDEX ledger_lot_fifo_idx",
    "DROP INDEX ledger_lot_expiring_idx",
    "DROP INDEX ledger_lot_expiry_idx",
    "DROP INDEX ledger_posting_statement_idx",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0002_jobs")]

    initial = False

    operations = [
        ops.CreateModel(
            name="LedgerBalance",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("holder_id", fields.BigIntField()),
                ("asset", fields.CharField(max_length=16)),
                ("balance", fields.BigIntField(db_default=0)),
                ("debt", fields.BigIntField(db_default=0)),
            ],
            options={
                "table": "ledger_balance",
                "app": "scrm",
                "unique_together": (("holder_id", "asset"),),
                "constraints": [
                    CheckConstraint(check="balance >= 0 AND debt >= 0", name="ledger_balance_not_negative")
                ],
                "pk_attr": "id",
                "table_description": "The running sums of a holder's postings: what they have, and what they owe.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerDraw",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("entry_id", fields.BigIntField()),
                ("lot_id", fields.BigIntField()),
                ("amount", fields.BigIntField()),
            ],
            options={
                "table": "ledger_draw",
                "app": "scrm",
                "unique_together": (("entry_id", "lot_id"),),
                "constraints": [CheckConstraint(check="amount > 0", name="ledger_draw_positive")],
                "pk_attr": "id",
                "table_description": "What an entry took from a lot, so that undoing it gives back to the very same lot.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
                ("kind", fields.CharField(max_length=12)),
                ("asset", fields.CharField(max_length=16)),
                ("holder_id", fields.BigIntField()),
                ("amount", fields.BigIntField()),
                ("description", fields.CharField(max_length=200)),
                ("platform", fields.CharField(max_length=32)),
                ("event_key", fields.UUIDField(null=True)),
                ("rule", fields.CharField(db_default="", max_length=64)),
                ("rule_version", fields.IntField(null=True)),
                ("day", fields.DateField(null=True)),
                (
                    "undoes",
                    fields.ForeignKeyField(
                        "scrm.LedgerEntry",
                        source_field="undoes_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        related_name="undone_by",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("recorded_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "ledger_entry",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="kind IN ('award', 'spend', 'clawback', 'expire', 'undo')", name="ledger_entry_kind_known"
                    )
                ],
                "indexes": [
                    Index(fields=["event_key"], name="ledger_entry_event_idx"),
                ],
                "pk_attr": "id",
                "table_description": "One movement of one asset of one holder: an award, a spend, a clawback, an expiry, or the undoing of one.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerLot",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("entry_id", fields.BigIntField(unique=True)),
                ("holder_id", fields.BigIntField()),
                ("asset", fields.CharField(max_length=16)),
                ("amount", fields.BigIntField()),
                ("remaining", fields.BigIntField()),
                ("earned_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("expiries", fields.IntField(db_default=0)),
            ],
            options={
                "table": "ledger_lot",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="remaining >= 0 AND remaining <= amount AND amount > 0", name="ledger_lot_bounds"
                    )
                ],
                "pk_attr": "id",
                "table_description": "What one award left in a holder's hands: spent first in, first out, gone at its expiry.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerPosting",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("entry_id", fields.BigIntField()),
                ("account", fields.CharField(max_length=10)),
                ("holder_id", fields.BigIntField(null=True)),
                ("asset", fields.CharField(max_length=16)),
                ("amount", fields.BigIntField()),
            ],
            options={
                "table": "ledger_posting",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="account IN ('holder', 'debt', 'expense', 'redeemed', 'expired')",
                        name="ledger_posting_account_known",
                    ),
                    CheckConstraint(
                        check="(account IN ('holder', 'debt')) = (holder_id IS NOT NULL)",
                        name="ledger_posting_holder_named",
                    ),
                ],
                "indexes": [Index(fields=["entry_id"], name="ledger_posting_entry_idx")],
                "pk_attr": "id",
                "table_description": "One side of an entry. `holder` is what we owe a holder, `debt` what a holder owes us (never above zero).",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PendingAward",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
                ("asset", fields.CharField(max_length=16)),
                ("holder_id", fields.BigIntField()),
                ("amount", fields.BigIntField()),
                ("withdrawn", fields.BigIntField(db_default=0)),
                ("description", fields.CharField(max_length=200)),
                ("platform", fields.CharField(max_length=32)),
                ("event_key", fields.UUIDField()),
                ("rule", fields.CharField(max_length=64)),
                ("rule_version", fields.IntField()),
                ("day", fields.DateField()),
                ("subject", fields.CharField(max_length=64)),
                ("state", fields.CharField(max_length=10)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("settled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("reason", fields.CharField(db_default="", max_length=64)),
                ("expires_after_days", fields.IntField(null=True)),
            ],
            options={
                "table": "pending_award",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="state IN ('pending', 'paid', 'cancelled')", name="pending_award_state_known"
                    ),
                    CheckConstraint(check="amount > 0", name="pending_award_positive"),
                    CheckConstraint(
                        check="withdrawn >= 0 AND withdrawn <= amount AND (state <> 'pending' OR withdrawn < amount)",
                        name="pending_award_withdrawn_bounds",
                    ),
                ],
                "indexes": [
                    PartialIndex(fields=["due_at"], name="pending_award_due_idx", condition={"state": "pending"}),
                    Index(fields=["subject"], name="pending_award_subject_idx"),
                    Index(fields=["holder_id", "state"], name="pending_award_holder_idx"),
                ],
                "pk_attr": "id",
                "table_description": "An award that matures later, unless a return or a verdict cancels it first.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
        ops.RunSQL(PARTIAL_INDEXES, DROP_PARTIAL_INDEXES),
    ]
