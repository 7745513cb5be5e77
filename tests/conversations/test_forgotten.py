"""A fan deletes their account while everybody is at work on the conversation: it ends, once, and keeps no word."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.access.leaving import delete_account, erase_rest
from scrm.conversations import closing, lines, service
from scrm.conversations.watching import sweep
from scrm.errors import Conflict, DomainError
from tests.bot.house import SECRET_KEY
from tests.conversations.office import open_office
from tests.factories import at

WORD = "银针寿眉"


async def quietly(work: Coroutine[Any, Any, object]) -> None:
    """Do what somebody does who cannot know; a refusal is an answer."""
    try:
        await work
    except DomainError as refused:
        if refused.status >= 500:
            raise


@pytest.mark.parametrize("round_", range(4))
async def test_in_the_middle_of_everything(db: TortoiseContext, round_: int) -> None:
    office = await open_office()
    staff = await office.seat(50)
    fans = [await office.fan(f"人工 {WORD}") for _ in range(6)]
    conversations = [(await office.asks(fan)).conversation_id for fan in fans]
    sealer, work = Sealer(SECRET_KEY), []
    for n, (fan, conversation) in enumerate(zip(fans, conversations, strict=True)):
        given: dict[str, Any] = {"conversation_id": conversation, "brand_id": office.brand, "staff_id": staff}
        work += [
            delete_account(sealer, member_id=fan.member_id, now=at(5)),
            office.says(conversation, staff, WORD, when=5),
            lines.note(**given, key=key_of("n", conversation), text=WORD, now=at(5)),
            lines.heard(fan_id=fan.id, now=at(5)),
            office.asks(fan, 5),
            closing.close(**given, now=at(5), summary=WORD) if n % 2 else service.return_to_bot(**given, now=at(5)),
        ]
    work = work[round_:] + work[:round_]
    await asyncio.gather(*(quietly(one) for one in [*work, _swept(), _swept()]))
    for fan in fans:
        await erase_rest(member_id=fan.member_id, now=at(605))
    ids = [fan.id for fan in fans]
    assert await _count("SELECT count(*) FROM conversation WHERE fan_id = ANY($1) AND state <> 'closed'", ids) == 0
    assert await _count("SELECT count(*) FROM dialogue WHERE fan_id = ANY($1)", ids) == 0
    for table, fan_column in (("conversation", "fan_id"), ("conversation_change", "fan_id"), ("outbox", "fan_id")):
        sql = f"SELECT count(*) FROM {table} t WHERE {fan_column} = ANY($1) AND t::text LIKE '%{WORD}%'"  # noqa: S608
        assert await _count(sql, ids) == 0, table
    closed = "SELECT count(*) FROM conversation_change WHERE fan_id = ANY($1) AND kind = 'closed'"
    assert await _count(closed, ids) == await _count("SELECT count(*) FROM conversation WHERE fan_id = ANY($1)", ids)


async def test_no_note_is_written_about_somebody_who_has_left(db: TortoiseContext) -> None:
    office = await open_office()
    staff = await office.seat()
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    given: dict[str, Any] = {"conversation_id": conversation, "brand_id": office.brand, "staff_id": staff}
    await lines.note(**given, key=key_of("before"), text=WORD, now=at(4))
    await delete_account(Sealer(SECRET_KEY), member_id=fan.member_id, now=at(5))
    for when in (6, 606):
        with pytest.raises(Conflict) as refused:
            await lines.note(**given, key=key_of("after", when), text=WORD, now=at(when))
        assert refused.value.code == "account_deleted"
        await erase_rest(member_id=fan.member_id, now=at(605))
    assert await _count(f"SELECT count(*) FROM conversation_change t WHERE t::text LIKE '%{WORD}%'") == 0  # noqa: S608
    assert await _count("SELECT count(*) FROM conversation_change WHERE fan_id = $1 AND kind = 'noted'", fan.id) == 1


async def _swept() -> None:
    await sweep(at(5))


async def _count(sql: str, *given: object) -> int:
    (row,) = await db.fetch(sql, *given)
    return int(row["count"])
