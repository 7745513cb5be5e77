"""Point rules through the API: in words, by versions, tried without a trace, and why somebody got points or none."""

from datetime import datetime, timedelta
from typing import Any

import pytest

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from scrm.db import fetch
from scrm.members import profiles
from scrm.points import rulebook
from tests.console.conftest import Browser, Office
from tests.factories import happens, make_account, make_fan

SHARE = {
    "kind": "per_action",
    "event_kind": "post.shared",
    "module": "社区",
    "name": "分享帖子",
    "frequency": "daily",
    "points": 3,
    "growth": 2,
    "day_cap_points": 8,
    "month_cap_growth": 90,
}
EVERYTHING = """
SELECT (SELECT count(*) FROM points_rule) AS rules, (SELECT count(*) FROM points_rule_version) AS versions,
       (SELECT count(*) FROM award_explanation) AS explained, (SELECT count(*) FROM ledger_entry) AS entries,
       (SELECT count(*) FROM pending_award) AS promised, (SELECT count(*) FROM member) AS members,
       (SELECT count(*) FROM event) AS events, (SELECT count(*) FROM audit) AS audit,
       (SELECT last_value FROM member_id_seq) AS member_number
"""


def terms(**changes: Any) -> dict[str, Any]:
    """Return what SHARE says, changed, without what cannot be."""
    return {name: value for name, value in SHARE.items() if name not in {"kind", "event_kind"}} | changes


async def added(who: Browser, office: Office, **changes: Any) -> dict[str, Any]:
    answer = await who.post("/points-rules", {"brand_id": office.brands[0], **SHARE, **changes})
    assert answer.status == 201, answer
    rule: dict[str, Any] = answer.body
    return rule


async def account_of(brand_id: int) -> int:
    account = await make_account()
    await fetch("UPDATE account SET brand_id = $2 WHERE id = $1", account, brand_id)
    return account


async def test_a_preset_is_told_in_words(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    await rulebook.install_preset(brand, "zippo", office.clock.now())
    await rulebook.install_preset(brand, "a039", office.clock.now())
    await rulebook.install_preset(brand, "a095", office.clock.now())
    items = (await who.get(f"/points-rules?brand={brand}")).body["items"]
    told = {one["newest"]["name"]: one["current"]["told"] for one in items}
    assert told == {
        "每日签到": "签到得 1 积分；每人每天一次",
        "购买商品": "每笔订单每满 10 元得 1 积分、1 成长值；收货 15 个自然日后到账，退货的部分扣回",
        "发布帖子": "帖子通过审核，作者得 2 积分、5 成长值；发布 5 个自然日 / 5 个工作日后到账，判为水贴时扣回",
        "邀请好友注册": "好友受邀注册，双方各得 3 积分、5 成长值；每位新会员只计一次，作弊时扣回",
        "产品验真并建档": "产品验真并建档，每个验真码一次，得 5 积分、50 成长值；恶意注册时扣回",
        "社区发帖": "发帖得 3 积分、3 成长值；每人每天最多 15 积分、15 成长值",
        "社区评论": "评论帖子得 1 积分",
        "社区分享帖子到朋友圈": (
            "分享帖子得 3 积分、3 成长值；每人每天最多 15 积分、15 成长值；每人每月最多 90 积分、90 成长值"
        ),
        "社区发帖被评论": "别人评论帖子，作者得 1 积分",
        "社区发帖被点赞": "别人点赞帖子，作者得 1 积分",
    }
    assert [(one["kind_title"], one["event_title"], one["system"]) for one in items[:2]] == [
        ("每日签到", "签到", True),
        ("购物", "确认收货", True),
    ]


async def test_a_change_is_a_new_version_and_the_past_stays(office: Office) -> None:
    who, brand, start = await office.signed_in("operator"), office.brands[0], office.clock.now()
    rule = await added(who, office)
    assert (rule["system"], rule["current"]["version"], rule["current"]["told"]) == (
        False,
        1,
        "分享帖子得 3 积分、2 成长值；每人每天最多 8 积分；每人每月最多 90 成长值",
    )
    path = f"/points-rules/{rule['id']}"
    office.clock.advance(seconds=60)
    same = await who.call("PUT", path, {**terms(), "expected": 1})
    assert (same.status, same.body["newest"]["version"]) == (200, 1)
    changed = await who.call("PUT", path, {**terms(points=5, points_valid_days=365), "expected": 1})
    assert (changed.body["current"]["version"], changed.body["current"]["points"]) == (2, 5)
    assert changed.body["current"]["told"].endswith("；积分 365 天后过期")
    late = await who.call("PUT", path, {**terms(points=6), "expected": 1})
    assert (late.said, late.body["field"]) == ((409, "stale_version"), "expected")
    # A promotion that begins later, and ends.
    since, until = start + timedelta(days=1), start + timedelta(days=2)
    sale = {**terms(points=9), "expected": 2, "since": since.isoformat(), "until": until.isoformat()}
    planned = (await who.call("PUT", path, sale)).body
    assert (planned["current"]["version"], planned["newest"]["version"]) == (2, 3)
    versions = (await who.get(path)).body["versions"]
    assert [(one["version"], one["points"]) for one in versions] == [(3, 9), (2, 5), (1, 3)]
    in_force = []
    for _ in range(3):
        who = await office.signed_in("operator")
        in_force.append((await who.get(f"/points-rules?brand={brand}")).body["items"][0]["current"]["version"])
        office.clock.advance(days=1)
    assert in_force == [2, 3, 2]
    assert [action for action, _ in await office.trail() if action.startswith("points_rule.")] == [
        "points_rule.added",
        "points_rule.changed",
        "points_rule.changed",
    ]
    (line,) = await office.rows("SELECT before, after FROM audit WHERE action = 'points_rule.changed' LIMIT 1")
    assert '"points": 3' in line["before"]
    assert '"points": 5' in line["after"]


async def test_what_is_planned_says_nothing_of_now(office: Office) -> None:
    who, start = await office.signed_in("operator"), office.clock.now()
    path = f"/points-rules/{(await added(who, office))['id']}"

    async def switched_off(expected: int, since: datetime | None) -> tuple[int, int, bool]:
        body = {**terms(enabled=False), "expected": expected, "since": since and since.isoformat()}
        answer = (await who.call("PUT", path, body)).body
        return answer["newest"]["version"], answer["current"]["version"], answer["current"]["enabled"]

    then = start + timedelta(days=30)
    assert await switched_off(1, then) == (2, 1, True)
    assert await switched_off(2, then) == (2, 1, True)
    assert await switched_off(2, then - timedelta(days=1)) == (3, 1, True)
    assert await switched_off(3, None) == (4, 4, False)
    # What is so now will be so then.
    assert await switched_off(4, None) == (4, 4, False)
    assert await switched_off(4, then) == (4, 4, False)
    assert [action for action, _ in await office.trail()].count("points_rule.changed") == 3


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "lottery"}, "kind"),
        ({"event_kind": "wechat.text"}, "event_kind"),
        ({"event_kind": "order.returned"}, "event_kind"),
        ({"kind": "passive", "event_kind": "checkin.done"}, "event_kind"),
        ({"kind": "daily_checkin", "event_kind": "", "frequency": "each"}, "frequency"),
        ({"kind": "purchase", "event_kind": "", "settings": {"fen_per_unit": 0}}, "settings.fen_per_unit"),
        ({"kind": "purchase", "event_kind": "", "settings": {"fen_per_unit": 1_000_000_001}}, "settings.fen_per_unit"),
        ({"kind": "purchase", "event_kind": "", "settings": {"fen_per_unit": 10**400}}, "settings.fen_per_unit"),
        ({"settings": {"days": 3}}, "settings.days"),
        ({"points": -1}, "points"),
        ({"points": 1_000_001}, "points"),
        ({"day_cap_points": 1_000_000_001}, "day_cap_points"),
        ({"name": " "}, "name"),
        ({"module": ""}, "module"),
        ({"points_valid_days": 0}, "points_valid_days"),
        ({"since": "2020-01-01T00:00:00Z"}, "since"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
    ],
)
async def test_what_is_wrong_is_named_and_kept_out(office: Office, wrong: dict[str, Any], field: str) -> None:
    who = await office.signed_in("operator")
    answer = await who.post("/points-rules", {"brand_id": office.brands[0], **SHARE, **wrong})
    assert (answer.status, answer.body["field"]) == (422, field)
    assert (await who.get(f"/points-rules?brand={office.brands[0]}")).body == {"items": []}
    assert [action for action, _ in await office.trail() if action.startswith("points_rule.")] == []


async def test_a_trial_gives_what_the_rule_gives_and_leaves_nothing(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    await rulebook.install_preset(brand, "a039", office.clock.now())
    before = await office.rows(EVERYTHING)

    async def tried(**given: Any) -> tuple[str, list[tuple[Any, ...]]]:
        answer = await who.post("/points-rules/try", {"brand_id": brand, **SHARE, **given})
        assert answer.status == 200, answer
        keys = ("time", "actor", "asset", "planned", "given", "reason")
        return answer.body["told"], [tuple(one[key] for key in keys) for one in answer.body["items"]]

    told, lines = await tried(times=4, growth=0)
    assert told == "分享帖子得 3 积分；每人每天最多 8 积分"
    assert lines == [
        (1, True, "points", 3, 3, "awarded"),
        (2, True, "points", 3, 3, "awarded"),
        (3, True, "points", 3, 2, "cap_day"),
        (4, True, "points", 3, 0, "cap_day"),
    ]
    liked = {"kind": "passive", "event_kind": "post.liked", "points": 1, "growth": 0}
    assert (await tried(**liked))[1] == [(1, False, "points", 1, 1, "awarded")]
    friend = {"kind": "referral", "event_kind": "", "growth": 0, "times": 2}
    assert (await tried(**friend))[1] == [
        (1, True, "points", 3, 3, "awarded"),
        (1, False, "points", 3, 3, "awarded"),
        (2, True, "points", 3, 3, "awarded"),
        (2, False, "points", 3, 3, "awarded"),
    ]
    order = {"kind": "purchase", "event_kind": "", "points": 1, "growth": 0, "amount": 3_999}
    assert (await tried(**order, day_cap_points=None))[1] == [(1, True, "points", 3, 3, "promised")]
    checkin = {"kind": "daily_checkin", "event_kind": "", "frequency": "once_daily", "growth": 0, "times": 2}
    assert [one[4:] for one in (await tried(**checkin))[1]] == [(3, "awarded"), (0, "already_today")]
    assert (await tried(enabled=False))[1] == [(1, True, "", 0, 0, "disabled")]
    post = {"kind": "post", "event_kind": "", "growth": 5, "points": 0}
    assert (await tried(**post))[1] == [(1, True, "growth", 5, 5, "promised")]
    assert await office.rows(EVERYTHING) == before
    wrong = await who.post("/points-rules/try", {"brand_id": brand, **SHARE, "settings": {"days": 1}})
    assert (wrong.status, wrong.body["field"]) == (422, "settings.days")


async def test_why_somebody_got_points_or_none(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator"), office.brands
    rule = await added(who, office, growth=0)
    account = await account_of(brand)
    ann, bo = await make_fan(account), await make_fan(account)
    await profiles.update(
        office.services.sealer,
        member_id=ann.member_id,
        account_id=account,
        fan_id=ann.id,
        changes={"nickname": "安娜"},
        now=office.clock.now(),
    )
    for fan in (ann, ann, ann, ann, bo):
        office.clock.advance(seconds=1)
        await happens(fan, "post.shared", office.clock.now(), {"post": "1", "author": bo.member_id})

    async def found(more: str = "", brand: int = brand) -> list[tuple[Any, ...]]:
        answer = await who.get(f"/points-rules/awards?brand={brand}{more}")
        keys = ("member_id", "nickname", "planned", "given", "why")
        return [tuple(one[key] for key in keys) for one in answer.body["items"]]

    everything = [
        (bo.member_id, f"会员 {bo.member_id}", 3, 3, "已发放"),
        (ann.member_id, "安娜", 3, 0, "已达当日上限"),
        (ann.member_id, "安娜", 3, 2, "已达当日上限"),
        (ann.member_id, "安娜", 3, 3, "已发放"),
        (ann.member_id, "安娜", 3, 3, "已发放"),
    ]
    assert await found() == everything
    assert await found(f"&rule={rule['id']}") == everything
    assert await found(f"&member={ann.member_id}&outcome=less") == everything[1:3]
    assert await found("&outcome=given") == [everything[0], *everything[2:]]
    assert await found("&outcome=back") == []
    assert await found(f"&member={bo.member_id + 99_999}") == []
    assert await found(brand=other) == []
    page = (await who.get(f"/points-rules/awards?brand={brand}&limit=2")).body
    rest = (await who.get(f"/points-rules/awards?brand={brand}&limit=2&before={page['next']}")).body
    assert [one["given"] for one in page["items"] + rest["items"]] == [3, 0, 2, 3]
    alone = await office.signed_in(permissions=["points.rules"])
    hidden = (await alone.get(f"/points-rules/awards?brand={brand}")).body["items"]
    assert [one["nickname"] for one in hidden] == [f"会员 {one['member_id']}" for one in hidden]
    assert len(hidden) == 5


async def test_another_brands_rules_do_not_exist(office: Office) -> None:
    boss, ours, theirs = await office.signed_in(), *office.brands
    rule = await added(boss, office)
    who = await office.signed_in("operator", [theirs])
    answers = [
        await who.get(f"/points-rules?brand={ours}"),
        await who.get(f"/points-rules/{rule['id']}"),
        await who.call("PUT", f"/points-rules/{rule['id']}", {**terms(points=9), "expected": 1}),
        await who.post("/points-rules", {"brand_id": ours, **SHARE}),
        await who.post("/points-rules/try", {"brand_id": ours, **SHARE}),
        await who.get(f"/points-rules/awards?brand={ours}"),
        # And a brand that there is not.
        await boss.get("/points-rules?brand=999999"),
        await boss.post("/points-rules", {"brand_id": 999_999, **SHARE}),
        await boss.post("/points-rules/try", {"brand_id": 999_999, **SHARE}),
    ]
    assert [answer.said for answer in answers] == [(404, "not_found")] * len(answers)
    assert (await boss.get(f"/points-rules/{rule['id']}")).body["rule"]["newest"]["points"] == 3


async def test_every_kind_can_be_made_as_it_is_offered(office: Office) -> None:
    who, brand = await office.signed_in("operator"), office.brands[0]
    kinds = (await who.get("/points-rules/kinds")).body["items"]
    assert [one["name"] for one in kinds] == [
        "authentication",
        "daily_checkin",
        "passive",
        "per_action",
        "post",
        "purchase",
        "referral",
    ]
    for kind in kinds:
        for event in kind["events"]:
            given = {**SHARE, "kind": kind["name"], "event_kind": event["code"], "settings": kind["settings"]}
            given |= {"frequency": kind["frequencies"][0]["code"]}
            assert (await who.post("/points-rules", {"brand_id": brand, **given})).status == 201, given
            tried = (await who.post("/points-rules/try", {"brand_id": brand, **given})).body["items"]
            # An order of 100 元 is ten units, of which the cap leaves eight.
            assert tried[0]["given"] == (8 if kind["name"] == "purchase" else 3), given


async def test_a_brand_says_what_it_calls_growth(office: Office) -> None:
    who, (brand, other) = await office.signed_in("operator", office.brands[:1]), office.brands
    await added(who, office)

    async def named(word: str, brand: int = brand) -> tuple[int, str | None]:
        answer = await who.call("PUT", f"/brands/{brand}/growth-word", {"word": word})
        return answer.status, answer.body.get("word") or answer.body.get("field")

    assert await named(" 茶气 ") == (200, "茶气")
    assert await named("茶气") == (200, "茶气")
    assert await named("一二三四五六七八") == (200, "一二三四五六七八")
    assert [await named(wrong) for wrong in ("", "  ", "一二三四五六七八九")] == [(422, "word")] * 3
    assert await named("经验", other) == (404, None)
    (rule,) = (await who.get(f"/points-rules?brand={brand}")).body["items"]
    assert rule["current"]["told"].startswith("分享帖子得 3 积分、2 一二三四五六七八；")
    assert [one["growth_word"] for one in (await who.get("/me")).body["brands"]] == ["一二三四五六七八"]
    assert [
        tuple(row.values())
        for row in await office.rows(
            "SELECT brand_id, before ->> 'growth_word', after ->> 'growth_word' FROM audit"
            " WHERE action = 'points_rule.word' ORDER BY id"
        )
    ] == [(brand, "成长值", "茶气"), (brand, "茶气", "一二三四五六七八")]
    agent = await office.signed_in("agent")
    refused = await agent.call("PUT", f"/brands/{brand}/growth-word", {"word": "经验"})
    assert refused.status == 403
    boss = await office.signed_in()
    assert (await boss.call("PUT", "/brands/999999/growth-word", {"word": "经验"})).said == (404, "not_found")
