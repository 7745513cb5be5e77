"""Text that no column holds, a NUL or half a character, is refused by its field wherever staff send or search it."""

from typing import Any

import pytest

from tests.console.conftest import Office
from tests.console.shop import open_shop, text
from tests.console.test_knowledge import qa
from tests.console.test_rules import rule

NUL, HALF = "a\x00b", "a\ud800b"


@pytest.mark.parametrize("bad", [NUL, HALF], ids=["nul", "half"])
async def test_what_cannot_be_stored_is_a_field_that_is_wrong(office: Office, bad: str) -> None:
    shop, boss = await open_shop(office), await office.signed_in()
    await boss.post("/inbox/presence", {"brand": shop.brand})
    _, conversation = await shop.waiting()
    await boss.post(f"/inbox/{conversation}/pull")
    news = {"type": "news", "title": bad, "url": "https://example.com/"}
    welcome = {"account_id": shop.account, "audience": "any"}
    tries: list[tuple[str, str, Any]] = [
        ("POST", f"/inbox/{conversation}/messages", text(bad)),
        ("POST", f"/inbox/{conversation}/messages", {"content": news}),
        ("POST", f"/inbox/{conversation}/messages", {"content": {"type": bad}}),
        ("POST", f"/inbox/{conversation}/messages", {"content": {"type": "text", "content": "x", bad: "x"}}),
        ("POST", f"/inbox/{conversation}/messages", {"content": {"type": "image", "media_id": bad}}),
        ("POST", f"/inbox/{conversation}/transfer", {"to_skill": bad}),
        ("POST", "/rules", {"account_id": shop.account, **rule(bad)}),
        ("POST", "/rules", {"account_id": shop.account, **rule(bad, match="regex")}),
        ("POST", "/rules", {"account_id": shop.account, **rule("x", bad)}),
        ("POST", "/rules", {"account_id": shop.account, **rule("x"), "reply": {"type": "handoff", "skill": bad}}),
        ("PUT", "/welcomes", {**welcome, "reply": {"type": "text", "content": bad}}),
        ("PUT", "/welcomes", {**welcome, "reply": news}),
        ("POST", "/knowledge/entries", {"brand_id": shop.brand, "kind": "qa", **qa("几点开门？", bad)}),
        ("PUT", f"/desk/{shop.brand}/texts", {"account_id": None, "texts": {"closing": bad}}),
        ("POST", "/roles", {"name": "门店", "permissions": [bad], "brand_id": None}),
    ]
    for method, path, body in tries:
        answer = await boss.call(method, path, body)
        assert answer.said == (422, "invalid"), (path, body)


async def test_what_cannot_be_stored_is_not_searched_for(office: Office) -> None:
    shop, boss = await open_shop(office), await office.signed_in()
    for name in ("skill", "search", "after"):
        answer = await boss.post("/inbox/search", {"brand": shop.brand, name: NUL})
        assert (*answer.said, answer.body["field"]) == (422, "invalid", name)
