"""Members in the console's API: masked unless permitted, another brand's is 404, every change has its line."""

import base64
import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest

from console.surface import SURFACE
from kit.ids import key_of
from scrm.db import fetch
from scrm.members import profiles
from scrm.members.phones import bind_phone
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import ledger, levels
from scrm.points.ledger import Origin
from scrm.tags import batches
from tests.console.conftest import Answer, Browser, Office
from tests.factories import CLICK, TEXT, happens, make_account, make_fan, value


@dataclass
class Club:
    """Two brands' members: `anna` at both accounts of the first (merged), `bo` at the first, `carl` at the second."""

    office: Office
    boss: Browser
    anna: FanView
    other_home: FanView
    bo: FanView
    carl: FanView
    merge: int


@pytest.fixture
async def club(office: Office) -> Club:
    first, second = office.brands
    accounts = [await make_account(), await make_account(kind="miniprogram"), await make_account()]
    for account, brand in zip(accounts, (first, first, second), strict=True):
        await fetch("UPDATE account SET brand_id = $2 WHERE id = $1", account, brand)
    anna, other_home, bo, carl = [await make_fan(accounts[n]) for n in (0, 1, 0, 2)]
    now, sealer = office.clock.now(), office.services.sealer
    for fan in (anna, other_home):
        await link_unionid(fan_id=fan.id, unionid="u", now=now)
    for fan, nickname, name in ((anna, "=安娜", "安娜丽"), (bo, "小波", "波"), (carl, "卡尔", "卡尔")):
        await profiles.update(
            sealer,
            member_id=fan.member_id,
            account_id=fan.account_id,
            fan_id=fan.id,
            changes={"nickname": nickname, "name": name, "province": "浙江", "city": "杭州"},
            now=now,
        )
    await bind_phone(sealer, fan_id=anna.id, number="+8613812345678", now=now)
    await levels.define(brand_id=first, given=[{"name": "普卡", "threshold": 0}, {"name": "金卡", "threshold": 100}])
    key, origin = key_of("test", "award"), Origin("活动", "公众号", now)
    await ledger.award(key=key, holder_id=anna.member_id, asset="points", amount=80, origin=origin, now=now)
    await happens(anna, TEXT, now, {"content": "在吗", "msg_id": "1"})
    merge = await value("SELECT id FROM member_merge ORDER BY id LIMIT 1")
    return Club(office, await office.signed_in(), anna, other_home, bo, carl, merge)


def ids(body: Any) -> list[int]:
    return [one["id"] for one in body["items"]]


async def trail(club: Club, action: str) -> list[Any]:
    return list((await club.boss.get(f"/audit?action={action}")).body["items"])


async def test_the_list_has_its_columns_and_masks_what_is_personal(club: Club) -> None:
    viewer = await club.office.signed_in("viewer")
    for who, name, phone in ((viewer, "安**", "138****5678"), (club.boss, "安娜丽", "+8613812345678")):
        (row,) = (await who.post("/members/search", {"phone": "13812345678"})).body["items"]
        assert (row["id"], row["nickname"], row["name"], row["phone"]) == (club.anna.member_id, "=安娜", name, phone)
        assert (row["growth"], row["points"], row["location"]) == (0, 80, "浙江 杭州")
        assert [(fan["id"], fan["kind"]) for fan in row["fans"]] == [
            (club.anna.id, "service"),
            (club.other_home.id, "miniprogram"),
        ]
        assert ([one["name"] for one in row["levels"]], row["tags"]) == (["普卡"], [])
        assert row["seen_at"] == "2026-03-09T04:00:00Z"
    both = (await club.boss.post("/members/search", {})).body
    assert (ids(both), both["next"]) == (
        [club.carl.member_id, club.bo.member_id, club.anna.member_id],
        None,
    )
    page = (await club.boss.post("/members/search", {"limit": 2})).body
    assert (ids(page), page["next"]) == (ids(both)[:2], club.bo.member_id)
    assert ids((await club.boss.post("/members/search", {"limit": 2, "before": page["next"]})).body) == ids(both)[2:]
    assert (await club.boss.post("/members/count", {"points_min": 80})).body == {"count": 1}
    assert (await club.boss.post("/members/search", {"tag": "1,x"})).said == (422, "invalid")
    assert (await club.boss.post("/members/search", {"platform": "fax"})).body["field"] == "platform"


async def test_another_brands_member_does_not_exist(club: Club) -> None:
    first, second = club.office.brands
    clerk = await club.office.signed_in("supervisor", [second])
    assert ids((await clerk.post("/members/search", {})).body) == [club.carl.member_id]
    assert (await clerk.post("/members/search", {"brand": first})).said == (404, "not_found")
    paths = ("", "/points", "/events", "/checkins", "/redemptions", "/friends", "/conversations", "/outreach")
    for path in paths:
        assert (await clerk.get(f"/members/{club.anna.member_id}{path}")).status == 404, path
        assert (await clerk.get(f"/members/{club.carl.member_id}{path}")).status == 200, path
    tag = (await club.boss.post("/tags", {"brand_id": first, "name": "老客"})).body["id"]
    body = {"brand_id": second, "asset": "points", "amount": 5, "reason": "补发"}
    tries = [
        await clerk.post(f"/members/{club.anna.member_id}/tags", {"tag_id": tag}),
        await clerk.post(f"/members/{club.carl.member_id}/tags", {"tag_id": tag}),
        await clerk.post(f"/members/{club.anna.member_id}/points", body),
        await clerk.post(f"/members/{club.anna.member_id}/merges/{club.merge}/split"),
        await clerk.post("/tag-batches", {"tag_id": tag, "action": "put", "filter": {}}),
        await clerk.call("PUT", f"/tags/{tag}", {"name": "x"}),
        await clerk.post(f"/tags/{tag}/archive"),
    ]
    assert [one.status for one in tries] == [404] * 7
    assert (await clerk.get("/tags")).body["items"] == []


async def test_the_page_tells_who_somebody_is_and_what_happened(club: Club) -> None:
    # Asked for by the home that was merged, it is the person.
    card = (await club.boss.get(f"/members/{club.other_home.member_id}")).body
    assert (card["id"], card["homes"]) == (club.anna.member_id, [club.anna.member_id, club.other_home.member_id])
    assert [(one["one"], one["other"], one["evidence"], one["split_at"]) for one in card["merges"]] == [
        (club.anna.member_id, club.other_home.member_id, "unionid", None)
    ]
    assert [fan["follow_count"] for fan in card["fans"]] == [0, 0]
    events = (await club.boss.get(f"/members/{club.anna.member_id}/events?limit=2")).body
    assert (events["items"][0]["title"], events["items"][0]["payload"]) == ("发送文字", {"content": "在吗"})
    rest = (await club.boss.get(f"/members/{club.anna.member_id}/events?before={events['next']}")).body
    titles = [one["title"] for one in [*events["items"], *rest["items"]]]
    assert sorted(titles) == sorted(["发送文字", "绑定手机号", "修改会员资料", "合并为同一位会员"])
    only = (await club.boss.get(f"/members/{club.anna.member_id}/events?group=wechat.")).body["items"]
    assert [one["kind"] for one in only] == ["wechat.text"]
    (line,) = (await club.boss.get(f"/members/{club.anna.member_id}/points")).body["items"]
    assert (line["amount"], line["description"], line["platform"], line["event"]) == (80, "活动", "公众号", None)
    assert (await club.boss.get(f"/members/{club.anna.member_id}/points/{line['id']}")).body == {"items": []}
    assert (await club.boss.get(f"/members/{club.bo.member_id}/points/{line['id']}")).status == 404
    calendar = (await club.boss.get(f"/members/{club.anna.member_id}/checkins?month=2026-02")).body
    assert (calendar["first"], calendar["days"]) == ("2026-02-01", [])


async def test_events_of_another_brand_are_not_told(club: Club) -> None:
    """Somebody both brands know: each reads what happened at its own accounts, and about its own words."""
    first, second = club.office.brands
    await link_unionid(fan_id=club.bo.id, unionid="v", now=club.office.clock.now())
    await link_unionid(fan_id=club.carl.id, unionid="v", now=club.office.clock.now())
    await happens(club.carl, CLICK, club.office.clock.now(), {"event_key": "x"})
    for brand in (first, second):
        tag = (await club.boss.post("/tags", {"brand_id": brand, "name": f"标签{brand}"})).body["id"]
        assert (await club.boss.post(f"/members/{club.bo.member_id}/tags", {"tag_id": tag})).body == {"changed": True}
    clerk = await club.office.signed_in("viewer", [second])
    told = (await clerk.get(f"/members/{club.bo.member_id}/events")).body["items"]
    kinds = sorted(one["kind"] for one in told)
    assert kinds == ["member.merged", "member.profile_changed", "tag.put", "wechat.event.click"]
    assert [one["payload"]["name"] for one in told if one["kind"] == "tag.put"] == [f"标签{second}"]
    card = (await clerk.get(f"/members/{club.bo.member_id}")).body
    assert ([fan["id"] for fan in card["fans"]], [tag["name"] for tag in card["tags"]], card["levels"]) == (
        [club.carl.id],
        [f"标签{second}"],
        [],
    )


async def test_points_by_hand_go_through_the_ledger_once_and_within_limits(club: Club) -> None:
    path = f"/members/{club.anna.member_id}/points"
    body = {"brand_id": club.office.brands[0], "asset": "points", "amount": 20, "reason": "活动 补发"}
    for _ in range(2):
        assert (await club.boss.post(path, body, key="once")).body == {"changed": True}
    assert (await club.boss.post(path, body | {"amount": -101})).said == (409, "not_enough")
    assert (await club.boss.post(path, body | {"amount": -30})).status == 200
    lines = (await club.boss.get(path)).body["items"]
    assert [(one["amount"], one["description"], one["platform"]) for one in lines[:2]] == [
        (-30, "人工调整：活动 补发", "工作台"),
        (20, "人工调整：活动 补发", "工作台"),
    ]
    assert (await club.boss.get(f"/members/{club.anna.member_id}")).body["points"] == 70
    assert (await club.boss.post(path, body | {"asset": "growth", "amount": 100})).status == 200
    card = (await club.boss.get(f"/members/{club.anna.member_id}")).body
    assert ([one["name"] for one in card["levels"]], [one["name"] for one in card["level_history"]]) == (
        ["金卡"],
        ["金卡"],
    )
    for change, field in (({"amount": 0}, "amount"), ({"amount": 10_001}, "amount"), ({"reason": " x "}, "reason")):
        answer = await club.boss.post(path, body | change)
        assert (answer.status, answer.body["field"]) == (422, field)
    answers = [await club.boss.post(path, body | {"amount": 10_000}) for _ in range(5)]
    assert [one.code for one in answers] == [None] * 4 + ["adjustment_limit"]
    assert answers[4].body["title"] == "今天最多还能调整 9850"
    agent = await club.office.signed_in("agent")
    assert (await agent.post(path, body)).said == (403, "forbidden")
    entries = await trail(club, "points.adjusted")
    assert (len(entries), entries[-1]["after"]) == (7, {"asset": "points", "amount": 20, "reason": "活动 补发"})
    told = (await club.boss.get(f"/members/{club.anna.member_id}/events?group=points.")).body["items"]
    assert len(told) == 7


async def test_a_wrong_merge_is_split_with_its_line(club: Club) -> None:
    path = f"/members/{club.anna.member_id}/merges/{club.merge}/split"
    wrong = f"/members/{club.bo.member_id}/merges/{club.merge}/split"
    assert (await club.boss.post(wrong)).status == 404
    done = (await club.boss.post(path)).body
    assert done == {"one": club.anna.member_id, "other": club.other_home.member_id}
    card = (await club.boss.get(f"/members/{club.other_home.member_id}")).body
    assert (card["id"], card["homes"], card["points"]) == (club.other_home.member_id, [club.other_home.member_id], 0)
    assert card["merges"][0]["split_at"] is not None
    (line,) = await trail(club, "member.split")
    assert line["after"] == {"merge": club.merge, "evidence": "unionid", "members": sorted(done.values())}


async def test_tags_are_made_renamed_archived_and_put(club: Club) -> None:
    first = club.office.brands[0]
    tag = (await club.boss.post("/tags", {"brand_id": first, "name": "老客", "category": "价值"})).body["id"]
    other = (await club.boss.post("/tags", {"brand_id": first, "name": "新客"})).body["id"]
    path = f"/members/{club.anna.member_id}/tags"
    assert [(await club.boss.post(path, {"tag_id": tag})).body["changed"] for _ in range(2)] == [True, False]
    assert (await club.boss.call("PUT", f"/tags/{other}", {"name": "老客"})).said == (409, "tag_name_taken")
    assert (await club.boss.call("PUT", f"/tags/{tag}", {"name": "熟客", "category": "价值"})).status == 204
    assert (await club.boss.post(f"/tags/{other}/archive")).status == 204
    found = (await club.boss.get(f"/tags?brand={first}")).body["items"]
    assert [(one["name"], one["category"], one["archived"], one["people"]) for one in found] == [
        ("熟客", "价值", False, 1),
        ("新客", "", True, 0),
    ]
    assert (await club.boss.post(path, {"tag_id": other})).said == (409, "tag_archived")
    assert (await club.boss.call("DELETE", f"{path}/{tag}")).body == {"changed": True}
    actions = [action for action, _ in await club.office.trail() if action.startswith(("tag.", "member."))]
    # Putting it on again was no change, and has no line.
    assert actions == [
        "tag.added",
        "tag.added",
        "member.tagged",
        "tag.changed",
        "tag.archived",
        "member.untagged",
    ]


async def test_a_batch_is_begun_done_and_undone(club: Club) -> None:
    first = club.office.brands[0]
    tag = (await club.boss.post("/tags", {"brand_id": first, "name": "老客"})).body["id"]
    body = {"tag_id": tag, "action": "put", "filter": {"platform": "wechat"}}
    begun = [(await club.boss.post("/tag-batches", body, key="once")).body for _ in range(2)]
    assert (begun[0], begun[0]["total"], begun[0]["state"]) == (begun[1], 2, "running")
    assert (await club.boss.post(f"/tag-batches/{begun[0]['id']}/undo")).said == (409, "batch_running")
    path = f"/tag-batches/{begun[0]['id']}"
    while await batches.work_some(batch_id=begun[0]["id"], now=club.office.clock.now()):
        pass
    done = (await club.boss.get(path)).body
    assert (done["state"], done["done"], done["changed"]) == ("done", 2, 2)
    assert ids((await club.boss.post("/members/search", {"tag": str(tag)})).body) == [
        club.bo.member_id,
        club.anna.member_id,
    ]
    assert (await club.boss.post(f"{path}/undo")).body["state"] == "undoing"
    while await batches.work_some(batch_id=begun[0]["id"], now=club.office.clock.now()):
        pass
    assert [one["state"] for one in (await club.boss.get("/tag-batches")).body["items"]] == ["undone"]
    refused: list[dict[str, Any]] = [{}, {"members": [1], "filter": {}}, {"members": []}]
    for wrong in refused:
        assert (await club.boss.post("/tag-batches", {"tag_id": tag, "action": "put"} | wrong)).status == 422
    # A member of another brand is none of those chosen.
    chosen = {"tag_id": tag, "action": "put", "members": [club.carl.member_id, club.bo.member_id]}
    assert (await club.boss.post("/tag-batches", chosen)).body["total"] == 1
    (_, line) = await trail(club, "tag.batch_begun")
    assert line["after"] == {"tag": "老客", "action": "put", "filter": ["platform"], "total": 2}


async def exported(who: Browser, **wanted: Any) -> Answer:
    """Download the members of a filter, as the page does."""
    answer = await who.post("/members/exports", wanted)
    return answer if answer.status != 200 else await who.get(f"/members/export?ticket={answer.body['ticket']}")


async def test_what_is_searched_for_stands_in_no_address(club: Club) -> None:
    assert [one.path for one in SURFACE.endpoints if "phone" in (one.query.model_fields if one.query else ())] == []
    ticket = (await club.boss.post("/members/exports", {"phone": "13812345678"})).body["ticket"]
    assert all(b"138" not in base64.urlsafe_b64decode(one) for one in (ticket, ticket[8:]))
    assert ids((await club.boss.post("/members/search", {"phone": "138 1234 5678"})).body) == [club.anna.member_id]
    # A question changes nothing: asked under a key it is asked anew, and no answer is kept.
    for nickname, found in (("小波", [club.bo.member_id]), ("卡尔", [club.carl.member_id])):
        answer = await club.boss.post("/members/search", {"nickname": nickname}, key="same")
        assert ids(answer.body) == found
    assert await fetch("SELECT 1 FROM idempotent_request") == []
    # Still, no other site makes a browser ask it.
    club.boss.csrf = ""
    assert (await club.boss.post("/members/search", {})).said == (403, "csrf")
    assert (await club.boss.get("/members?phone=13812345678")).said == (404, "not_found")


async def test_a_ticket_is_ones_own_and_for_five_minutes(club: Club) -> None:
    ticket = (await club.boss.post("/members/exports", {"nickname": "小波"})).body["ticket"]
    other = await club.office.signed_in()
    old = {"for": "elsewhere", "staff": await club.boss.me(), "until": "2999-01-01T00:00:00+00:00", "filter": {}}
    sealed = club.office.services.sealer.seal
    for wrong in ("x", sealed("x"), sealed("[]"), sealed("7"), sealed("{}"), sealed(json.dumps(old))):
        assert (await club.boss.get(f"/members/export?ticket={wrong}")).body["field"] == "ticket"
    assert (await other.get(f"/members/export?ticket={ticket}")).body["field"] == "ticket"
    club.office.clock.advance(seconds=299)
    assert len((await club.boss.get(f"/members/export?ticket={ticket}")).body.splitlines()) == 2
    club.office.clock.advance(seconds=1)
    assert (await club.boss.get(f"/members/export?ticket={ticket}")).said == (422, "invalid")
    clerk = await club.office.signed_in("admin", [club.office.brands[1]])
    assert (await clerk.post("/members/exports", {"brand": club.office.brands[0]})).said == (404, "not_found")
    assert len(await trail(club, "members.exported")) == 1


async def test_the_export_says_growth_in_the_brands_own_word(club: Club) -> None:
    first = club.office.brands[0]
    await fetch("UPDATE brand SET growth_word = '经验' WHERE id = $1", first)
    heads = [
        (await exported(club.boss, **of)).body.removeprefix("\ufeff").splitlines()[0].split(",")[5]
        for of in ({"brand": first}, {"brand": club.office.brands[1]}, {})
    ]
    assert heads == ["经验", "成长值", "成长值"]
    words = {one["id"]: one["growth_word"] for one in (await club.boss.get("/me")).body["brands"]}
    assert (words[first], words[club.office.brands[1]]) == ("经验", "成长值")


async def test_the_export_is_the_filter_masked_and_no_formula(club: Club) -> None:
    operator = await club.office.signed_in("operator", [club.office.brands[0]])
    for who, name, phone in ((operator, "安**", "138****5678"), (club.boss, "安娜丽", "13812345678")):
        answer = await exported(who, nickname="安娜")
        assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''%E4%BC%9A%E5%91%98-2026")
        assert answer.body.startswith("\ufeff用户ID,会员号,")
        head, row = csv.reader(io.StringIO(answer.body.removeprefix("\ufeff"), newline=""))
        assert (row[:5], len(head)) == (
            [f"{club.anna.id}、{club.other_home.id}", str(club.anna.member_id), "'=安娜", name, phone],
            13,
        )
        assert row[5:11] == ["0", "普卡", "80", "浙江 杭州", "公众号、小程序", ""]
    assert (await exported(await club.office.signed_in("viewer"))).said == (403, "forbidden")
    assert (await exported(operator, platform="fax")).said == (422, "invalid")
    lines = await trail(club, "members.exported")
    assert [(one["after"]["filter"], one["after"]["clear"]) for one in lines] == [
        (["nickname"], True),
        (["nickname"], False),
    ]
    everybody = (await exported(operator)).body.splitlines()
    assert len(everybody) == 3
