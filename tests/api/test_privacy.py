"""The rights of the person at the API: a copy of everything, page by page, and being forgotten."""

import re
from typing import Any

from kit.ids import key_of
from scrm.access import exporting
from scrm.db import fetch
from scrm.events import service as events
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from tests.api.conftest import Json, Mini, Phone
from tests.api.test_repetitions import HOME, gift
from tests.factories import TEXT, make_fan


async def member_with_a_past(mini: Mini) -> tuple[Phone, FanView]:
    """Return a member who is also a follower, with a bit of everything."""
    phone = await mini.member()
    follower = await make_fan(mini.official.id)
    assert phone.fan.unionid is not None
    await link_unionid(fan_id=follower.id, unionid=phone.fan.unionid, now=mini.clock.now())
    await events.append(
        key=key_of("text"), kind=TEXT, occurred_at=mini.clock.now(), recorded_at=mini.clock.now(),
        member_id=follower.member_id, account_id=follower.account_id, fan_id=follower.id, payload={"content": "你好"},
    )  # fmt: skip
    await phone.post("/phone", {"code": await phone.code("phone_code")})
    await phone.call("PUT", "/profile", {"nickname": "小明", "name": "{小明", "birthday": "1990-05-01"})
    await phone.post("/checkin")
    await phone.earn(30)
    place = (await phone.post("/addresses", HOME)).body["id"]
    await phone.post(f"/gifts/{await gift(mini)}/redeem", {"address_id": place})
    await phone.get("/invitation")
    return phone, follower


async def exported(phone: Phone) -> dict[str, list[Json]]:
    sections: dict[str, list[Any]] = {}
    after: str | None = None
    while True:
        page = (await phone.get("/me/export" + (f"?after={after}" if after else ""))).body
        for section in page["sections"]:
            sections.setdefault(section["name"], []).extend(section["items"])
        after = page["next"]
        if after is None:
            return sections


async def test_a_copy_of_everything_in_clear(mini: Mini) -> None:
    phone, follower = await member_with_a_past(mini)
    held = await exported(phone)
    (profile,) = held["profile"]
    assert (profile["nickname"], profile["name"], profile["birthday"]) == ("小明", "{小明", "1990-05-01")
    assert profile["phone"].startswith("+861")
    assert {one["openid"] for one in held["accounts"]} == {follower.openid, (await phone.as_fan()).openid}
    assert [one["unionid"] for one in held["identities"]] == [phone.fan.unionid, None]
    assert [one["evidence"] for one in held["merges"]] == ["unionid"]
    assert held["addresses"][0]["address"] == HOME
    assert held["redemptions"][0]["address"] == HOME
    assert [(line["asset"], line["amount"], line["kind"]) for line in held["statement"]] == [
        ("points", 30, "award"),
        ("points", -10, "spend"),
    ]
    assert [one["day"] for one in held["checkins"]] == ["2026-03-09"]
    (text,) = [event for event in held["events"] if event["kind"] == TEXT]
    assert (text["title"], text["payload"], text["account"]) == ("发送文字", {"content": "你好"}, "测试号")
    assert len(held["invitation"]) == 1
    other = await exported(await mini.member("小红"))
    assert set(other) == {"members", "accounts", "sessions", "identities", "events"}
    assert "小明" not in str(other)


async def test_pages_of_any_size_are_the_same_copy(mini: Mini) -> None:
    phone, _ = await member_with_a_past(mini)
    member_id = (await phone.as_fan()).member_id
    whole, end = await exporting.page(mini.services.sealer, member_id)
    assert end is None
    everything = [(part.name, item) for part in whole for item in part.items]
    for limit in (1, 2, 3, 7, len(everything)):
        seen: list[tuple[str, Json]] = []
        after: str | None = None
        while True:
            parts, after = await exporting.page(mini.services.sealer, member_id, after=after, limit=limit)
            rows = [(part.name, item) for part in parts for item in part.items]
            assert len(rows) <= limit
            seen += rows
            if after is None:
                break
        assert seen == everything


async def test_a_place_nobody_gave_is_refused(mini: Mini) -> None:
    phone = await mini.member()
    for after in ("nothing", "events.", "events.-1", "events.x", "no.1", "events.1%00", "events.9999999999999999999"):
        refused = await phone.get(f"/me/export?after={after}")
        assert (refused.status, refused.body["field"]) == (422, "after")


# Tables with a person in them that the copy leaves out.
LEFT_OUT = {
    "award_explanation",  # why the lines of the statement are what they are
    "ledger_balance",  # their sum
    "ledger_lot",  # what is left of them
    "event_redaction",  # only of the erased
    "push",  # copies of events and answers, for days
    "held_reply",
    "dialogue",
    "turn",
    "assistant_call",  # what the model cost
    "assistant_usage",
    "points_adjustment",  # the statement has the line, by the same key
    "tag_batch_member",  # the person's tags are in it
}


async def test_every_table_about_people_is_in_the_copy_or_left_out_for_a_reason(mini: Mini) -> None:
    """Whoever adds a table with a person in it decides here, and in scrm.access.leaving, what is to become of it."""
    tables = await fetch(
        """
        SELECT DISTINCT table_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name !~ '^event_(default|[0-9]{4}_)'
          AND column_name ~ '^(member|fan|holder|person|beneficiary|invitee|inviter|kept)_id$'
        """
    )
    copied = set(re.findall(r"(?:FROM|JOIN) (\w+)", " ".join(section.sql for section in exporting.SECTIONS)))
    assert {row["table_name"] for row in tables} - copied == LEFT_OUT


async def test_being_forgotten(mini: Mini) -> None:
    phone, follower = await member_with_a_past(mini)
    refused = await phone.call("DELETE", "/me", key="gone")
    assert (refused.status, refused.code) == (409, "open_redemptions")
    (open_one,) = (await phone.get("/redemptions")).body["items"]
    await phone.post(f"/redemptions/{open_one['id']}/cancel", {})
    assert (await phone.call("DELETE", "/me", key="gone")).code == "open_redemptions", "the kept answer"
    assert (await phone.call("DELETE", "/me", key="gone-now")).status == 204
    for method, path in (("GET", "/me"), ("DELETE", "/me"), ("GET", "/me/export")):
        answer = await phone.call(method, path, key="gone-now" if method == "DELETE" else None)
        assert (answer.status, answer.code) == (401, "session_over")
    assert (await phone.post("/refresh", {"refresh_token": phone.refresh})).code == "session_over"
    # Who comes again is new.
    await phone.sign_in()
    assert (await phone.get("/me")).body["points"] == 0
    assert (await phone.get("/profile")).body["nickname"] is None
    assert (await phone.get("/addresses")).body == {"items": []}
    held = await exported(phone)
    assert [one["openid"] for one in held["accounts"]] == [(await phone.as_fan()).openid]
    assert "你好" not in str(held)
    kept = (await fetch("SELECT string_agg(r::text, '') AS text FROM idempotent_request r"))[0]["text"]
    assert kept.count("(") == 1, "only the deletion's own, with an empty answer"
    assert follower.openid not in (await fetch("SELECT string_agg(openid, ' ') AS text FROM fan"))[0]["text"]
