"""The points mall and check-in: gifts, codes, addresses, redemptions, checked-in days, what a brand allows."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint

# CreateModel emits no check constraints.
CHECKS = [
    "ALTER TABLE checkin ADD CONSTRAINT checkin_kind_known CHECK (kind IN ('done', 'made_up'))",
    "ALTER TABLE checkin_policy ADD CONSTRAINT checkin_policy_sensible CHECK (cards_per_month >= 0 AND days_back >= 1)",
    "ALTER TABLE gift ADD CONSTRAINT gift_kind_known CHECK (kind IN ('physical', 'virtual'))",
    "ALTER TABLE gift ADD CONSTRAINT gift_stock_not_negative CHECK (stock >= 0)",
    "ALTER TABLE gift ADD CONSTRAINT gift_numbers_positive CHECK (price > 0 AND per_person > 0)",
    "ALTER TABLE gift ADD CONSTRAINT gift_window_ordered CHECK (on_sale_from < on_sale_until)",
    "ALTER TABLE redemption ADD CONSTRAINT redemption_state_known CHECK (state IN ('placed', 'shipped', 'completed', 'cancelled'))",
    "ALTER TABLE redemption ADD CONSTRAINT redemption_points_positive CHECK (points > 0)",
    "ALTER TABLE gift_code ADD CONSTRAINT gift_code_state_known CHECK (state IN ('free', 'given', 'shown', 'void'))",
    "ALTER TABLE gift_code ADD CONSTRAINT gift_code_taken_by_somebody CHECK ((state = 'free') = (redemption_id IS NULL))",
]
DROP_CHECKS = [
    "ALTER TABLE checkin DROP CONSTRAINT checkin_kind_known",
    "ALTER TABLE checkin_policy DROP CONSTRAINT checkin_policy_sensible",
    "ALTER TABLE gift DROP CONSTRAINT gift_kind_known",
    "ALTER TABLE gift DROP CONSTRAINT gift_stock_not_negative",
    "ALTER TABLE gift DROP CONSTRAINT gift_numbers_positive",
    "ALTER TABLE gift DROP CONSTRAINT gift_window_ordered",
    "ALTER TABLE redemption DROP CONSTRAINT redemption_state_known",
    "ALTER TABLE redemption DROP CONSTRAINT redemption_points_positive",
    "ALTER TABLE gift_code DROP CONSTRAINT gift_code_state_known",
    "ALTER TABLE gift_code DROP CONSTRAINT gift_code_taken_by_somebody",
]


class Migration(migrations.Migration):
    dependencies = [("scrm", "0004_rules")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Checkin",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("event_key", fields.UUIDField(unique=True)),
                (
                    "member",
                    fields.ForeignKeyField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("day", fields.DateField()),
                ("kind", fields.CharField(max_length=8)),
                (
                    "account",
                    fields.ForeignKeyField(
                        "scrm.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "fan",
                    fields.ForeignKeyField(
                        "scrm.Fan",
                        source_field="fan_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                (
                    "doubles",
                    fields.ForeignKeyField(
                        "scrm.Checkin",
                        source_field="doubles_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        related_name="doubled_by",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("doublings", fields.IntField(db_default=0)),
            ],
            options={
                "table": "checkin",
                "app": "scrm",
                "unique_together": (("member_id", "day"),),
                "constraints": [CheckConstraint(check="kind IN ('done', 'made_up')", name="checkin_kind_known")],
                "indexes": [Index(fields=["doubles_id"], name="checkin_doubles_idx")],
                "pk_attr": "id",
                "table_description": "One natural day in Asia/Shanghai on which a home member checked in, or which they made up later.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="CheckinPolicy",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.OneToOneField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("cards_per_month", fields.IntField()),
                ("days_back", fields.IntField()),
            ],
            options={
                "table": "checkin_policy",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="cards_per_month >= 0 AND days_back >= 1", name="checkin_policy_sensible")
                ],
                "pk_attr": "id",
                "table_description": "What a brand allows beyond checking in today; without a row there are no make-up cards.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Gift",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "brand",
                    fields.ForeignKeyField(
                        "scrm.Brand",
                        source_field="brand_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("name", fields.CharField(max_length=64)),
                ("kind", fields.CharField(max_length=10)),
                ("price", fields.IntField()),
                ("stock", fields.IntField(db_default=0)),
                ("per_person", fields.IntField(null=True)),
                ("level", fields.CharField(null=True, max_length=32)),
                ("on_sale_from", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("on_sale_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("enabled", fields.BooleanField(db_default=True)),
                ("picture", fields.CharField(db_default="", max_length=255)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "gift",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="kind IN ('physical', 'virtual')", name="gift_kind_known"),
                    CheckConstraint(check="stock >= 0", name="gift_stock_not_negative"),
                    CheckConstraint(check="price > 0 AND per_person > 0", name="gift_numbers_positive"),
                    CheckConstraint(check="on_sale_from < on_sale_until", name="gift_window_ordered"),
                ],
                "indexes": [Index(fields=["brand_id", "id"], name="gift_brand_idx")],
                "pk_attr": "id",
                "table_description": "A gift 积分商品. `stock` of a virtual one is the number of its free codes.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MemberAddress",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "member",
                    fields.ForeignKeyField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("sealed", fields.TextField(unique=False)),
                ("is_default", fields.BooleanField(db_default=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "member_address",
                "app": "scrm",
                "indexes": [Index(fields=["member_id"], name="member_address_member_idx")],
                "pk_attr": "id",
                "table_description": "Where a member wants things sent; name, phone and address are one seal.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Redemption",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("key", fields.UUIDField(unique=True)),
                (
                    "gift",
                    fields.ForeignKeyField(
                        "scrm.Gift",
                        source_field="gift_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "member",
                    fields.ForeignKeyField(
                        "scrm.Member",
                        source_field="member_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "account",
                    fields.ForeignKeyField(
                        "scrm.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                (
                    "fan",
                    fields.ForeignKeyField(
                        "scrm.Fan",
                        source_field="fan_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("points", fields.IntField()),
                ("state", fields.CharField(max_length=10)),
                ("address_sealed", fields.TextField(null=True, unique=False)),
                ("shipping_company", fields.CharField(db_default="", max_length=32)),
                ("shipping_number", fields.CharField(db_default="", max_length=64)),
                ("placed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("shipped_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("completed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("cancelled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("cancel_reason", fields.CharField(db_default="", max_length=100)),
            ],
            options={
                "table": "redemption",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(
                        check="state IN ('placed', 'shipped', 'completed', 'cancelled')", name="redemption_state_known"
                    ),
                    CheckConstraint(check="points > 0", name="redemption_points_positive"),
                ],
                "indexes": [
                    Index(fields=["member_id", "id"], name="redemption_member_idx"),
                    Index(fields=["gift_id", "state"], name="redemption_gift_idx"),
                ],
                "pk_attr": "id",
                "table_description": "One gift redeemed by one member: placed → shipped → completed, or cancelled.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="GiftCode",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "gift",
                    fields.ForeignKeyField(
                        "scrm.Gift",
                        source_field="gift_id",
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("sealed", fields.TextField(unique=False)),
                ("fingerprint", fields.CharField(unique=True, max_length=64)),
                ("state", fields.CharField(max_length=10)),
                (
                    "redemption",
                    fields.ForeignKeyField(
                        "scrm.Redemption",
                        source_field="redemption_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("shown_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "gift_code",
                "app": "scrm",
                "constraints": [
                    CheckConstraint(check="state IN ('free', 'given', 'shown', 'void')", name="gift_code_state_known"),
                    CheckConstraint(
                        check="(state = 'free') = (redemption_id IS NULL)", name="gift_code_taken_by_somebody"
                    ),
                ],
                "indexes": [
                    PartialIndex(fields=["gift_id", "id"], name="gift_code_free_idx", condition={"state": "free"}),
                    Index(fields=["redemption_id"], name="gift_code_redemption_idx"),
                ],
                "pk_attr": "id",
                "table_description": "One code of a virtual gift: worth money, so it is sealed; the fingerprint keeps it from being loaded twice.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(CHECKS, DROP_CHECKS),
    ]
