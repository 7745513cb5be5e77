"""Replies as data: what a rule or a welcome text may hold, checked when it is written."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from scrm.errors import Invalid


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: str) -> str:
        # Neither can be stored or sent, and nobody types them: NUL, and halves of characters.
        if re.search(r"[\x00\ud800-\udfff]", value):
            raise ValueError("control characters")
        return value


class Text(_Content):
    """A text; longer than 2048 bytes is sent in parts."""

    type: Literal["text"]
    content: str = Field(min_length=1, max_length=20_000)


class Image(_Content):
    """An image by media_id."""

    type: Literal["image"]
    media_id: str = Field(min_length=1, max_length=512)


class News(_Content):
    """One news card (图文)."""

    type: Literal["news"]
    title: str = Field(min_length=1, max_length=128)
    description: str = Field(default="", max_length=512)
    # Whoever shows a card, a fan's phone or the staff's inbox, opens it: addresses, never javascript.
    pic_url: str = Field(default="", max_length=1024, pattern=r"^(https?://|$)")
    url: str = Field(min_length=1, max_length=1024, pattern=r"^https?://")


class MiniProgramCard(_Content):
    """A mini-program card. No passive reply can hold one: it leaves by the door out."""

    type: Literal["miniprogrampage"]
    title: str = Field(min_length=1, max_length=128)
    appid: str = Field(min_length=1, max_length=64)
    pagepath: str = Field(min_length=1, max_length=1024)
    thumb_media_id: str = Field(min_length=1, max_length=512)


class Handoff(_Content):
    """No words of the bot's: a person is asked for, of the queue `skill` (its code; "" is the general queue)."""

    type: Literal["handoff"]
    skill: str = Field(default="", max_length=32)


Content = Annotated[Text | Image | News | MiniProgramCard, Field(discriminator="type")]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Content)
_RULES_ADAPTER: TypeAdapter[Any] = TypeAdapter(
    Annotated[Text | Image | News | MiniProgramCard | Handoff, Field(discriminator="type")]
)


def check(data: object) -> dict[str, Any]:
    """Return reply data that is well formed; raises Invalid naming the field that is not."""
    return _checked(_ADAPTER, data)


def check_rule(data: object) -> dict[str, Any]:
    """As `check`, for what a rule may do besides: hand over to a person."""
    return _checked(_RULES_ADAPTER, data)


def _checked(adapter: TypeAdapter[Any], data: object) -> dict[str, Any]:
    try:
        return adapter.validate_python(data).model_dump()  # type: ignore[no-any-return]  # of one of the models above
    except ValidationError as error:
        # The first part of a place is the type whose model was tried, and no field of the reply.
        where = ".".join(["reply", *(str(part) for part in error.errors()[0]["loc"][1:])])
        raise Invalid(f"回复内容有误：{where}", field=where) from None
