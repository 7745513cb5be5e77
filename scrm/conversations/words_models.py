"""Tables of what fans are told around a conversation, where a brand or an account says it in words of its own."""

from typing import Any

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.models import Model


class DeskWords(Model):
    """A brand's own words by their names (scrm.conversations.words.DEFAULTS); what is not in it is said as usual."""

    id: int = fields.BigIntField(primary_key=True)
    brand: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Brand", on_delete=OnDelete.RESTRICT)
    texts = fields.JSONField[dict[str, str]]()

    brand_id: int

    class Meta:
        table = "desk_words"


class AccountWords(Model):
    """An account's own words, which go before its brand's."""

    id: int = fields.BigIntField(primary_key=True)
    account: fields.OneToOneRelation[Any] = fields.OneToOneField("scrm.Account", on_delete=OnDelete.CASCADE)
    texts = fields.JSONField[dict[str, str]]()

    account_id: int

    class Meta:
        table = "account_words"
