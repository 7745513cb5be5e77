"""What events do: whom they are about, what follows from them, and that an unknown one is kept."""

from datetime import timedelta

import pytest

from bot.wire import EVENTS, MESSAGES
from handlers import ROUTERS
from kit.clock import ManualClock
from simulator import wire
from tests.bot.house import House
from tests.bot.metered import counted
from tests.unit.bot import pushes as documented


async def test_an_event_about_the_account_makes_no_fan(house: House) -> None:
    account = await house.account()
    server = await house.server()
    report = account.event(
        "mphelper", "MASSSENDJOBFINISH", MsgID=1000001625, Status="sendsuccess", TotalCount=100, SentCount=95
    )
    assert [(await report.to(server)).raw for _ in range(2)] == [b"success"] * 2
    ((kind, payload),) = await house.events(account)
    assert (kind, payload["msg_id"], payload["total"], payload["sent"]) == (
        "wechat.event.masssendjobfinish",
        "1000001625",
        100,
        95,
    )
    assert await house.rows("SELECT 1 FROM fan WHERE account_id = $1", account.id) == []
    rows = await house.rows("SELECT fan_id, member_id FROM event WHERE account_id = $1", account.id)
    assert rows == [{"fan_id": None, "member_id": None}]


@pytest.mark.parametrize(("person", "fans"), [("oPerson", ["oPerson"]), ("", []), ("o" * 65, [])])
async def test_a_privacy_event_is_about_the_person_inside(house: House, person: str, fans: list[str]) -> None:
    account = await house.account("miniprogram", fmt="json")
    server = await house.server()
    revoked = account.event("oThePlatform", "user_authorization_revoke", OpenID=person, AppID="wx1", RevokeInfo="6")
    assert (await revoked.to(server)).raw == b"success"
    assert await house.kinds(account) == ["wechat.event.user_authorization_revoke"]
    rows = await house.rows("SELECT openid FROM fan WHERE account_id = $1", account.id)
    assert [row["openid"] for row in rows] == fans


async def test_an_unknown_event_is_about_whom_we_know(house: House, clock: ManualClock) -> None:
    """Of a name that no fan has it makes nobody: the platform's own names stand there too."""
    account = await house.account()
    server = await house.server()
    await account.text("oFan", "你好").to(server)
    card = account.event("oFan", "user_get_card", UserCardCode="12312312")
    clock.advance(seconds=1)
    assert [(await push.to(server)).raw for push in (card, account.event("oNobody", "user_get_card"))] == [
        b"success"
    ] * 2
    rows = await house.rows(
        """
        SELECT f.openid, e.member_id = f.member_id AS theirs FROM event e LEFT JOIN fan f ON f.id = e.fan_id
        WHERE e.account_id = $1 AND e.kind = 'wechat.event.unknown' ORDER BY e.id
        """,
        account.id,
    )
    assert [(row["openid"], row["theirs"]) for row in rows] == [("oFan", True), (None, None)]
    rows = await house.rows("SELECT openid FROM fan WHERE account_id = $1", account.id)
    assert [row["openid"] for row in rows] == ["oFan"]


async def test_an_unfollow_that_comes_late_ends_nothing(house: House, clock: ManualClock) -> None:
    account = await house.account()
    server = await house.server(*ROUTERS)
    late = account.event("oFan", "unsubscribe")
    clock.advance(seconds=3)
    await account.event("oFan", "subscribe", EventKey="").to(server)
    clock.advance(seconds=1)
    assert (await account.text("oFan", "人工").to(server)).text
    assert (await late.to(server)).raw == b"success"
    rows = await house.rows(
        """
        SELECT f.following, c.state, d.name FROM fan f JOIN conversation c ON c.fan_id = f.id
        JOIN dialogue d ON d.fan_id = f.id WHERE f.account_id = $1
        """,
        account.id,
    )
    assert [(row["following"], row["state"], row["name"]) for row in rows] == [(True, "waiting", "person")]


@pytest.mark.parametrize("event", ["subscribe", "SCAN"])
async def test_what_cannot_be_a_scene_touches_no_channel(house: House, event: str) -> None:
    account = await house.account(fmt="json")
    server = await house.server(*ROUTERS)
    prefix = "qrscene_" if event == "subscribe" else ""
    odd = [account.event(f"oFan{n}", event, EventKey=prefix + scene) for n, scene in enumerate(("x" * 65, "a\x07b"))]
    assert [(await push.to(server)).raw for push in odd] == [b"success"] * 2
    assert await house.rows("SELECT 1 FROM channel WHERE account_id = $1", account.id) == []


async def test_unknown_types_are_stored_whole_and_answered_success(house: House) -> None:
    account = await house.account()
    server = await house.server()
    new = account.event("oNobody", "quantum_leap", EventKey="k", Depth={"Inner": "1"})
    async with counted("fensi_pushes_total", by=1, kind="wechat.event.unknown", outcome="answered"):
        assert [(await new.to(server)).raw for _ in range(2)] == [b"success"] * 2
    message = account.message("oFan", "hologram", Beam="b")
    assert (await message.to(server)).status == 200
    assert await house.events(account) == [
        (
            "wechat.event.unknown",
            {
                "MsgType": "event",
                "Event": "quantum_leap",
                "EventKey": "k",
                "Depth": {"Inner": "1"},
                "CreateTime": str(account.now()),
            },
        ),
        (
            "wechat.unknown",
            {
                "MsgType": "hologram",
                "Beam": "b",
                "CreateTime": str(account.now()),
                "MsgId": message.body["MsgId"],
            },
        ),
    ]


@pytest.mark.parametrize("fmt", ["xml", "json"])
async def test_everything_documented_is_accepted_once_and_stored_under_its_kind(house: House, fmt: str) -> None:
    account = await house.account(fmt=fmt)
    server = await house.server()
    samples = {**documented.MESSAGES, **{f"event.{name}": body for name, body in documented.EVENTS.items()}}
    assert len(samples) == len(MESSAGES) + len(EVENTS)
    expected = []
    for n, (name, sample) in enumerate(samples.items()):
        # All samples are of one fan, and messages among them share one MsgId.
        body = {**wire.from_xml(sample), "CreateTime": account.now() - n}
        if "MsgId" in body:
            body["MsgId"] = str(9_000_000 + n)
        plain = account.render(body)
        for _ in range(2):
            sealed, envelope = account.envelope(plain)
            answer = await account.post(server, envelope, account.signed(sealed=sealed))
            assert answer.status == 200, (name, answer.raw)
        expected.append(f"wechat.{name}")
    # WeChat's own desk is followed: its sessions are conversations of ours (docs/subsystems/conversations.md).
    assert [kind for kind in await house.kinds(account) if kind.startswith("wechat.")] == expected
    assert await house.rows("SELECT 1 FROM push WHERE account_id = $1 AND state = 'running'", account.id) == []


async def test_follow_unfollow_and_follow_again(house: House, clock: ManualClock) -> None:
    account = await house.account()
    server = await house.server()
    seen = []
    for name in ("subscribe", "unsubscribe", "subscribe"):
        await account.event("oFan", name, EventKey="").to(server)
        fan = await house.fan(account, "oFan")
        assert fan is not None
        seen.append((fan.id, fan.person_id, fan.following, fan.follow_count))
        clock.advance(seconds=1)
    assert len({row[:2] for row in seen}) == 1
    assert [row[2:] for row in seen] == [(True, 1), (False, 1), (True, 2)]


async def test_an_older_unfollow_that_arrives_later_changes_nothing(house: House, clock: ManualClock) -> None:
    account = await house.account()
    server = await house.server()
    await account.event("oFan", "subscribe", EventKey="").to(server)
    await account.event("oFan", "unsubscribe", EventKey="", at=account.now() - 5).to(server)
    fan = await house.fan(account, "oFan")
    assert fan is not None
    assert fan.following


async def test_a_channel_counts_a_person_once(house: House, clock: ManualClock) -> None:
    account = await house.account()
    server = await house.server()
    follow = account.event("oFan", "subscribe", EventKey="qrscene_store-7", Ticket="T")
    scans = [account.event("oFan", "SCAN", EventKey="store-7", Ticket="T", at=account.now() + n) for n in (1, 2)]
    clock.advance(seconds=10)
    for push in (follow, follow, *scans, *scans):
        await push.to(server)
    touches = await house.rows(
        """
        SELECT c.scene, t.first_at, t.last_at, t.followed_at
        FROM channel_touch t JOIN channel c ON c.id = t.channel_id WHERE c.account_id = $1
        """,
        account.id,
    )
    start = clock.now() - timedelta(seconds=10)
    assert touches == [
        {
            "scene": "store-7",
            "first_at": start,
            "last_at": start + timedelta(seconds=2),
            "followed_at": start,
        }
    ]
    assert await house.kinds(account) == ["wechat.event.subscribe", "wechat.event.scan", "wechat.event.scan"]


async def test_a_delivery_report_is_noted_on_the_message(house: House) -> None:
    account = await house.account()
    server = await house.server()
    await account.event("oFan", "subscribe", EventKey="").to(server)
    await house.rows(
        """
        WITH d AS (
            INSERT INTO outreach_decision
                (key, account_id, fan_id, member_id, purpose, allowed, reason, facts, decided_at)
            SELECT gen_random_uuid(), account_id, id, member_id, 'service', true, 'x', '{}', $2 FROM fan
            WHERE account_id = $1 RETURNING id, account_id, fan_id
        )
        INSERT INTO outbox (decision_id, account_id, fan_id, body, state, due_at, created_at, platform_id)
        SELECT id, account_id, fan_id, '{}', 'sent', $2, $2, '200163836' FROM d RETURNING id
        """,
        account.id,
        house.clock.now(),
    )
    report = account.event("oFan", "TEMPLATESENDJOBFINISH", MsgID=200163836, Status="failed:user block")
    assert (await report.to(server)).raw == b"success"
    rows = await house.rows("SELECT state, detail FROM outbox WHERE account_id = $1", account.id)
    assert rows == [{"state": "sent", "detail": "failed:user block"}]
