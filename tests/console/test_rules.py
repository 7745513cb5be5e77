"""Automatic replies through the API: what is written is what answers, one rule per pattern, brands apart."""

from typing import Any

from scrm import db
from scrm.accounts.service import add
from scrm.channels.models import Channel
from tests.console.conftest import Office
from tests.factories import AES_KEY, SEALER


async def account_of(office: Office, brand_id: int, appid: str = "wx0123456789abcdef") -> int:
    """Add an account of a brand and return its id."""
    name = (await db.fetch("SELECT name FROM brand WHERE id = $1", brand_id))[0]["name"]
    return await add(
        SEALER,
        kind="service",
        name="青屿",
        appid=appid,
        secret="secret",
        token="token",
        aes_key=AES_KEY,
        brand=name,
        now=office.clock.now(),
    )


def rule(pattern: str, says: str = "好的", **more: Any) -> dict[str, Any]:
    return {"match": "contains", "pattern": pattern, "reply": {"type": "text", "content": says}, **more}


async def test_rules_are_added_changed_tried_and_removed(office: Office) -> None:
    who = await office.signed_in("operator")
    account = await account_of(office, office.brands[0])
    base = {"account_id": account}
    first = (await who.post("/rules", {**base, **rule(" 券 ")})).body["id"]
    second = (await who.post("/rules", {**base, **rule("优惠券", "领券", priority=10)})).body["id"]
    listed = (await who.get(f"/rules?account={account}")).body["items"]
    assert [(one["id"], one["pattern"], one["priority"]) for one in listed] == [
        (second, "优惠券", 10),
        (first, "券", 100),
    ]

    async def tried(text: str, **more: bool) -> tuple[int | None, list[int]]:
        found = (await who.post("/rules/try", {"account": account, "text": text, **more})).body
        return found["rule"] and found["rule"]["id"], [one["id"] for one in found["hidden"]]

    assert await tried("有优惠券吗") == (second, [first])
    assert await tried("券") == (first, [])
    assert await tried("你好") == (None, [])
    change = rule("优惠券", "领券", priority=10, enabled=False)
    for expected in (1, 2):  # the second changes nothing
        assert (await who.call("PUT", f"/rules/{second}", change | {"expected": expected})).status == 204
    assert await tried("有优惠券吗") == (first, [])
    click = {"match": "click", "pattern": "SIGN", "reply": {"type": "handoff", "skill": ""}}
    third = (await who.post("/rules", {**base, **click})).body["id"]
    assert await tried("SIGN") == (None, [])
    assert await tried("SIGN", click=True) == (third, [])
    assert (await who.call("DELETE", f"/rules/{first}")).status == 204
    assert (await who.call("DELETE", f"/rules/{first}")).said == (404, "not_found")
    assert await tried("有优惠券吗") == (None, [])
    assert [action for action, _ in await office.trail() if action.startswith("rule.")] == [
        "rule.added",
        "rule.added",
        "rule.changed",
        "rule.added",
        "rule.removed",
    ]


async def test_what_is_wrong_is_named_and_kept_out(office: Office) -> None:
    who = await office.signed_in("operator")
    base = {"account_id": await account_of(office, office.brands[0])}
    made = (await who.post("/rules", {**base, **rule("积分")})).body["id"]
    other = (await who.post("/rules", {**base, **rule("等级")})).body["id"]
    trail = await office.trail()
    taken = await who.post("/rules", {**base, **rule("积分 ")})
    assert (taken.said, taken.body["field"]) == ((409, "rule_exists"), "pattern")
    assert (await who.call("PUT", f"/rules/{other}", rule("积分", expected=1))).said == (409, "rule_exists")
    for bad, field in (
        ({"match": "regex", "pattern": "(", "reply": {"type": "text", "content": "x"}}, "pattern"),
        (rule("  "), "pattern"),
        (rule("x", priority=10_000), "priority"),
        ({"match": "exact", "pattern": "x", "reply": {"type": "news", "title": "x"}}, "reply.news.url"),
        ({"match": "exact", "pattern": "x", "reply": {"type": "voice"}}, "reply"),
    ):
        answer = await who.post("/rules", {**base, **bad})
        assert (answer.status, answer.body["field"]) == (422, field)
    assert (await who.post("/rules", {"account_id": 999_999, **rule("x")})).status == 404
    assert [one["id"] for one in (await who.get(f"/rules?account={base['account_id']}")).body["items"]] == [made, other]
    assert await office.trail() == trail


async def test_welcome_texts_by_channel(office: Office) -> None:
    who = await office.signed_in("operator")
    account = await account_of(office, office.brands[0])
    channel = await Channel.create(account_id=account, scene="store", name="门店海报", created_at=office.clock.now())

    def text(says: str, channel_id: int | None = None) -> dict[str, Any]:
        reply = {"type": "text", "content": says}
        return {"account_id": account, "channel_id": channel_id, "audience": "any", "reply": reply}

    general = (await who.call("PUT", "/welcomes", text("您好"))).body["id"]
    assert (await who.call("PUT", "/welcomes", text("欢迎"))).body["id"] == general
    own = (await who.call("PUT", "/welcomes", text("来店里坐坐", channel.id))).body["id"]
    shown = (await who.get(f"/welcomes?account={account}")).body
    assert [(one["id"], one["channel"], one["reply"]["content"]) for one in shown["items"]] == [
        (general, None, "欢迎"),
        (own, "门店海报", "来店里坐坐"),
    ]
    assert shown["channels"] == [{"id": channel.id, "name": "门店海报"}]
    assert (await who.call("PUT", "/welcomes", text("x", channel.id + 1))).body["field"] == "channel_id"
    handoff = {**text("x"), "reply": {"type": "handoff", "skill": ""}}
    assert (await who.call("PUT", "/welcomes", handoff)).status == 422
    assert (await who.call("DELETE", f"/welcomes/{own}")).status == 204
    assert [one["id"] for one in (await who.get(f"/welcomes?account={account}")).body["items"]] == [general]


async def test_another_brands_account_does_not_exist(office: Office) -> None:
    ours, theirs = office.brands
    boss, who = await office.signed_in(), await office.signed_in("operator", [ours])
    account = await account_of(office, theirs)
    made = (await boss.post("/rules", {"account_id": account, **rule("积分")})).body["id"]
    reply = {"type": "text", "content": "x"}
    said = (await boss.call("PUT", "/welcomes", {"account_id": account, "audience": "any", "reply": reply})).body["id"]
    answers = [
        await who.get(f"/rules?account={account}"),
        await who.post("/rules/try", {"account": account, "text": "x"}),
        await who.post("/rules", {"account_id": account, **rule("x")}),
        await who.call("PUT", f"/rules/{made}", rule("x", expected=1)),
        await who.call("DELETE", f"/rules/{made}"),
        await who.get(f"/welcomes?account={account}"),
        await who.call("PUT", "/welcomes", {"account_id": account, "audience": "any", "reply": reply}),
        await who.call("DELETE", f"/welcomes/{said}"),
    ]
    assert [answer.said for answer in answers] == [(404, "not_found")] * len(answers)
    assert (await who.get("/rules/accounts")).body == {"items": []}
    assert [one["id"] for one in (await boss.get(f"/rules/accounts?brand={theirs}")).body["items"]] == [account]
    assert [one["pattern"] for one in (await boss.get(f"/rules?account={account}")).body["items"]] == ["积分"]
