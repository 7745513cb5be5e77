"""The table of menus."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.models import Model


class Menu(Model):
    """The menu an account should show; `published_at` is empty while the platform has not been told."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Account", on_delete=OnDelete.CASCADE)
    buttons = fields.JSONField[list[dict[str, Any]]]()
    published_at: datetime | None = fields.DatetimeField(null=True)
    updated_at: datetime = fields.DatetimeField()

    account_id: int

    class Meta:
        table = "menu"
