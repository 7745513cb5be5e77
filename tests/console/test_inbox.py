"""The inbox's API: lists, one conversation, sending once, giving, notes, tags, quick replies, and who may see what."""

import pytest

from console.surface import SURFACE
from scrm.conversations import lines
from scrm.members.queries import FanView
from tests.console.conftest import Browser, Office
from tests.console.shop import Shop, open_shop, text
from tests.factories import TEXT, UNFOLLOW, happens, make_account, make_fan


@pytest.fixture
async def shop(office: Office) -> Shop:
    """A brand with an account."""
    return await open_shop(office)


async def taken(shop: Shop, agent: Browser) -> tuple[FanView, int]:
    """A fan who waited and whom `agent` has taken, sitting at the desk."""
    fan, conversation = await shop.waiting()
    await agent.post("/inbox/presence", {"brand": shop.brand})
    return fan, conversation


async def outbox(shop: Shop, fan: FanView) -> list[str]:
    rows = await shop.office.rows(
        "SELECT body->'text'->>'content' AS text FROM outbox WHERE fan_id = $1 ORDER BY id", fan.id
    )
    return [row["text"] for row in rows]


async def test_sitting_down_gives_whoever_waits_and_the_lists_say_so(shop: Shop) -> None:
    agent = await shop.agent()
    _, conversation = await shop.waiting()
    listed = (await agent.post("/inbox/search", {"brand": shop.brand, "view": "waiting"})).body
    assert [one["id"] for one in listed["items"]] == [conversation]
    assert (await agent.post(f"/inbox/{conversation}/pull")).said == (404, "no_seat")
    assert (await agent.post("/inbox/presence", {"brand": shop.brand})).status == 200
    (mine,) = (await agent.post("/inbox/search", {"brand": shop.brand})).body["items"]
    assert (mine["id"], mine["unread"], mine["last_line"]) == (conversation, 1, "请问有货吗")
    assert (await agent.get(f"/inbox/{conversation}")).body["sendable"]["left"] == 4
    counts = (await agent.get(f"/inbox/counts?brand={shop.brand}")).body
    assert counts == {"mine": 1, "waiting": 0, "all": None, "unread": 1, "unanswered": 1}
    await agent.post(f"/inbox/{conversation}/read")
    assert (await agent.get(f"/inbox/counts?brand={shop.brand}")).body["unread"] == 0


async def test_a_list_goes_on_where_its_page_ended_and_is_cut_down(shop: Shop) -> None:
    boss = await shop.agent("supervisor")
    ids = []
    for n in range(5):
        ids.append((await shop.waiting(f"第{n}个问题"))[1])
        shop.clock.advance(seconds=10)
    found: list[int] = []
    after: dict[str, str] = {}
    while True:
        page = (await boss.post("/inbox/search", {"brand": shop.brand, "view": "waiting", "limit": 2} | after)).body
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ids
    searched = (await boss.post("/inbox/search", {"brand": shop.brand, "view": "all", "search": "第3个"})).body["items"]
    assert [one["id"] for one in searched] == [ids[3]]
    assert (await boss.post("/inbox/search", {"brand": shop.brand, "view": "all", "account": 999999})).body[
        "items"
    ] == []
    assert (await boss.post("/inbox/search", {"brand": shop.brand, "after": "nonsense"})).said == (422, "invalid")
    assert (await boss.post("/inbox/search", {"brand": shop.brand, "view": "theirs"})).body["field"] == "view"


async def test_what_is_searched_for_stands_in_no_address(shop: Shop) -> None:
    boss = await shop.agent("supervisor")
    assert [one.path for one in SURFACE.endpoints if "search" in (one.query.model_fields if one.query else ())] == []
    assert (await boss.get(f"/inbox?brand={shop.brand}&search=小满")).said == (404, "not_found")
    # A question changes nothing: asked under a key it is asked anew, and no answer is kept.
    found = []
    for words in ("请问有货吗", "请问有伞吗"):
        await shop.waiting(words)
        asked = {"brand": shop.brand, "view": "all", "search": words}
        found.append([one["last_line"] for one in (await boss.post("/inbox/search", asked, key="same")).body["items"]])
    assert found == [["请问有货吗"], ["请问有伞吗"]]
    assert await shop.office.rows("SELECT 1 FROM idempotent_request") == []
    boss.csrf = ""
    assert (await boss.post("/inbox/search", {"brand": shop.brand})).said == (403, "csrf")


async def test_a_message_is_said_once_however_often_it_is_sent(shop: Shop) -> None:
    agent = await shop.agent()
    fan, conversation = await taken(shop, agent)
    before = len(await outbox(shop, fan))
    path = f"/inbox/{conversation}/messages"
    answers = [await agent.post(path, text("您好，有货"), key="same") for _ in range(3)]
    assert [one.body for one in answers] == [{"allowed": True, "reason": "window:message", "title": ""}] * 3
    assert (await outbox(shop, fan))[before:] == ["您好，有货"]
    transcript = (await agent.get(f"/inbox/{conversation}/transcript")).body
    said = [one for one in transcript["items"] if one["source"] == "outbox" and one["kind"] == "staff"]
    assert [(one["state"], one["staff"], one["body"]["text"]["content"]) for one in said] == [
        ("pending", (await agent.get("/me")).body["name"], "您好，有货")
    ]
    assert (await agent.post(path, {"content": {"type": "voice"}})).said == (422, "invalid")


@pytest.mark.parametrize("kind", ["service", "miniprogram"])
async def test_whoever_wrote_can_be_answered_though_no_follow_was_heard_of(shop: Shop, kind: str) -> None:
    agent = await shop.agent()
    account = shop.account if kind == "service" else await make_account(kind=kind, brand=f"茶舍{shop.office.brands[0]}")
    fan = await make_fan(account)
    await happens(fan, TEXT, shop.clock.now(), {"content": "在吗"})
    _, conversation = await shop.waiting(fan=fan)
    await agent.post("/inbox/presence", {"brand": shop.brand})

    async def following() -> list[bool | None]:
        (item,) = (await agent.post("/inbox/search", {"brand": shop.brand})).body["items"]
        panel = (await agent.get(f"/inbox/{conversation}/fan")).body
        return [item["following"], (await agent.get(f"/inbox/{conversation}")).body["following"], panel["following"]]

    beside = True if kind == "service" else None
    assert await following() == [True, True, beside]
    said = (await agent.post(f"/inbox/{conversation}/messages", text("在的"), key="one")).body
    assert (said["allowed"], said["reason"]) == (True, "window:message")
    if kind == "service":
        # The platform's time counts whole seconds.
        shop.clock.advance(seconds=1)
        await happens(fan, UNFOLLOW, shop.clock.now())
        assert await following() == [False, False, False]
        said = (await agent.post(f"/inbox/{conversation}/messages", text("再见"), key="two")).body
        assert said == {"allowed": False, "reason": "not_following", "title": "粉丝没有关注"}
        shop.clock.advance(seconds=1)
        await happens(fan, TEXT, shop.clock.now(), {"content": "又回来了"})
        assert await following() == [True, True, True]


async def test_a_closed_window_is_told_with_its_reason(shop: Shop) -> None:
    agent = await shop.agent()
    fan, conversation = await taken(shop, agent)
    before = await outbox(shop, fan)
    shop.clock.advance(hours=49)
    await agent.sign_in()
    sent = (await agent.post(f"/inbox/{conversation}/messages", text("还在吗"))).body
    assert sent == {
        "allowed": False, "reason": "window_closed", "title": "已超过微信允许的回复时间，等粉丝再次互动后可继续发送"
    }  # fmt: skip
    assert await outbox(shop, fan) == before
    page = (await agent.get(f"/inbox/{conversation}")).body
    told = {"scene": "", "until": None, "left": 0}
    assert (page["sendable"], page["mine"]) == (sent | told, True)


async def test_whom_wechat_refused_is_refused_in_words(shop: Shop) -> None:
    agent = await shop.agent()
    fan, conversation = await taken(shop, agent)
    for n, (code, why) in enumerate({45047: "微信允许的条数已用完", 61010: "错误码 61010"}.items()):
        await shop.office.rows(
            "UPDATE fan SET refused_code = $2, refused_at = $3 WHERE id = $1 RETURNING id",
            fan.id,
            code,
            shop.clock.now(),
        )
        sent = (await agent.post(f"/inbox/{conversation}/messages", text(f"还在吗{n}"))).body
        title = f"微信刚拒绝过（{why}），等粉丝再次互动"
        assert sent == {"allowed": False, "reason": f"refused:{code}", "title": title}


async def test_points_are_given_once_and_said(shop: Shop) -> None:
    agent = await shop.agent()
    fan, conversation = await taken(shop, agent)
    before = len(await outbox(shop, fan))
    body = {"amount": 50, "why": "久等了"}
    first = await agent.post(f"/inbox/{conversation}/gifts", body, key="gift")
    assert (await agent.post(f"/inbox/{conversation}/gifts", body, key="gift")).body == first.body
    assert first.body == {"given": True, "told": True, "title": ""}
    panel = (await agent.get(f"/inbox/{conversation}/fan")).body
    assert panel["points"] == 50
    assert (await outbox(shop, fan))[before:] == ["送您 50 积分（久等了），已到账，可在会员中心查看。"]
    assert [word for word, _ in await shop.office.trail()].count("points.given") == 1
    assert (await agent.post(f"/inbox/{conversation}/gifts", {"amount": 501, "why": "多"})).said == (422, "invalid")
    other = await shop.agent()
    assert (await other.post(f"/inbox/{conversation}/gifts", body)).said == (409, "not_owner")
    assert (await agent.get(f"/inbox/{conversation}/fan")).body["points"] == 50


async def test_notes_tags_and_the_panel(shop: Shop) -> None:
    agent = await shop.agent()
    _, conversation = await taken(shop, agent)
    for _ in range(2):
        await agent.post(f"/inbox/{conversation}/notes", {"text": "老客户"}, key="n")
    items = (await agent.get(f"/inbox/{conversation}/transcript")).body["items"]
    assert [one["body"]["text"] for one in items if one["source"] == "note"] == ["老客户"]
    put = (await agent.post(f"/inbox/{conversation}/tags", {"name": "高意向"})).body
    assert put["changed"] is True
    assert (await agent.post(f"/inbox/{conversation}/tags", {"name": "高意向"})).body == put | {"changed": False}
    assert [one["name"] for one in (await agent.get(f"/inbox/{conversation}/fan")).body["tags"]] == ["高意向"]
    assert (await agent.call("DELETE", f"/inbox/{conversation}/tags/{put['tag_id']}")).body["changed"] is True
    assert (await agent.get(f"/inbox/{conversation}/fan")).body["tags"] == []
    boss = await shop.agent("admin")
    told = (await boss.get("/audit?action=tag.")).body["items"]
    assert [(one["action"], one["after"]) for one in told] == [
        ("tag.taken", {"tag": "高意向"}),
        ("tag.put", {"tag": "高意向"}),
    ]


async def test_snoozing_passing_on_and_closing(shop: Shop) -> None:
    agent, other = await shop.agent(), await shop.agent()
    _, conversation = await taken(shop, agent)
    assert (await agent.post(f"/inbox/{conversation}/snooze", {"minutes": 30})).status == 200
    asleep = (await agent.post("/inbox/search", {"brand": shop.brand, "snoozed": True})).body["items"]
    assert [one["id"] for one in asleep] == [conversation]
    assert (await agent.post("/inbox/search", {"brand": shop.brand, "snoozed": False})).body["items"] == []
    await agent.post(f"/inbox/{conversation}/wake")
    they = await other.me()
    absent = await agent.post(f"/inbox/{conversation}/transfer", {"to_staff_id": they})
    assert absent.said == (404, "no_seat")
    await other.post("/inbox/presence", {"brand": shop.brand})
    assert (await agent.post(f"/inbox/{conversation}/transfer", {"to_staff_id": they, "note": "请跟进"})).status == 204
    # Whoever has passed it on does not read on, and cannot close it.
    assert (await agent.get(f"/inbox/{conversation}/transcript")).said == (403, "forbidden")
    assert (await agent.post(f"/inbox/{conversation}/close", {})).said == (409, "not_owner")
    assert (await other.post(f"/inbox/{conversation}/close", {"summary": "已解决"})).body == {"closed": True}
    assert (await other.post(f"/inbox/{conversation}/close", {})).body == {"closed": False}
    trail = [word for word, _ in await shop.office.trail()]
    assert (trail.count("conversation.transferred"), trail.count("conversation.closed")) == (1, 1)
    boss = await shop.agent("admin")
    (line,) = (await boss.get("/audit?action=conversation.transferred")).body["items"]
    assert line["after"] == {"to_staff": (await other.get("/me")).body["name"], "to_skill": None}


async def test_colleagues_conversations_are_for_who_supervises_and_other_brands_for_nobody(shop: Shop) -> None:
    agent, other, boss = await shop.agent(), await shop.agent(), await shop.agent("supervisor")
    stranger = await shop.office.signed_in("supervisor", [shop.office.brands[1]])
    _, conversation = await taken(shop, agent)
    for path in ("", "/transcript", "/fan", "/quick-replies"):
        assert (await other.get(f"/inbox/{conversation}{path}")).said == (403, "forbidden")
        assert (await boss.get(f"/inbox/{conversation}{path}")).status == 200
        assert (await stranger.get(f"/inbox/{conversation}{path}")).said == (404, "not_found")
    assert (await other.post("/inbox/search", {"brand": shop.brand, "view": "all"})).said == (403, "forbidden")
    assert (await stranger.post("/inbox/search", {"brand": shop.brand})).said == (404, "not_found")
    assert (await stranger.post("/inbox/presence", {"brand": shop.brand})).said == (404, "not_found")
    for act, body in (("pull", None), ("messages", text("x")), ("notes", {"text": "x"}), ("close", {})):
        assert (await stranger.post(f"/inbox/{conversation}/{act}", body)).said == (404, "not_found")


async def test_quick_replies_are_filled_in_and_ones_own_are_ones_own(shop: Shop) -> None:
    agent, other, boss = await shop.agent(), await shop.agent(), await shop.agent("supervisor")
    _, conversation = await taken(shop, agent)
    mine = {"brand": shop.brand, "title": "问候", "text": "{昵称}您好，我是{客服}，您有 {积分} 积分", "own": True}
    made = (await agent.post("/quick-replies", mine)).body["id"]
    assert (await agent.post("/quick-replies", mine | {"own": False})).said == (403, "forbidden")
    shared = mine | {"own": False, "title": "结束语", "text": "感谢咨询"}
    everybody = (await boss.post("/quick-replies", shared)).body["id"]
    name = (await agent.get("/me")).body["name"]
    filled = (await agent.get(f"/inbox/{conversation}/quick-replies")).body["items"]
    assert [(one["id"], one["own"], one["filled"]) for one in filled] == [
        (made, True, f"您好，我是{name}，您有 0 积分"),
        (everybody, False, "感谢咨询"),
    ]
    theirs = (await other.get(f"/quick-replies?brand={shop.brand}")).body["items"]
    assert [one["id"] for one in theirs] == [everybody]
    change = {"title": "问候", "text": "您好"}
    assert (await other.call("PUT", f"/quick-replies/{made}", change)).said == (404, "not_found")
    assert (await agent.call("PUT", f"/quick-replies/{everybody}", change)).said == (403, "forbidden")
    bad = await agent.call("PUT", f"/quick-replies/{made}", change | {"text": "{手机}"})
    assert (bad.status, bad.body["field"]) == (422, "text")
    assert (await agent.call("PUT", f"/quick-replies/{made}", change)).status == 204
    assert (await agent.call("DELETE", f"/quick-replies/{made}")).status == 204
    assert [one["id"] for one in (await agent.get(f"/quick-replies?brand={shop.brand}")).body["items"]] == [everybody]


async def test_a_fan_is_taken_from_the_bot(shop: Shop) -> None:
    agent, other = await shop.agent(), await shop.agent()
    fan = await shop.fan()
    for who in (agent, other):
        await who.post("/inbox/presence", {"brand": shop.brand})
    took = await agent.post(f"/inbox/fans/{fan.id}/pull")
    assert took.status == 200
    assert (await other.post(f"/inbox/fans/{fan.id}/pull")).said == (409, "taken")
    assert (await agent.post(f"/inbox/{took.body['conversation_id']}/return")).status == 204
    assert (await agent.get(f"/inbox/{took.body['conversation_id']}")).body["state"] == "bot"


async def test_whoever_leaves_the_desk_is_not_present(shop: Shop) -> None:
    agent = await shop.agent()
    await taken(shop, agent)
    me = await agent.me()

    async def present() -> list[tuple[int, bool]]:
        seats = (await agent.get(f"/inbox/desk?brand={shop.brand}")).body["colleagues"]
        return [(one["staff_id"], one["present"]) for one in seats]

    assert await present() == [(me, True)]
    assert (await agent.post("/inbox/leave")).status == 204
    assert await present() == [(me, False)]


async def test_a_brand_that_there_is_not_has_no_desk_and_no_quick_replies(shop: Shop) -> None:
    """Whoever works for all brands may name any number as one."""
    boss = await shop.office.signed_in()
    for path, body in (("/inbox/presence", {}), ("/quick-replies", {"title": "问候", "text": "您好"})):
        refused = await boss.post(path, {**body, "brand": 999_999})
        assert (refused.said, refused.body["field"]) == ((404, "not_found"), "brand"), path
    for table in ("seat", "quick_reply"):
        assert await shop.office.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608  # our own names


async def test_mine_counts_what_waits_for_my_answer(shop: Shop) -> None:
    agent, other = await shop.agent(), await shop.agent()
    fan, conversation = await taken(shop, agent)

    async def numbers(who: Browser) -> list[int]:
        counts = (await who.get(f"/inbox/counts?brand={shop.brand}")).body
        return [counts["mine"], counts["unread"], counts["unanswered"]]

    assert (await numbers(agent), await numbers(other)) == ([1, 1, 1], [0, 0, 0])
    # To have read it is not to have answered.
    await agent.post(f"/inbox/{conversation}/read")
    assert await numbers(agent) == [1, 0, 1]
    await agent.post(f"/inbox/{conversation}/messages", text("有货的"))
    assert await numbers(agent) == [1, 0, 0]
    # Answered from where nobody said that it was read, it is read all the same.
    shop.clock.advance(seconds=5)
    await happens(fan, TEXT, shop.clock.now(), {"content": "多少钱"})
    await lines.heard(fan_id=fan.id, now=shop.clock.now())
    assert await numbers(agent) == [1, 1, 1]
    await agent.post(f"/inbox/{conversation}/snooze", {"minutes": 30})
    assert await numbers(agent) == [1, 1, 0]
    shop.clock.advance(minutes=31)
    assert await numbers(agent) == [1, 1, 1]
    await agent.post(f"/inbox/{conversation}/messages", text("三十元"))
    assert await numbers(agent) == [1, 0, 0]
