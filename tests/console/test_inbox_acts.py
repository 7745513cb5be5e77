"""What fans do besides writing: it stands in the conversation under its own name, and opens the gate for a minute."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from scrm.channels.service import create
from scrm.menus.service import define
from scrm.outreach.service import MARGIN
from tests.console.conftest import Browser, Office
from tests.console.shop import Shop, open_shop, text
from tests.factories import TEXT, happens, make_follower

CLICK, SCAN, UNFOLLOW = "wechat.event.click", "wechat.event.scan", "wechat.event.unsubscribe"


@pytest.fixture
async def shop(office: Office) -> Shop:
    return await open_shop(office)


async def served(shop: Shop) -> tuple[Browser, Any, str]:
    """Return one of the staff, a fan of theirs who never wrote, and the address of the conversation."""
    agent = await shop.agent()
    fan = await make_follower(shop.account, shop.clock.now() - timedelta(days=3))
    _, conversation = await shop.waiting(fan=fan)
    await agent.post("/inbox/presence", {"brand": shop.brand})
    return agent, fan, f"/inbox/{conversation}"


async def test_acts_stand_among_the_messages_by_their_names(shop: Shop) -> None:
    agent, fan, path = await served(shop)
    stores = {"name": "门店", "type": "click", "key": "STORES"}
    await define(account_id=shop.account, buttons=[{"name": "服务", "sub_button": [stores]}], now=shop.clock.now())
    await create(account_id=shop.account, name="门口海报", scene="door", now=shop.clock.now())
    done = [
        (SCAN, {"scene": "door", "ticket": "gQ"}),
        (CLICK, {"key": "STORES"}),
        (TEXT, {"content": "在哪"}),
        (CLICK, {"key": "GONE"}),
        (SCAN, {"scene": "elsewhere"}),
        (UNFOLLOW, {}),
    ]
    for kind, payload in done:
        shop.clock.advance(seconds=1)
        await happens(fan, kind, shop.clock.now(), payload)
    items = (await agent.get(f"{path}/transcript")).body["items"]
    heard = [(one["source"], one["title"], one["body"]) for one in items if one["source"] in {"fan", "act"}]
    assert heard[::-1] == [
        ("act", "关注", {"name": ""}),
        ("act", "扫描渠道码", {"name": "门口海报"}),
        ("act", "点击菜单", {"name": "门店"}),
        ("fan", "", {"content": "在哪"}),
        ("act", "点击菜单", {"name": "GONE"}),
        ("act", "扫描渠道码", {"name": "elsewhere"}),
        ("act", "取消关注", {"name": ""}),
    ]
    # A page ends between them as anywhere.
    first = (await agent.get(f"{path}/transcript?limit=3")).body
    rest = (await agent.get(f"{path}/transcript?limit=50&before={quote(first['next'])}")).body
    assert [one["id"] for one in first["items"] + rest["items"]] == [one["id"] for one in items]
    beside = [(one["title"], one["text"]) for one in (await agent.get(f"{path}/fan")).body["events"]]
    assert beside == [
        ("取消关注", ""),
        ("扫描渠道码", "elsewhere"),
        ("点击菜单", "GONE"),
        ("点击菜单", "门店"),
        ("扫描渠道码", "门口海报"),
        ("关注", ""),
    ]
    boss = await shop.office.signed_in()
    told = (await boss.get(f"/members/{fan.member_id}/events?group=wechat.")).body["items"]
    assert [one["payload"].get("name") for one in told if one["kind"] == CLICK] == [None, "门店"]


async def test_a_minute_opens_and_closes_the_box_as_the_gate_does(shop: Shop) -> None:
    agent, fan, path = await served(shop)

    async def sendable() -> Any:
        return (await agent.get(path)).body["sendable"]

    closed = {"allowed": False, "reason": "window_closed", "scene": "", "until": None, "left": 0}
    closed["title"] = "已超过微信允许的回复时间，等粉丝再次互动后可继续发送"
    assert await sendable() == closed
    await happens(fan, CLICK, shop.clock.now(), {"key": "STORES"})
    until = shop.clock.now() + timedelta(minutes=1) - MARGIN
    open_now = {"allowed": True, "reason": "window:menu", "title": "", "scene": "menu", "left": 3}
    found = await sendable()
    assert found == open_now | {"until": found["until"]}
    assert found["until"] == until.isoformat().replace("+00:00", "Z")
    for n in range(3):
        assert (await agent.post(f"{path}/messages", text(f"第{n}句"))).body["reason"] == "window:menu"
    used = {"allowed": False, "reason": "count_exhausted", "scene": "menu", "until": None, "left": 0}
    assert await sendable() == used | {"title": "本次可发的条数已用完，等粉丝再次互动后可继续发送"}
    refused = (await agent.post(f"{path}/messages", text("第四句"))).body
    assert refused == {name: used[name] for name in ("allowed", "reason")} | {
        "title": "本次可发的条数已用完，等粉丝再次互动后可继续发送"
    }
    shop.clock.advance(seconds=(until - shop.clock.now()).total_seconds())
    assert await sendable() == closed
    late = (await agent.post(f"{path}/messages", text("太晚"))).body
    assert late == {name: closed[name] for name in ("allowed", "reason", "title")}


async def test_whom_wechat_refused_has_a_closed_box_until_they_act(shop: Shop) -> None:
    agent, fan, path = await served(shop)
    await happens(fan, TEXT, shop.clock.now(), {"content": "在吗"})
    assert (await agent.get(path)).body["sendable"]["allowed"] is True
    refused = "UPDATE fan SET refused_code = 48002, refused_at = $2 WHERE id = $1 RETURNING id"
    await shop.office.rows(refused, fan.id, shop.clock.now())
    title = "微信刚拒绝过（粉丝拒收消息），等粉丝再次互动"
    found = (await agent.get(path)).body["sendable"]
    assert (found["allowed"], found["reason"], found["title"], found["until"]) == (False, "refused:48002", title, None)
    shop.clock.advance(seconds=1)
    await happens(fan, TEXT, shop.clock.now(), {"content": "我又来了"})
    assert (await agent.get(path)).body["sendable"]["reason"] == "window:message"
