"""Quick replies 快捷回复: texts that staff send often, of a brand or of one person, with variables filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scrm import db
from scrm.conversations.bodies import TEXT_BYTES
from scrm.db import Transaction, command
from scrm.errors import Invalid, NotFound

# What may stand in a text; whoever shows it knows the values.
VARIABLES = ("昵称", "积分", "等级", "客服")
_VARIABLE = re.compile(r"{([^{}]*)}")
LONGEST_TITLE, LONGEST_TEXT = 32, 600


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A text; `staff_id` None is the whole brand's."""

    id: int
    staff_id: int | None
    title: str
    text: str


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced; one without a value disappears."""
    return _VARIABLE.sub(lambda found: values.get(found[1], "") if found[1] in VARIABLES else found[0], text)


async def for_staff(*, brand_id: int, staff_id: int) -> list[QuickReply]:
    """Return a brand's texts and one's own, one's own first, each in the order they were written."""
    rows = await db.fetch(
        """
        SELECT id, staff_id, title, text FROM quick_reply
        WHERE brand_id = $1 AND (staff_id IS NULL OR staff_id = $2) ORDER BY staff_id NULLS LAST, id
        """,
        brand_id,
        staff_id,
    )
    return [QuickReply(**dict(row)) for row in rows]


async def one(quick_reply_id: int) -> tuple[int, QuickReply]:
    """Return the brand of a text and the text. Raises NotFound."""
    rows = await db.fetch("SELECT brand_id, id, staff_id, title, text FROM quick_reply WHERE id = $1", quick_reply_id)
    if not rows:
        raise NotFound("没有这条快捷回复")
    row = dict(rows[0])
    return row.pop("brand_id"), QuickReply(**row)


@command
async def add(tx: Transaction, *, brand_id: int, staff_id: int | None, title: str, text: str, now: datetime) -> int:
    """Write a text for the brand (`staff_id` None) or one person; returns its id.

    Raises Invalid naming the field, NotFound for a brand that there is not.
    """
    title, text = _checked(title, text)
    if not await tx.connection.fetchval("SELECT EXISTS (SELECT FROM brand WHERE id = $1)", brand_id):
        raise NotFound("没有这个品牌", field="brand")
    made: int = await tx.connection.fetchval(
        """
        INSERT INTO quick_reply (brand_id, staff_id, title, text, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        brand_id,
        staff_id,
        title,
        text,
        now,
    )
    return made


@command
async def change(tx: Transaction, *, quick_reply_id: int, title: str, text: str) -> tuple[str, str]:
    """Write a text anew, and return title and text as they are kept. Raises NotFound, Invalid naming the field."""
    title, text = _checked(title, text)
    if not await tx.connection.fetchval(
        "UPDATE quick_reply SET title = $2, text = $3 WHERE id = $1 RETURNING true", quick_reply_id, title, text
    ):
        raise NotFound("没有这条快捷回复")
    return title, text


@command
async def remove(tx: Transaction, *, quick_reply_id: int) -> None:
    """Remove a text; again changes nothing."""
    await tx.connection.execute("DELETE FROM quick_reply WHERE id = $1", quick_reply_id)


def _checked(title: str, text: str) -> tuple[str, str]:
    title, text = " ".join(title.split()), text.strip()
    if not 1 <= len(title) <= LONGEST_TITLE:
        raise Invalid(f"标题长度为 1 到 {LONGEST_TITLE} 个字符", field="title")
    if not 1 <= len(text) <= LONGEST_TEXT or len(text.encode()) > TEXT_BYTES:
        raise Invalid(f"内容长度为 1 到 {LONGEST_TEXT} 个字符", field="text")
    if unknown := [name for name in _VARIABLE.findall(text) if name not in VARIABLES]:
        known = "、".join(f"{{{name}}}" for name in VARIABLES)
        raise Invalid(f"没有变量 {{{unknown[0]}}}，可以使用 {known}", field="text")
    return title, text
