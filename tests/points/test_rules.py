"""The rule table: versions, checks, caps, who counts as one person, what comes late, and two at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm.db import Transaction, fetch, transaction
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events import kinds
from scrm.points import awarding, plans, rulebook, tasks
from scrm.points.ledger import POINTS
from scrm.points.plans import Facts
from scrm.points.postings import GROWTH
from scrm.points.queries import statement
from scrm.points.reasons import REASONS
from tests.factories import value
from tests.points.books import audit, make_members, merge, split
from tests.points.house import LATE, LONG_AGO, House, coming, define, has, mature, open_house, shanghai

NOON = shanghai("2026-03-09 12:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SHARE = {"code": "share", "kind": "per_action", "event_kind": "post.shared", "points": 3, "growth": 0}


@pytest.fixture
async def house(tx_db: Transaction) -> House:
    return await open_house()


@pytest.fixture
async def zippo(tx_db: Transaction) -> House:
    return await open_house("zippo")


# Versions


async def test_the_version_in_force_at_the_moment_of_the_event_counts_however_late_it_is_told(house: House) -> None:
    (ann,) = await make_members(1)
    assert await define(house, SHARE) == 1
    assert await define(house, SHARE | {"points": 10}, NOON) == 2
    await house.happens("post.shared", ann, NOON - timedelta(seconds=1), now=NOON + DAY)
    assert await has(ann) == (3, 0)
    await house.happens("post.shared", ann, NOON)
    assert await has(ann) == (13, 0)
    assert [(line.amount, line.rule) for line in await statement(ann, POINTS)] == [(10, "share"), (3, "share")]


async def test_a_version_with_an_end_is_a_promotion(house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, SHARE)
    await define(house, SHARE | {"points": 6}, NOON, since=NOON + DAY, until=NOON + 2 * DAY)
    for n, points in [(0, 3), (1, 6), (2, 3)]:
        before, _ = await has(ann)
        await house.happens("post.shared", ann, NOON + n * DAY)
        assert await has(ann) == (before + points, 0)


async def test_saying_the_same_again_makes_no_version_and_presets_install_once(
    tx_db: Transaction, house: House
) -> None:
    assert [await define(house, SHARE), await define(house, SHARE, NOON)] == [1, 1]
    assert len(await rulebook.install_preset(house.brand, "zippo", NOON)) == 5
    await define(house, zippo_row() | {"points": 9}, NOON)
    assert await rulebook.install_preset(house.brand, "zippo", NOON) == []
    table = {rule.code: rule for rule in await rulebook.table(tx_db.connection, house.brand, NOON)}
    assert (table["zippo.referral"].points, table["zippo.referral"].version) == (9, 2)
    assert {code: rule.system for code, rule in table.items()} == {
        "share": False,
        "zippo.checkin": True,
        "zippo.purchase": True,
        "zippo.post": True,
        "zippo.referral": True,
        "zippo.authentication": True,
    }


def zippo_row() -> dict[str, Any]:
    return {"code": "zippo.referral", "kind": "referral", "module": "用户中心", "name": "邀请好友注册", "growth": 5}


async def test_the_past_is_not_rewritten(house: House) -> None:
    await define(house, SHARE)
    with pytest.raises(Invalid) as refused:
        await define(house, SHARE | {"points": 1}, NOON, since=NOON - HOUR)
    assert refused.value.field == "since"
    for change, field in [
        ({"kind": "referral", "event_kind": ""}, "kind"),
        ({"event_kind": "post.liked"}, "event_kind"),
    ]:
        with pytest.raises(Conflict) as conflict:
            await define(house, SHARE | change, NOON)
        assert conflict.value.field == field


async def test_the_database_refuses_to_change_a_version(house: House) -> None:
    await define(house, SHARE)
    for statement_ in ("UPDATE points_rule_version SET points = 5", "DELETE FROM points_rule_version"):
        with pytest.raises(Exception, match="a version of a rule does not change"):
            async with transaction() as tx:
                await tx.connection.execute(statement_)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"points": -1}, "points"),
        ({"growth": "3"}, "growth"),
        ({"day_cap_points": -1}, "day_cap_points"),
        ({"code": "Big Letters"}, "code"),
        ({"name": ""}, "name"),
        ({"frequency": "weekly"}, "frequency"),
        ({"kind": "magic"}, "kind"),
        ({"event_kind": "no.such"}, "event_kind"),
        ({"kind": "referral"}, "event_kind"),
        ({"kind": "daily_checkin", "event_kind": ""}, "frequency"),
        ({"kind": "purchase", "event_kind": "", "settings": {"fen_per_unit": 0}}, "settings.fen_per_unit"),
        ({"settings": {"days": 3}}, "settings.days"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_row_is_refused_with_the_name_of_its_field(change: dict[str, Any], field: str) -> None:
    row = {"module": "社区", "name": "分享"} | SHARE | change
    with pytest.raises(Invalid) as refused:
        rulebook.check(row)
    assert refused.value.field == field


async def test_a_preset_nobody_knows(house: House) -> None:
    with pytest.raises(NotFound):
        await rulebook.install_preset(house.brand, "nobody", NOON)


def test_every_kind_keeps_its_promises() -> None:
    """The registry's contract: known events, defaults that are complete, a title for people, words for reasons."""
    known = {kind.name for kind in kinds.every()}
    assert [kind.name for kind in plans.every()] == [
        "authentication",
        "daily_checkin",
        "passive",
        "per_action",
        "post",
        "purchase",
        "referral",
    ]
    for kind in plans.every():
        assert {*kind.events, *kind.revisions} <= known
        assert kind.title
        assert kind.frequencies <= set(plans.FREQUENCIES)
        kind.settings()
    assert all(REASONS.values())


def test_every_preset_is_well_formed() -> None:
    assert rulebook.presets() == ["a039", "a095", "qingyu", "zippo"]


# Caps, frequencies


async def test_caps_that_do_not_divide_give_the_rest(house: House) -> None:
    """Day cap 8 of points by threes: 3, 3, 2, 0; growth has its own cap of 4 by twos."""
    (ann,) = await make_members(1)
    await define(house, SHARE | {"growth": 2, "day_cap_points": 8, "day_cap_growth": 4})
    keys = [await house.happens("post.shared", ann, NOON + n * HOUR) for n in range(4)]
    assert [[row[4:] for row in await house.explained(key)] for key in keys] == [
        [(3, "awarded"), (2, "awarded")],
        [(3, "awarded"), (2, "awarded")],
        [(2, "cap_day"), (0, "cap_day")],
        [(0, "cap_day"), (0, "cap_day")],
    ]
    assert await has(ann) == (8, 4)


async def test_the_month_cap_clips_within_a_day_that_has_room(house: House) -> None:
    """Month cap 20 by day cap 15: 15 on the first day, 5 on the second, the last of them partial."""
    (ann,) = await make_members(1)
    await define(house, SHARE | {"day_cap_points": 15, "month_cap_points": 20})
    for day in (0, 1):
        for n in range(6):
            key = await house.happens("post.shared", ann, NOON + day * DAY + timedelta(minutes=n))
    assert await has(ann) == (20, 0)
    assert [row[4:] for row in await house.explained(key)] == [(0, "cap_month")]
    rows = await fetch("SELECT given, reason FROM award_explanation WHERE day = $1 ORDER BY id", (NOON + DAY).date())
    assert [(row["given"], row["reason"]) for row in rows][:3] == [(3, "awarded"), (2, "cap_month"), (0, "cap_month")]


async def test_caps_count_what_is_promised_and_what_was_taken_back(house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, {"code": "buy", "kind": "purchase", "points": 1, "day_cap_points": 10})
    await house.happens("order.received", ann, NOON, {"order": "1", "amount": 7000})
    await house.happens("order.returned", ann, NOON, {"order": "1", "amount": 7000, "returned": 7000})
    await house.happens("order.received", ann, NOON, {"order": "2", "amount": 7000})
    assert [row[:2] for row in await coming(ann)] == [("points", 3)]


async def test_once_is_once_per_person_and_rule(house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, SHARE | {"frequency": "once"})
    await house.happens("post.shared", ann, NOON)
    key = await house.happens("post.shared", ann, NOON + 400 * DAY)
    assert [row[4:] for row in await house.explained(key)] == [(0, "already_once")]
    assert await has(ann) == (3, 0)


async def test_what_was_not_given_is_explained(house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, SHARE | {"enabled": False})
    await define(house, SHARE | {"code": "later"}, NOON)
    key = await house.happens("post.shared", ann, NOON - HOUR)
    assert await house.explained(key) == [
        ("share", ann, "", 0, 0, "disabled"),
        ("later", ann, "", 0, 0, "not_effective"),
    ]
    assert await has(ann) == (0, 0)


async def test_points_of_a_rule_may_expire_and_growth_does_not(house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, SHARE | {"growth": 4, "points_valid_days": 10})
    await house.happens("post.shared", ann, NOON)
    assert await has(ann, NOON + 10 * DAY - HOUR) == (3, 4)
    assert await has(ann, NOON + 10 * DAY) == (0, 4)


# Persons


async def test_caps_and_once_count_over_all_homes_of_a_person(zippo: House) -> None:
    one, other = await make_members(2)
    await define(zippo, SHARE | {"day_cap_points": 5})
    await zippo.happens("checkin.done", one, NOON)
    await zippo.happens("post.shared", one, NOON)
    await merge(one, [other])
    key = await zippo.happens("checkin.done", other, NOON + HOUR)
    assert [row[5] for row in await zippo.explained(key)] == ["already_today", "already_today"]
    await zippo.happens("post.shared", other, NOON + HOUR)
    assert await has(one) == (1 + 5, 3)
    # Each home keeps what arose there.
    await split(other)
    assert (await has(one), await has(other)) == ((4, 3), (2, 0))


async def test_nobody_invites_themselves_under_another_account(zippo: House) -> None:
    one, other = await make_members(2)
    await merge(one, [other])
    key = await zippo.happens("member.referred", other, NOON, {"inviter": one})
    assert await zippo.explained(key) == [("zippo.referral", one, "", 0, 0, "self_referral")]
    assert await has(one) == (0, 0)


async def test_an_invitee_with_two_homes_is_rewarded_once(zippo: House) -> None:
    old, app, wechat = await make_members(3)
    await zippo.happens("member.referred", app, NOON, {"inviter": old})
    await merge(app, [wechat])
    await zippo.happens("member.referred", wechat, NOON, {"inviter": old})
    assert (await has(old), await has(app)) == ((3, 5), (3, 5))


async def test_a_referral_found_to_be_fraud_is_taken_back_from_both(zippo: House) -> None:
    old, new = await make_members(2)
    await zippo.happens("member.referred", new, NOON, {"inviter": old})
    await zippo.happens("referral.fraud", new, NOON + DAY)
    assert (await has(old), await has(new)) == ((0, 0), (0, 0))
    await zippo.happens("member.referred", new, NOON + 2 * DAY, {"inviter": old})
    assert (await has(old), await has(new)) == ((0, 0), (0, 0))
    await audit()


async def test_one_code_never_rewards_two_members_at_once(db: TortoiseContext) -> None:
    zippo = await open_house("zippo")
    members = await make_members(20)
    await asyncio.gather(*(zippo.happens("product.authenticated", one, NOON, {"code": "ZIP-1"}) for one in members))
    assert sorted([await has(one) for one in members])[-2:] == [(0, 0), (5, 50)]
    await audit()


async def test_caps_hold_when_everything_happens_at_once(db: TortoiseContext) -> None:
    house = await open_house("a039", "a095")
    ann, bob = await make_members(2)
    await asyncio.gather(
        *(house.happens("post.shared", ann, NOON + timedelta(seconds=n), {"post": "1"}) for n in range(30)),
        *(
            house.happens("post.liked", ann, NOON + timedelta(seconds=n), {"post": "1", "author": bob})
            for n in range(10)
        ),
        *(
            house.happens("post.liked", bob, NOON + timedelta(seconds=n), {"post": "2", "author": ann})
            for n in range(10)
        ),
    )
    assert (await has(ann), await has(bob)) == ((15 + 10, 15), (10, 0))
    await audit()


# Late and odd


async def test_a_return_heard_of_before_its_receipt_counts(zippo: House) -> None:
    (ann,) = await make_members(1)
    returned = {"order": "T1", "amount": 9900, "returned": 5000}
    first = await zippo.happens("order.returned", ann, NOON, returned)
    assert await zippo.explained(first) == [("zippo.purchase", ann, "", 0, 0, "returned")]
    key = await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    assert [row[2:] for row in await zippo.explained(key)] == [
        ("points", 9, 4, "returned"),
        ("growth", 9, 4, "returned"),
    ]
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    await mature(LATE)
    assert await has(ann) == (4, 4)


async def test_a_return_counts_by_the_version_that_gave_even_when_the_rule_is_off(zippo: House) -> None:
    (ann,) = await make_members(1)
    await define(zippo, {"code": "buy", "kind": "purchase", "points": 2})
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 10000})
    await define(zippo, {"code": "buy", "kind": "purchase", "points": 7, "enabled": False}, NOON + HOUR)
    await zippo.happens("order.returned", ann, NOON + DAY, {"order": "T1", "amount": 10000, "returned": 5500})
    await mature(LATE)
    assert await has(ann) == (4 + 2 * 4, 4)


async def test_an_order_received_while_a_return_is_open_waits_for_it(zippo: House) -> None:
    (ann,) = await make_members(1)
    await zippo.happens("order.return_opened", ann, NOON + HOUR, {"order": "T1"})
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    assert await mature(LATE) == 0
    # A return that is done is no longer open.
    await zippo.happens("order.returned", ann, NOON + DAY, {"order": "T1", "amount": 9900, "returned": 900})
    assert await mature(LATE) == 2
    assert await has(ann) == (9, 9)


async def test_a_verdict_after_the_due_date_pays_at_the_next_run(zippo: House) -> None:
    (ann,) = await make_members(1)
    payload = {"post": "P1", "verdict": "approved", "published_at": NOON.isoformat()}
    await zippo.happens("post.judged", ann, NOON + 30 * DAY, payload)
    assert await mature(NOON + 30 * DAY) == 2
    assert await has(ann) == (2, 5)


@pytest.mark.parametrize(
    ("kind", "payload", "field"),
    [
        ("order.received", {"order": "T1"}, "payload.amount"),
        ("order.received", {"order": "T1", "amount": -1}, "payload.amount"),
        ("order.received", {"order": "T1", "amount": True}, "payload.amount"),
        ("order.received", {"order": "", "amount": 1000}, "payload.order"),
        ("order.received", {"order": "x" * 49, "amount": 1000}, "payload.order"),
        ("order.returned", {"order": "T1", "amount": 1000, "returned": 1001}, "payload.returned"),
        ("post.judged", {"post": "P1", "verdict": "maybe"}, "payload.verdict"),
        ("post.judged", {"post": "P1", "verdict": "approved", "published_at": "today"}, "payload.published_at"),
        ("post.judged", {"post": "P1", "verdict": "approved", "published_at": "2026-03-09"}, "payload.published_at"),
        ("member.referred", {"inviter": 987654321}, "payload.inviter"),
        ("member.referred", {"inviter": 2**70}, "payload.inviter"),
        ("member.referred", {}, "payload.inviter"),
        ("product.authenticated", {}, "payload.code"),
    ],
)  # fmt: skip
async def test_a_payload_that_a_rule_cannot_read_is_refused_with_its_field(
    zippo: House, kind: str, payload: dict[str, Any], field: str
) -> None:
    (ann,) = await make_members(1)
    with pytest.raises(Invalid) as refused:
        await zippo.happens(kind, ann, NOON, payload)
    assert refused.value.field == field
    assert await value("SELECT count(*) FROM event WHERE kind = $1", kind) == 0


async def test_events_of_another_brand_or_of_nobody_earn_nothing(zippo: House) -> None:
    other = await open_house()
    (ann,) = await make_members(1)
    key = await other.happens("product.authenticated", ann, NOON, {"code": "1"})
    assert (await other.explained(key), await has(ann)) == ([], (0, 0))


async def test_the_platform_of_a_line_is_the_account_or_what_the_event_says(zippo: House) -> None:
    (ann,) = await make_members(1)
    await zippo.happens("product.authenticated", ann, NOON, {"code": "1"}, account=zippo.service)
    await zippo.happens("product.authenticated", ann, NOON, {"code": "2", "platform": "天猫"})
    assert [line.platform for line in await statement(ann, GROWTH)] == ["天猫", "公众号"]


async def test_applying_an_event_again_changes_nothing(tx_db: Transaction, zippo: House) -> None:
    old, new = await make_members(2)
    key = key_of("twice")
    facts = Facts(key, "member.referred", NOON, zippo.brand, new, "小程序", {"inviter": old})
    await awarding.apply(tx_db.connection, [facts, facts], NOON)
    await awarding.apply(tx_db.connection, [facts], NOON + DAY)
    assert (await has(old), await has(new)) == ((3, 5), (3, 5))
    assert len(await zippo.explained(key)) == 4


async def test_a_batch_is_applied_in_its_order_in_one_transaction(tx_db: Transaction, zippo: House) -> None:
    ann, bob = await make_members(2)
    batch = [
        fact(zippo, ann, "product.authenticated", {"code": "1"}),
        fact(zippo, bob, "product.authenticated", {"code": "1"}),
        fact(zippo, ann, "product.fraud", {"code": "1"}),
        fact(zippo, ann, "checkin.done", {}),
        fact(zippo, ann, "checkin.done", {}),
    ]
    await awarding.apply(tx_db.connection, batch, NOON)
    assert (await has(ann), await has(bob)) == ((1, 3), (0, 0))
    await audit()


def fact(house: House, member: int, kind: str, payload: dict[str, Any]) -> Facts:
    key: UUID = key_of("batch", member, kind, str(payload), datetime.now(UTC))
    return Facts(key, kind, NOON, house.brand, member, "小程序", payload)


async def test_rules_that_nobody_wrote_cost_nothing(house: House) -> None:
    (ann,) = await make_members(1)
    await house.happens("post.shared", ann, LONG_AGO)
    assert await value("SELECT count(*) FROM ledger_balance WHERE holder_id = $1", ann) == 0


# The task centre


async def test_the_task_centre_tells_progress_and_what_is_left(tx_db: Transaction) -> None:
    house = await open_house("a039", "zippo")
    one, other = await make_members(2)
    await merge(one, [other])
    for n in range(4):
        await house.happens("post.shared", other, NOON - DAY * 2 + timedelta(minutes=n), {"post": "1"})
        await house.happens("post.shared", one, NOON + timedelta(minutes=n), {"post": "1"})
    await house.happens("checkin.done", one, NOON)

    async def left(member: int | None) -> list[tuple[str, dict[str, int], dict[str, int | None], bool]]:
        listed = await tasks.today(tx_db.connection, house.brand, member, NOON + HOUR)
        return [(task.rule.code, task.today, task.left, task.open) for task in listed if "post" not in task.rule.code]

    assert (await left(one))[:3] == [
        ("community.comment", {"points": 0, "growth": 0}, {"points": 15, "growth": 15}, True),
        ("community.share", {"points": 12, "growth": 12}, {"points": 3, "growth": 3}, True),
        ("zippo.checkin", {"points": 1, "growth": 3}, {"points": 0, "growth": 0}, False),
    ]
    assert (await left(None))[2:4] == [
        ("zippo.checkin", {"points": 0, "growth": 0}, {"points": 1, "growth": 3}, True),
        ("zippo.purchase", {"points": 0, "growth": 0}, {"points": None, "growth": None}, True),
    ]


async def test_the_task_centre_knows_month_caps_once_and_disabled_rules(tx_db: Transaction, house: House) -> None:
    (ann,) = await make_members(1)
    await define(house, SHARE | {"code": "month", "month_cap_points": 4})
    await define(house, SHARE | {"code": "once", "frequency": "once"})
    await define(house, SHARE | {"code": "off", "enabled": False})
    await house.happens("post.shared", ann, NOON)
    listed = await tasks.today(tx_db.connection, house.brand, ann, NOON + DAY)
    assert [(task.rule.code, task.left, task.open) for task in listed] == [
        ("month", {"points": 1}, True),
        ("once", {"points": 0}, False),
    ]
    (month, once) = await tasks.today(tx_db.connection, house.brand, ann, shanghai("2026-04-01 00:00"))
    assert (month.left, once.left) == ({"points": 4}, {"points": 0})


def test_kinds_without_settings_of_their_own_wait_as_the_source_says() -> None:
    row = {"module": "社区", "name": "发帖", "points": 2, "growth": 5, "code": "x"}
    assert rulebook.check(row | {"kind": "post"}).settings == {
        "points_days": 5,
        "points_calendar": "natural",
        "growth_days": 5,
        "growth_calendar": "working",
    }
    assert rulebook.check(row | {"kind": "purchase"}).settings == {"fen_per_unit": 1000, "days": 15}
