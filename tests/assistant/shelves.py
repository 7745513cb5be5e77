"""A brand with knowledge, written through the real commands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

from kit.ids import key_of
from scrm.accounts.models import Account
from scrm.assistant import knowledge
from scrm.assistant.content import Content
from scrm.assistant.retrieval import Found, Library
from tests.conftest import START
from tests.factories import make_account

AUTHOR = "staff:1"
_serial: Iterator[int] = count(1)


@dataclass(frozen=True)
class Shelf:
    """One brand's knowledge."""

    brand_id: int

    async def write(self, title: str, body: str = "答案", *, kind: str = "qa", **more: Any) -> int:
        """Write a draft and return its id."""
        return await knowledge.create(
            brand_id=self.brand_id,
            kind=kind,
            content=Content(title, body, **more),
            author=AUTHOR,
            key=key_of("test", "entry", next(_serial)),
            now=START,
        )

    async def publish(self, title: str, body: str = "答案", **more: Any) -> int:
        """Write an entry that fans see and return its id."""
        made = await self.write(title, body, **more)
        await self.show(made, 1)
        return made

    async def show(self, entry_id: int, version: int) -> None:
        """Publish a version."""
        await knowledge.publish(brand_id=self.brand_id, entry_id=entry_id, version=version, now=START)

    async def edit(self, entry_id: int, content: Content, expected: int) -> int:
        """Write the next version."""
        return await knowledge.edit(
            brand_id=self.brand_id,
            entry_id=entry_id,
            content=content,
            expected=expected,
            author=AUTHOR,
            now=START,
        )

    async def archive(self, entry_id: int) -> None:
        """Archive an entry."""
        await knowledge.archive(brand_id=self.brand_id, entry_id=entry_id, now=START)

    async def ask(self, library: Library, question: str, *, now: datetime = START) -> Found:
        """Ask a library, to see all that comes near."""
        return await library.test_question(self.brand_id, question, now=now)

    async def found(self, library: Library, question: str, *, now: datetime = START) -> list[int]:
        """Return the ids of the entries that come near, best first."""
        return [passage.entry_id for passage in (await self.ask(library, question, now=now)).passages]


async def open_shelf() -> Shelf:
    n = next(_serial)
    account_id = await make_account(brand=f"品牌 {n}", name=f"公众号 {n}")
    brand_id = await Account.get(id=account_id).values_list("brand_id", flat=True)
    assert isinstance(brand_id, int)
    return Shelf(brand_id)


def other(content: Content, **changes: Any) -> Content:
    """Return content with some of it changed."""
    return replace(content, **changes)
