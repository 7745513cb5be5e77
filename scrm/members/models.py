"""Tables of members, their profiles, fans, identities and merges.

A merge never rewrites history: `merged_into` points to the person a member turned out to be, and every row
keeps pointing to the member it was first written for, its home. A split only clears the pointer.
"""

from datetime import date, datetime
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Member(Model):
    """A member 会员: one person, or a member that was merged into one."""

    id: int = fields.BigIntField(primary_key=True)
    # The person this one turned out to be; always a member that is itself not merged.
    merged_into: fields.ForeignKeyNullableRelation["Member"] = fields.ForeignKeyField(
        "scrm.Member", null=True, on_delete=OnDelete.RESTRICT, related_name="absorbed"
    )
    created_at = fields.DatetimeField()
    # When the person asked to be forgotten: the row stays for the ledger and points to nobody.
    erased_at: datetime | None = fields.DatetimeField(null=True)

    merged_into_id: int | None

    class Meta:
        table = "member"
        indexes = [Index(fields=("merged_into_id",), name="member_merged_into_idx")]


class MemberProfile(Model):
    """What a member says of themselves, at the home where they said it; a person's profile is put together from all.

    Of each field the latest word over all homes counts, also that it is to be empty. So after a split each home has
    its own again.
    """

    id: int = fields.BigIntField(primary_key=True)
    member: fields.OneToOneRelation[Member] = fields.OneToOneField("scrm.Member", on_delete=OnDelete.RESTRICT)
    nickname = fields.CharField(32, null=True)
    # Real name and phone number are seals.
    name_sealed: str | None = fields.TextField(null=True)
    phone_sealed: str | None = fields.TextField(null=True)
    # By which a name is found without being opened: the keyed fingerprint of exactly these letters.
    name_fingerprint = fields.CharField(64, null=True)
    gender = fields.CharField(8, null=True)
    birthday: date | None = fields.DateField(null=True)
    province = fields.CharField(32, null=True)
    city = fields.CharField(32, null=True)
    avatar = fields.CharField(500, null=True)
    # When each field was last set at this home, by name, ISO 8601; a field never set is not here.
    said_at = fields.JSONField[dict[str, str]]()
    # Counts changes, so that each is an event of its own.
    revision = fields.IntField(db_default=0)

    member_id: int

    class Meta:
        table = "member_profile"
        indexes = [Index(fields=("name_fingerprint",), name="member_profile_name_idx")]
        constraints = [
            CheckConstraint(check="gender IN ('male', 'female', 'other')", name="member_profile_gender_known")
        ]


class Fan(Model):
    """A fan 粉丝: one openid at one account. Stays known after unfollowing."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.ForeignKeyRelation[Any] = fields.ForeignKeyField("scrm.Account", on_delete=OnDelete.RESTRICT)
    openid = fields.CharField(64)
    member: fields.ForeignKeyRelation[Member] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    following = fields.BooleanField(db_default=False)
    # When the platform says following last changed; an older push that arrives later changes nothing.
    follow_changed_at: datetime | None = fields.DatetimeField(null=True)
    follow_count = fields.IntField(db_default=0)
    # The platform's last refusal of a message to this very fan (scrm.outreach.service): its errcode, and when.
    refused_code: int | None = fields.IntField(null=True)
    refused_at: datetime | None = fields.DatetimeField(null=True)
    first_channel: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Channel", null=True, on_delete=OnDelete.RESTRICT, related_name="first_fans"
    )
    first_touch_at: datetime | None = fields.DatetimeField(null=True)
    last_channel: fields.ForeignKeyNullableRelation[Any] = fields.ForeignKeyField(
        "scrm.Channel", null=True, on_delete=OnDelete.RESTRICT, related_name="last_fans"
    )
    last_touch_at: datetime | None = fields.DatetimeField(null=True)
    # When the platform is to be asked who this is (scrm.members.lookups), null when that was done; nobody asks
    # about the fans of a mini-program.
    lookup_due_at: datetime | None = fields.DatetimeField(null=True, db_default="-infinity")
    created_at = fields.DatetimeField()

    account_id: int
    member_id: int
    first_channel_id: int | None
    last_channel_id: int | None

    class Meta:
        table = "fan"
        unique_together = (("account_id", "openid"),)
        # fan_lookup_idx (account_id, lookup_due_at), of those to be asked about only, is made by migration 0020.
        indexes = [Index(fields=("member_id",), name="fan_member_idx")]


class Identity(Model):
    """What else identifies a member besides openids: a unionid, or the keyed fingerprint of a phone number."""

    id: int = fields.BigIntField(primary_key=True)
    kind = fields.CharField(12)
    subject = fields.CharField(64)
    member: fields.ForeignKeyRelation[Member] = fields.ForeignKeyField("scrm.Member", on_delete=OnDelete.RESTRICT)
    created_at = fields.DatetimeField()

    member_id: int

    class Meta:
        table = "identity"
        unique_together = (("kind", "subject"),)
        indexes = [Index(fields=("member_id",), name="identity_member_idx")]
        constraints = [CheckConstraint(check="kind IN ('unionid', 'phone')", name="identity_kind_known")]


class MemberMerge(Model):
    """A merge of two members with its evidence; kept for ever, so that it can be explained and undone."""

    id: int = fields.BigIntField(primary_key=True)
    kept: fields.ForeignKeyRelation[Member] = fields.ForeignKeyField(
        "scrm.Member", on_delete=OnDelete.RESTRICT, related_name="merges_kept"
    )
    absorbed: fields.ForeignKeyRelation[Member] = fields.ForeignKeyField(
        "scrm.Member", on_delete=OnDelete.RESTRICT, related_name="merges_absorbed"
    )
    evidence = fields.JSONField[dict[str, Any]]()
    # Members whose pointer moved in this merge: the absorbed one and whoever had been merged into it before.
    # None for further evidence of what was one person already; then kept and absorbed are that person.
    moved = fields.JSONField[list[int]]()
    merged_at = fields.DatetimeField()
    split_at: datetime | None = fields.DatetimeField(null=True)

    kept_id: int
    absorbed_id: int

    class Meta:
        table = "member_merge"
        indexes = [
            Index(fields=("kept_id",), name="member_merge_kept_idx"),
            Index(fields=("evidence",), name="member_merge_evidence_idx"),
        ]


class ErasedIdentity(Model):
    """The keyed fingerprint of an openid or unionid that was erased; forgotten itself after a while.

    It says nothing about who that was, only that somebody who comes with it is no new friend (scrm.referrals).
    """

    id: int = fields.BigIntField(primary_key=True)
    fingerprint = fields.CharField(64, unique=True)
    expires_at: datetime = fields.DatetimeField()

    class Meta:
        table = "erased_identity"
        indexes = [Index(fields=("expires_at",), name="erased_identity_expires_idx")]
