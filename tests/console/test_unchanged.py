"""What is asked for again, and is so already, changes nothing and leaves no second line in the audit trail."""

from typing import Any

import pytest

from scrm import db
from scrm.channels.models import Channel
from scrm.tags import batches
from tests.console.conftest import Office
from tests.console.shop import Shop, open_shop


@pytest.fixture
async def shop(office: Office) -> Shop:
    return await open_shop(office)


async def lines(shop: Shop, action: str) -> list[tuple[Any, Any]]:
    rows = await db.fetch("SELECT before::text, after::text FROM audit WHERE action = $1 ORDER BY id", action)
    return [(row["before"], row["after"]) for row in rows]


async def test_a_conversation_closed_or_passed_on_again_is_told_once(shop: Shop) -> None:
    agent = await shop.agent()
    await agent.post("/inbox/presence", {"brand": shop.brand})
    _, conversation = await shop.waiting()
    path = f"/inbox/{conversation}"
    await agent.post(f"{path}/pull")
    given = {"amount": 5, "why": "久等"}
    assert [(await agent.post(f"{path}/gifts", given, key="g")).body["given"] for _ in range(2)] == [True, True]
    assert len(await lines(shop, "points.given")) == 1
    for _ in range(2):
        assert (await agent.post(f"{path}/transfer", {"to_skill": ""}, key="t")).status == 204
    assert len(await lines(shop, "conversation.transferred")) == 1
    await agent.post(f"{path}/pull")
    said = [(await agent.post(f"{path}/close", {"summary": words})).body["closed"] for words in ("好了", "", "再来")]
    assert said == [True, False, False]
    assert await lines(shop, "conversation.closed") == [(None, '{"summary": true}')]


async def test_a_tag_that_is_put_taken_and_archived_again_is_told_once(shop: Shop) -> None:
    agent, boss = await shop.agent(), await shop.agent("admin")
    await agent.post("/inbox/presence", {"brand": shop.brand})
    _, conversation = await shop.waiting()
    await agent.post(f"/inbox/{conversation}/pull")
    path = f"/inbox/{conversation}/tags"
    put = [(await agent.post(path, {"name": "老客"})).body for _ in range(2)]
    tag = put[0]["tag_id"]
    begun = (await boss.post("/tag-batches", {"tag_id": tag, "action": "take", "filter": {}})).body["id"]
    while await batches.work_some(batch_id=begun, now=shop.clock.now()):
        pass
    for _ in range(2):
        assert (await boss.post(f"/tag-batches/{begun}/undo")).status == 200
    while await batches.work_some(batch_id=begun, now=shop.clock.now()):
        pass
    taken = [(await agent.call("DELETE", f"{path}/{tag}")).body["changed"] for _ in range(2)]
    assert ([one["changed"] for one in put], taken) == ([True, False], [True, False])
    for _ in range(2):
        assert (await boss.call("PUT", f"/tags/{tag}", {"name": "熟客", "category": ""})).status == 204
    for _ in range(2):
        assert (await boss.post(f"/tags/{tag}/archive")).status == 204
    for action in ("tag.put", "tag.batch_undone", "tag.taken", "tag.changed", "tag.archived"):
        assert len(await lines(shop, action)) == 1, action


async def test_a_desk_that_is_set_as_it_was_is_told_once(shop: Shop) -> None:
    boss = await shop.agent("supervisor")
    me, desk = await boss.me(), f"/desk/{shop.brand}"
    numbers = {
        "first_response_seconds": 30, "promise_minutes": 20, "unsure_minutes": 10, "rating_minutes": 30,
        "idle_minutes": 60,
    }  # fmt: skip
    night = {"pattern": "fri", "starts": 1320, "ends": 360, "breaks": []}
    day: dict[str, Any] = {"day": "2026-05-01", "kind": "closed", "note": ""}
    for path, body in (
        ("numbers", numbers),
        ("texts", {"account_id": None, "texts": {"outside": "打烊啦，{时间}前回复您。"}}),
        ("skills", {"name": "b", "title": "售后"}),
        ("skills", {"name": "a", "title": "售前"}),
        (f"seats/{me}", {"capacity": 3, "skills": ["b", "a"]}),
        (f"accounts/{shop.account}", {"wechat": True}),
        (f"rota/{me}", {"shifts": [night]}),
        ("days", day),
        ("days", day | {"kind": None}),
    ):
        for _ in range(2):
            assert (await boss.call("PUT", f"{desk}/{path}", body)).said == (204, None), path
    told = [action for action, _ in await shop.office.trail() if action.startswith("desk.")]
    assert told == [
        "desk.numbers",
        "desk.texts",
        "desk.skill",
        "desk.skill",
        "desk.seat",
        "desk.served_by",
        "desk.shifts",
        "desk.day",
        "desk.day",
    ]


async def test_texts_that_are_saved_as_they_were_are_told_once(shop: Shop) -> None:
    who = await shop.agent("admin")
    channel = await Channel.create(account_id=shop.account, name="门口", scene="door", created_at=shop.clock.now())
    for channel_id in (None, channel.id):
        welcome = {"account_id": shop.account, "channel_id": channel_id, "audience": "any"}
        for words in ("您好", "您好", "欢迎"):
            body = welcome | {"reply": {"type": "text", "content": words}}
            assert (await who.call("PUT", "/welcomes", body)).status == 200
    assert len(await lines(shop, "welcome.set")) == 4
    made = (await who.post("/quick-replies", {"brand": shop.brand, "title": "问候", "text": "您好"})).body["id"]
    for title in ("问候", "招呼", "招呼 "):
        assert (await who.call("PUT", f"/quick-replies/{made}", {"title": title, "text": "您好"})).status == 204
    assert await lines(shop, "quick_reply.changed") == [('{"title": "问候"}', '{"title": "招呼"}')]


async def test_people_and_roles_that_are_saved_as_they_were_are_told_once(office: Office) -> None:
    boss, clerk = await office.signed_in(), await office.person("agent")
    role = {"name": "门店", "permissions": ["inbox.answer"]}
    made = (await boss.post("/roles", role | {"brand_id": None})).body["id"]
    (row,) = await office.rows("SELECT id, name FROM staff WHERE login = $1", clerk.login)
    for name in ("门店", "分店", "分店"):
        assert (await boss.call("PUT", f"/roles/{made}", role | {"name": name})).status == 204
    for expected in (1, 2, 2):
        body = {"name": row["name"], "role_id": made, "brands": None, "skills": ["b", "a"], "status": "active"}
        answer = await boss.call("PUT", f"/staff/{row['id']}", body | {"expected": expected})
        assert answer.status == 204
    told = [action for action, _ in await office.trail()]
    assert (told.count("role.changed"), told.count("staff.changed")) == (1, 1)
