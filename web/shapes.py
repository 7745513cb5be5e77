"""Shapes that the surfaces share: clean text, moments to the second, row ids, pages of a list."""

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


class Taken(BaseModel):
    """Whatever somebody sends: a field nobody knows is a mistake, not something to ignore."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """Whatever somebody is shown: made at once from what the business returns, by the names of its attributes."""

    model_config = ConfigDict(from_attributes=True)


def _clean(text: str) -> str:
    # Neither can be stored, and nobody types them: control characters, and halves of characters.
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise ValueError("control characters")
    return text.strip()


def _clean_lines(text: str) -> str:
    return "\n".join(_clean(line) for line in text.splitlines()).strip()


def _to_the_second(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _written_day(value: object) -> object:
    # pydantic would take seconds since 1970 for a day, too.
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("not a day")
    return value


Text = Annotated[str, AfterValidator(_clean)]
# Several lines of it.
Lines = Annotated[str, AfterValidator(_clean_lines)]
# Within these bounds every time zone has it.
Day = Annotated[date, BeforeValidator(_written_day), Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]
# A moment that somebody sends, with its time zone.
Instant = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2999, 1, 1, tzinfo=UTC))]
# A moment that somebody is shown.
Moment = Annotated[
    datetime,
    PlainSerializer(_to_the_second, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Page(Taken):
    """A page of a list, newest first."""

    before: RowId | None = None
    limit: int = Field(default=20, ge=1, le=100)
