"""Tables of brands and accounts."""

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model


class Brand(Model):
    """A brand 品牌: whoever owns accounts, members and staff."""

    id: int = fields.BigIntField(primary_key=True)
    name = fields.CharField(64, unique=True)
    # What the brand calls growth 成长值 wherever people read it; its preset may say.
    growth_word = fields.CharField(8, db_default="成长值")
    created_at = fields.DatetimeField()

    class Meta:
        table = "brand"


class Account(Model):
    """An account 公众号/小程序. What is sealed here is opened only to verify, decrypt or call."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.ForeignKeyRelation[Brand] = fields.ForeignKeyField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    kind = fields.CharField(16)
    name = fields.CharField(64)
    appid = fields.CharField(64, unique=True)
    # The mode the platform was told: safe refuses clear pushes, plain needs no EncodingAESKey.
    mode = fields.CharField(12)
    # 微信认证: most of the API, customer-service messages among it, is closed without it.
    verified = fields.BooleanField(db_default=True)
    secret_sealed = fields.TextField()
    token_sealed = fields.TextField()
    aes_key_sealed: str | None = fields.TextField(null=True)
    enabled = fields.BooleanField(db_default=True)
    created_at = fields.DatetimeField()

    brand_id: int

    class Meta:
        table = "account"
        constraints = [
            CheckConstraint(check="kind IN ('service', 'subscription', 'miniprogram')", name="account_kind_known"),
            CheckConstraint(check="mode IN ('plain', 'compatible', 'safe')", name="account_mode_known"),
        ]
