"""Tables of the ledger.

Every movement is a `ledger_entry` with postings that add up to zero. What a holder has lies in lots, spent
first in, first out; `ledger_balance` is the running sum of the holder's postings, kept in the same transaction
and checked against lots and postings by the tests, never assigned.

Indexes of live lots and of holders' postings only are partial in a way tortoise cannot say: migration 0003 has
them as SQL, and tests/contracts/test_schema.py lists them.
"""

from datetime import date, datetime
from uuid import UUID

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class LedgerEntry(Model):
    """One movement of one asset of one holder: an award, a spend, a clawback, an expiry, or the undoing of one."""

    id: int = fields.BigIntField(primary_key=True)
    # The business key: (source, event, rule, beneficiary) of an award, the redemption of a spend …
    key: UUID = fields.UUIDField(unique=True)
    kind = fields.CharField(12)
    asset = fields.CharField(16)
    # The home member (see scrm.members.models), later a dealer: whoever the asset belongs to.
    holder_id: int = fields.BigIntField()
    # Signed, as the holder's statement shows it.
    amount: int = fields.BigIntField()
    description = fields.CharField(200)
    platform = fields.CharField(32)
    event_key: UUID | None = fields.UUIDField(null=True)
    rule = fields.CharField(64, db_default="")
    rule_version: int | None = fields.IntField(null=True)
    # The natural day in Asia/Shanghai that its rule counts it under; null where no rule does.
    day: date | None = fields.DateField(null=True)
    undoes: fields.ForeignKeyNullableRelation["LedgerEntry"] = fields.ForeignKeyField(
        "scrm.LedgerEntry", null=True, on_delete=OnDelete.RESTRICT, related_name="undone_by"
    )
    occurred_at: datetime = fields.DatetimeField()
    recorded_at: datetime = fields.DatetimeField()

    undoes_id: int | None

    class Meta:
        table = "ledger_entry"
        indexes = [
            Index(fields=("event_key",), name="ledger_entry_event_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="kind IN ('award', 'spend', 'clawback', 'expire', 'undo')", name="ledger_entry_kind_known"
            )
        ]


class LedgerPosting(Model):
    """One side of an entry. `holder` is what we owe a holder, `debt` what a holder owes us (never above zero)."""

    id: int = fields.BigIntField(primary_key=True)
    entry_id: int = fields.BigIntField()
    account = fields.CharField(10)
    holder_id: int | None = fields.BigIntField(null=True)
    asset = fields.CharField(16)
    amount: int = fields.BigIntField()

    class Meta:
        table = "ledger_posting"
        indexes = [
            Index(fields=("entry_id",), name="ledger_posting_entry_idx"),
        ]
        constraints = [
            CheckConstraint(
                check="account IN ('holder', 'debt', 'expense', 'redeemed', 'expired')",
                name="ledger_posting_account_known",
            ),
            CheckConstraint(
                check="(account IN ('holder', 'debt')) = (holder_id IS NOT NULL)", name="ledger_posting_holder_named"
            ),
        ]


class LedgerLot(Model):
    """What one award left in a holder's hands: spent first in, first out, gone at its expiry."""

    id: int = fields.BigIntField(primary_key=True)
    entry_id: int = fields.BigIntField(unique=True)
    holder_id: int = fields.BigIntField()
    asset = fields.CharField(16)
    amount: int = fields.BigIntField()
    remaining: int = fields.BigIntField()
    earned_at: datetime = fields.DatetimeField()
    expires_at: datetime | None = fields.DatetimeField(null=True)
    # How often it expired: a spend undone after the expiry gives back what then expires anew.
    expiries = fields.IntField(db_default=0)

    class Meta:
        table = "ledger_lot"
        constraints = [
            CheckConstraint(check="remaining >= 0 AND remaining <= amount AND amount > 0", name="ledger_lot_bounds")
        ]


class LedgerDraw(Model):
    """What an entry took from a lot, so that undoing it gives back to the very same lot."""

    id: int = fields.BigIntField(primary_key=True)
    entry_id: int = fields.BigIntField()
    lot_id: int = fields.BigIntField()
    amount: int = fields.BigIntField()

    class Meta:
        table = "ledger_draw"
        unique_together = (("entry_id", "lot_id"),)
        constraints = [CheckConstraint(check="amount > 0", name="ledger_draw_positive")]


class LedgerBalance(Model):
    """The running sums of a holder's postings: what they have, and what they owe."""

    id: int = fields.BigIntField(primary_key=True)
    holder_id: int = fields.BigIntField()
    asset = fields.CharField(16)
    balance: int = fields.BigIntField(db_default=0)
    debt: int = fields.BigIntField(db_default=0)

    class Meta:
        table = "ledger_balance"
        unique_together = (("holder_id", "asset"),)
        constraints = [CheckConstraint(check="balance >= 0 AND debt >= 0", name="ledger_balance_not_negative")]


class PendingAward(Model):
    """An award that matures later, unless a return or a verdict cancels it first."""

    id: int = fields.BigIntField(primary_key=True)
    key: UUID = fields.UUIDField(unique=True)
    asset = fields.CharField(16)
    holder_id: int = fields.BigIntField()
    amount: int = fields.BigIntField()
    # What returns and verdicts took of it since, before it was paid or after.
    withdrawn: int = fields.BigIntField(db_default=0)
    description = fields.CharField(200)
    platform = fields.CharField(32)
    event_key: UUID = fields.UUIDField()
    rule = fields.CharField(64)
    rule_version = fields.IntField()
    day: date = fields.DateField()
    # What a later event names to cancel or reduce it, such as the order.
    subject = fields.CharField(64)
    state = fields.CharField(10)
    due_at: datetime = fields.DatetimeField()
    created_at: datetime = fields.DatetimeField()
    settled_at: datetime | None = fields.DatetimeField(null=True)
    reason = fields.CharField(64, db_default="")
    expires_after_days: int | None = fields.IntField(null=True)

    class Meta:
        table = "pending_award"
        indexes = [
            PartialIndex(fields=("due_at",), name="pending_award_due_idx", condition={"state": "pending"}),
            Index(fields=("subject",), name="pending_award_subject_idx"),
            Index(fields=("holder_id", "state"), name="pending_award_holder_idx"),
        ]
        constraints = [
            CheckConstraint(check="state IN ('pending', 'paid', 'cancelled')", name="pending_award_state_known"),
            CheckConstraint(check="amount > 0", name="pending_award_positive"),
            CheckConstraint(
                check="withdrawn >= 0 AND withdrawn <= amount AND (state <> 'pending' OR withdrawn < amount)",
                name="pending_award_withdrawn_bounds",
            ),
        ]


class PointsAdjustment(Model):
    """Points or growth that one of the staff gave or took by hand, with why; the ledger's entry has the same key."""

    id: int = fields.BigIntField(primary_key=True)
    key: UUID = fields.UUIDField(unique=True)
    brand_id: int = fields.BigIntField()
    staff_id: int = fields.BigIntField()
    # The home member, as everywhere.
    member_id: int = fields.BigIntField()
    asset = fields.CharField(16)
    # Signed.
    amount: int = fields.BigIntField()
    reason = fields.CharField(100)
    # The natural day in Asia/Shanghai that the limit of the staff member counts it under.
    day: date = fields.DateField()
    created_at: datetime = fields.DatetimeField()

    class Meta:
        table = "points_adjustment"
        indexes = [
            Index(fields=("staff_id", "day"), name="points_adjustment_limit_idx"),
            Index(fields=("member_id",), name="points_adjustment_member_idx"),
        ]
        constraints = [CheckConstraint(check="amount <> 0", name="points_adjustment_not_nothing")]
