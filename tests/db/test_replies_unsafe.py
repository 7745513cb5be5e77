"""Content that could not be stored, or would run where it is shown, is refused by its field before anybody sees it."""

from typing import Any

import pytest

from scrm.conversations.bodies import body_of
from scrm.db import Transaction
from scrm.errors import Invalid
from scrm.replies.content import check, check_rule
from tests.conversations.office import open_office, outbox

CARD = {"type": "news", "title": "新茶", "description": "", "pic_url": "", "url": "https://example.com/tea"}


@pytest.mark.parametrize("bad", ["\x00", "\ud83d", "茶\udfff"])
@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"type": "text", "content": "{}"}, "reply.content"),
        (CARD | {"description": "{}"}, "reply.description"),
        ({"type": "image", "media_id": "{}"}, "reply.media_id"),
        ({"type": "handoff", "skill": "{}"}, "reply.skill"),
    ],
)
def test_what_no_table_holds(data: dict[str, Any], field: str, bad: str) -> None:
    given = {name: value.format(bad) if "{}" in value else value for name, value in data.items()}
    with pytest.raises(Invalid) as caught:
        check_rule(given)
    assert caught.value.field == field


@pytest.mark.parametrize("url", ["javascript:alert(1)", " https://x", "data:text/html,x", "//x", "file:///etc", "x"])
@pytest.mark.parametrize("field", ["url", "pic_url"])
def test_an_address_that_is_none(field: str, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(CARD | {field: url})
    assert caught.value.field == f"reply.{field}"
    assert check(CARD | {field: "http://example.com/"})[field] == "http://example.com/"


async def test_the_staff_are_told_before_anything_is_sent(tx_db: Transaction) -> None:
    office = await open_office()
    staff, fan = await office.seat(), await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    with pytest.raises(Invalid):
        await office.says(conversation, staff, "您\x00好")
    assert (await office.says(conversation, staff, "您好")).allowed
    assert await outbox(fan.id) == ["您好"]
    assert body_of({"type": "text", "content": " 好 "}) == {"msgtype": "text", "text": {"content": "好"}}
