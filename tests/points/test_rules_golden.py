"""Every number of the sources' rule tables: A039, A063-A078, A095-A097, as the presets have them."""

from datetime import timedelta

import pytest

from kit.ids import key_of
from scrm.db import Transaction, fetch
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from scrm.gifts.service import redeem
from scrm.points import levels, queries, rulebook
from scrm.points.ledger import GROWTH, POINTS, NotEnough, Origin, spend
from tests.factories import SEALER, make_fan, value
from tests.points.books import audit, make_members
from tests.points.house import LATE, House, coming, has, level, mature, open_house, shanghai

pytestmark = pytest.mark.usefixtures("tx_db")

NOON = shanghai("2026-03-09 12:00")


@pytest.fixture
async def zippo(tx_db: Transaction) -> House:
    return await open_house("zippo")


@pytest.fixture
async def a039(tx_db: Transaction) -> House:
    return await open_house("a039")


@pytest.fixture
async def ann(tx_db: Transaction) -> int:
    return (await make_members(1))[0]


# A038-A039


async def test_the_table_has_the_three_rows_of_a039_with_all_columns(tx_db: Transaction, a039: House) -> None:
    rows = await rulebook.table(tx_db.connection, a039.brand, NOON)
    assert [
        (
            row.module,
            row.name,
            row.frequency,
            row.points,
            row.growth,
            row.note,
            row.system,
            row.day_cap_points,
            row.day_cap_growth,
            row.month_cap_points,
            row.month_cap_growth,
            row.unit,
            row.enabled,
        )
        for row in rows
    ] == [
        ("社区", "社区发帖", "daily", 3, 3, "", True, 15, 15, None, None, "次", True),
        ("社区", "社区评论", "daily", 3, 3, "", True, 15, 15, None, None, "次", True),
        ("社区", "社区分享帖子到朋友圈", "daily", 3, 3, "", True, 15, 15, 90, 90, "次", True),
    ]


@pytest.mark.parametrize(
    ("kind", "rule"), [("post.published", "community.post"), ("post.commented", "community.comment")]
)
async def test_five_actions_a_day_are_rewarded_and_the_sixth_is_not(
    a039: House, ann: int, kind: str, rule: str
) -> None:
    keys = [await a039.happens(kind, ann, NOON + timedelta(minutes=n), {"post": "1", "author": ann}) for n in range(6)]
    assert await has(ann) == (15, 15)
    assert await a039.explained(keys[4]) == [
        (rule, ann, "points", 3, 3, "awarded"),
        (rule, ann, "growth", 3, 3, "awarded"),
    ]
    assert await a039.explained(keys[5]) == [
        (rule, ann, "points", 3, 0, "cap_day"),
        (rule, ann, "growth", 3, 0, "cap_day"),
    ]
    # 23:59:59 is still that day, a second later is the next.
    await a039.happens(kind, ann, shanghai("2026-03-09 23:59:59"), {"post": "1", "author": ann})
    assert await has(ann) == (15, 15)
    await a039.happens(kind, ann, shanghai("2026-03-10 00:00:00"), {"post": "1", "author": ann})
    assert await has(ann) == (18, 18)


async def test_shares_earn_ninety_a_month(a039: House, ann: int) -> None:
    """Six full days of 15 are 90; the seventh day earns nothing, the next month does."""
    for day in range(1, 7):
        for n in range(6):
            await a039.happens("post.shared", ann, shanghai(f"2026-03-{day:02} 12:0{n}"), {"post": "1"})
    assert await has(ann) == (90, 90)
    key = await a039.happens("post.shared", ann, shanghai("2026-03-31 23:59:59"), {"post": "1"})
    assert await has(ann) == (90, 90)
    assert [row[5] for row in await a039.explained(key)] == ["cap_month", "cap_month"]
    await a039.happens("post.shared", ann, shanghai("2026-04-01 00:00:00"), {"post": "1"})
    assert await has(ann) == (93, 93)


# A064, A071: check-in


async def test_check_in_earns_three_growth_and_one_point_once_a_day_over_both_channels(zippo: House, ann: int) -> None:
    await zippo.happens("checkin.done", ann, shanghai("2026-03-09 00:00:00"), account=zippo.mini)
    assert await has(ann, NOON) == (1, 3)
    second = await zippo.happens("checkin.done", ann, shanghai("2026-03-09 23:59:59"), account=zippo.service)
    assert await has(ann) == (1, 3)
    assert await zippo.explained(second) == [
        ("zippo.checkin", ann, "points", 1, 0, "already_today"),
        ("zippo.checkin", ann, "growth", 3, 0, "already_today"),
    ]
    await zippo.happens("checkin.done", ann, shanghai("2026-03-10 00:00:00"), account=zippo.service)
    assert await has(ann) == (2, 6)


# A065, A072: purchase


@pytest.mark.parametrize(
    ("fen", "units"), [(0, 0), (999, 0), (1000, 1), (1999, 1), (2000, 2), (22800, 22), (9999999, 9999)]
)
async def test_ten_yuan_are_one_floored_per_order(zippo: House, ann: int, fen: int, units: int) -> None:
    key = await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": fen})
    assert [(row[2], row[4], row[5]) for row in await zippo.explained(key)] == (
        [("points", units, "promised"), ("growth", units, "promised")]
        if units
        else [("points", 0, "too_small"), ("growth", 0, "too_small")]
    )
    await mature(LATE)
    assert await has(ann) == (units, units)


async def test_two_orders_of_five_yuan_earn_nothing(zippo: House, ann: int) -> None:
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 500})
    await zippo.happens("order.received", ann, NOON, {"order": "T2", "amount": 500})
    await mature(LATE)
    assert await has(ann) == (0, 0)


async def test_a_purchase_is_paid_fifteen_natural_days_after_the_receipt(zippo: House, ann: int) -> None:
    await zippo.happens("order.received", ann, shanghai("2026-09-20 18:30"), {"order": "T1", "amount": 10000})
    # Holidays and weekends count: natural days.
    due = shanghai("2026-10-05 18:30")
    assert await coming(ann) == [("growth", 10, due), ("points", 10, due)]
    assert await mature(due - timedelta(seconds=1)) == 0
    assert await has(ann) == (0, 0)
    assert await mature(due) == 2
    assert await has(ann) == (10, 10)
    assert await mature(due) == 0


async def test_a_return_before_the_payment_cancels_it(zippo: House, ann: int) -> None:
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    key = await zippo.happens(
        "order.returned", ann, NOON + timedelta(days=3), {"order": "T1", "amount": 9900, "returned": 9900}
    )
    assert await zippo.explained(key) == [
        ("zippo.purchase", ann, "points", -9, -9, "returned"),
        ("zippo.purchase", ann, "growth", -9, -9, "returned"),
    ]
    assert await coming(ann) == []
    assert await mature(LATE) == 0
    assert await has(ann) == (0, 0)


async def test_a_partial_return_leaves_what_the_rest_is_worth(zippo: House, ann: int) -> None:
    """99 元 earn 9. Of 69 元 6 remain, of 9.99 元 none."""
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    returned = {"order": "T1", "amount": 9900, "returned": 3000}
    await zippo.happens("order.returned", ann, NOON + timedelta(days=1), returned)
    assert [row[:2] for row in await coming(ann)] == [("growth", 6), ("points", 6)]
    await mature(NOON + timedelta(days=15))
    assert await has(ann) == (6, 6)
    # Afterwards a return claws back (ruling 1 of A23).
    await zippo.happens("order.returned", ann, NOON + timedelta(days=20), returned | {"returned": 8901})
    assert await has(ann) == (0, 0)


async def test_a_return_after_the_points_were_spent_is_a_debt_that_later_earnings_repay(zippo: House, ann: int) -> None:
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 20000})
    await mature(paid := NOON + timedelta(days=15))
    await spend(
        key=key_of("redeem", 1), holder_id=ann, asset=POINTS, amount=18, now=paid,
        origin=Origin("兑换积分商品:手机壳:id:104406", "小程序", paid),
    )  # fmt: skip
    back = paid + timedelta(days=1)
    await zippo.happens("order.returned", ann, back, {"order": "T1", "amount": 20000, "returned": 20000})
    assert await has(ann) == (-18, 0)
    await zippo.happens("checkin.done", ann, back + timedelta(days=1))
    assert await has(ann) == (-17, 3)
    lines = await queries.statement(ann, POINTS)
    assert [(line.description, line.amount) for line in lines] == [
        ("每日签到", 1),
        ("购买商品：退货扣回", -20),
        ("兑换积分商品:手机壳:id:104406", -18),
        ("购买商品", 20),
    ]
    await audit()


async def test_an_open_return_puts_the_payment_off(zippo: House, ann: int) -> None:
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 9900})
    opened = await zippo.happens("order.return_opened", ann, NOON + timedelta(days=14), {"order": "T1"})
    assert [row[5] for row in await zippo.explained(opened)] == ["return_open"]
    assert await mature(NOON + timedelta(days=40)) == 0
    await zippo.happens("order.return_closed", ann, NOON + timedelta(days=41), {"order": "T1"})
    assert await mature(NOON + timedelta(days=41)) == 2
    assert await has(ann) == (9, 9)


# A066, A073: posts


async def judged(house: House, member: int, published: str, verdict: str, after: timedelta, post: str = "P1") -> None:
    when = shanghai(published)
    payload = {"post": post, "verdict": verdict, "published_at": when.isoformat()}
    await house.happens("post.judged", member, when + after, payload)


@pytest.mark.parametrize(
    ("published", "points_due", "growth_due"),
    [
        ("2026-03-09 12:00", "2026-03-14 12:00", "2026-03-16 12:00"),  # an ordinary Monday
        ("2026-09-30 15:00", "2026-10-05 15:00", "2026-10-13 15:00"),  # National Day; Saturday 10 October is worked
        ("2026-09-18 09:00", "2026-09-23 09:00", "2026-09-24 09:00"),  # Sunday 20 September is worked
        ("2026-10-03 23:30", "2026-10-08 23:30", "2026-10-13 23:30"),  # published within the holidays
        ("2026-10-01 00:10", "2026-10-06 00:10", "2026-10-13 00:10"),  # 30 September in UTC
    ],
)
async def test_one_post_has_two_due_dates(
    zippo: House, ann: int, published: str, points_due: str, growth_due: str
) -> None:
    await judged(zippo, ann, published, "approved", timedelta(hours=2))
    assert await coming(ann) == [("points", 2, shanghai(points_due)), ("growth", 5, shanghai(growth_due))]
    await mature(shanghai(points_due))
    assert await has(ann) == (2, 0)
    await mature(shanghai(growth_due) - timedelta(seconds=1))
    assert await has(ann) == (2, 0)
    await mature(shanghai(growth_due))
    assert await has(ann) == (2, 5)


async def test_a_post_nobody_has_judged_earns_nothing(zippo: House, ann: int) -> None:
    key = await zippo.happens("post.published", ann, NOON, {"post": "P1"})
    assert await zippo.explained(key) == [("zippo.post", ann, "", 0, 0, "awaiting_verdict")]
    assert await mature(LATE) == 0


async def test_filler_posts_earn_nothing(zippo: House, ann: int) -> None:
    await judged(zippo, ann, "2026-03-09 12:00", "filler", timedelta(hours=1))
    assert await mature(LATE) == 0
    assert await has(ann) == (0, 0)


async def test_a_verdict_that_changes_cancels_or_takes_back_and_may_give_again(zippo: House, ann: int) -> None:
    await judged(zippo, ann, "2026-03-09 12:00", "approved", timedelta(hours=1))
    await mature(shanghai("2026-03-14 12:00"))
    assert (await has(ann), [row[0] for row in await coming(ann)]) == ((2, 0), ["growth"])
    await judged(zippo, ann, "2026-03-09 12:00", "filler", timedelta(days=5, hours=1))
    assert (await has(ann), await coming(ann)) == ((0, 0), [])
    await judged(zippo, ann, "2026-03-09 12:00", "approved", timedelta(days=20))
    assert await mature(shanghai("2026-03-29 12:00")) == 2
    assert await has(ann) == (2, 5)
    await audit()


# A067, A074: referral


async def test_a_referral_pays_both_at_once_and_once_per_invitee_ever(zippo: House) -> None:
    old, new, other = await make_members(3)
    key = await zippo.happens("member.referred", new, NOON, {"inviter": old})
    assert (await has(old, NOON), await has(new, NOON)) == ((3, 5), (3, 5))
    assert await zippo.explained(key) == [
        ("zippo.referral", new, "points", 3, 3, "awarded"),
        ("zippo.referral", new, "growth", 5, 5, "awarded"),
        ("zippo.referral", old, "points", 3, 3, "awarded"),
        ("zippo.referral", old, "growth", 5, 5, "awarded"),
    ]
    again = await zippo.happens("member.referred", new, NOON + timedelta(days=400), {"inviter": other})
    assert (await has(old), await has(new), await has(other)) == ((3, 5), (3, 5), (0, 0))
    assert [row[5] for row in await zippo.explained(again)] == ["duplicate"] * 4


# A068, A070, A075, A076, A078: authentication


async def test_authentication_earns_fifty_growth_and_five_points_once_per_code(zippo: House) -> None:
    ann, bob = await make_members(2)
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-1"})
    assert await has(ann, NOON) == (5, 50)
    for member in (ann, bob):
        key = await zippo.happens("product.authenticated", member, NOON, {"code": "ZIP-1"})
        assert [row[5] for row in await zippo.explained(key)] == ["duplicate", "duplicate"]
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-2"})
    assert (await has(ann), await has(bob)) == ((10, 100), (0, 0))


async def test_a_malicious_registration_is_taken_back(zippo: House, ann: int) -> None:
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-1"})
    key = await zippo.happens("product.fraud", ann, NOON + timedelta(days=9), {"code": "ZIP-1"})
    assert await has(ann) == (0, 0)
    assert await zippo.explained(key) == [
        ("zippo.authentication", ann, "points", -5, -5, "fraud"),
        ("zippo.authentication", ann, "growth", -50, -50, "fraud"),
    ]
    await zippo.happens("product.authenticated", ann, NOON + timedelta(days=10), {"code": "ZIP-1"})
    assert await has(ann) == (0, 0)


# A077, A095: points are for gifts


async def test_a_points_gift_costs_its_price_and_the_line_names_it(tx_db: Transaction, zippo: House) -> None:
    fan = await make_fan(zippo.mini)
    await tx_db.connection.execute("SELECT setval('gift_id_seq', 104405)")
    terms = GiftTerms(name="手机壳", price=1)
    case = await catalogue.create_gift(brand_id=zippo.brand, kind="virtual", terms=terms, now=NOON)
    await catalogue.load_codes(SEALER, gift_id=case, codes=["ZP-1", "ZP-2"], now=NOON)
    await zippo.happens("checkin.done", fan.member_id, NOON)
    when = shanghai("2026-03-09 12:00:07")
    await redeem(
        key=key_of("redeem"), gift_id=case, member_id=fan.member_id, account_id=zippo.mini, fan_id=fan.id, now=when
    )
    lines = await queries.statement(fan.member_id, POINTS)
    assert [(line.occurred_at, line.amount, line.description, line.platform) for line in lines] == [
        (when, -1, "兑换积分商品:手机壳:id:104406", "小程序"),
        (NOON, 1, "每日签到", "小程序"),
    ]
    # Growth is no means of payment: it stays.
    assert await has(fan.member_id) == (0, 3)
    with pytest.raises(NotEnough):
        await redeem(
            key=key_of("again"), gift_id=case, member_id=fan.member_id, account_id=zippo.mini, fan_id=fan.id, now=when
        )


# The four levels, of A063


async def test_growth_alone_decides_the_four_levels(zippo: House, ann: int) -> None:
    reached = [await level(zippo, ann)]
    for n in range(40):
        await zippo.happens("product.authenticated", ann, NOON, {"code": f"ZIP-{n}"})
        if (now := await level(zippo, ann)) != reached[-1]:
            reached.append(now)
    assert reached == ["注册会员", "铜牌", "银牌", "金牌"]
    assert await has(ann) == (200, 2000)


async def test_a_return_takes_the_level_down_again(tx_db: Transaction, zippo: House, ann: int) -> None:
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-1"})
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-2"})
    await zippo.happens("product.fraud", ann, NOON + timedelta(days=1), {"code": "ZIP-2"})
    assert [(one.name, one.growth) for one in await levels.history(tx_db.connection, ann, zippo.brand)] == [
        ("铜牌", 100),
        ("注册会员", 50),
    ]
    changes = await fetch(
        "SELECT payload->>'level' AS level FROM event WHERE kind = 'member.level_changed' ORDER BY id"
    )
    assert [row["level"] for row in changes] == ["铜牌", "注册会员"]


# A095-A097: the ledger's rows and passive rewards


async def test_a_comment_pays_commenter_and_author_in_the_same_second(tx_db: Transaction) -> None:
    house = await open_house("a095")
    ann, bob = await make_members(2)
    when = shanghai("2017-08-03 18:17:15")
    await tx_db.connection.execute("SELECT fensi_event_month($1)", when.date())
    await rulebook.define(
        brand_id=house.brand,
        draft=rulebook.check(
            {"code": "old.comment", "kind": "per_action", "event_kind": "post.commented", "module": "社区",
             "name": "社区评论", "points": 1, "growth": 0}
        ),
        now=shanghai("2017-01-01 00:00"),
    )  # fmt: skip
    await rulebook.define(
        brand_id=house.brand,
        draft=rulebook.check(
            {"code": "old.commented", "kind": "passive", "event_kind": "post.commented", "module": "社区",
             "name": "社区发帖被评论", "points": 1, "growth": 0}
        ),
        now=shanghai("2017-01-01 00:00"),
    )  # fmt: skip
    key = await house.happens("post.commented", bob, when, {"post": "P1", "author": ann})
    (commenter,) = await queries.statement(bob, POINTS)
    (author,) = await queries.statement(ann, POINTS)
    assert (commenter.occurred_at, commenter.amount, commenter.description) == (when, 1, "社区评论")
    assert (author.occurred_at, author.amount, author.description) == (when, 1, "社区发帖被评论")
    assert {commenter.event_key, author.event_key} == {key}
    assert commenter.platform == "小程序"


async def test_the_rows_of_the_ledger_page(tx_db: Transaction) -> None:
    house = await open_house("a095")
    ann, bob = await make_members(2)
    await house.happens("checkin.done", ann, NOON)
    await house.happens("post.commented", ann, NOON, {"post": "P2", "author": bob})
    await house.happens("post.commented", bob, NOON, {"post": "P1", "author": ann})
    await house.happens("post.liked", bob, NOON, {"post": "P1", "author": ann})
    lines = await queries.statement(ann, POINTS)
    assert [(line.amount, line.description) for line in reversed(lines)] == [
        (1, "每日签到"),
        (1, "社区评论"),
        (1, "社区发帖被评论"),
        (1, "社区发帖被点赞"),
    ]
    # The same second and one transaction for two people: the other one's comment is one entry each.
    assert await value("SELECT count(*) FROM ledger_entry WHERE holder_id = $1", bob) == 2


async def test_one_does_not_earn_from_oneself(tx_db: Transaction) -> None:
    house = await open_house("a095")
    (ann,) = await make_members(1)
    key = await house.happens("post.liked", ann, NOON, {"post": "P1", "author": ann})
    assert await house.explained(key) == [("ledger.liked", ann, "", 0, 0, "own_post")]
    assert await has(ann) == (0, 0)


async def test_the_ledger_is_sound_after_all_of_it(zippo: House, ann: int) -> None:
    await zippo.happens("checkin.done", ann, NOON)
    await zippo.happens("product.authenticated", ann, NOON, {"code": "ZIP-1"})
    await zippo.happens("order.received", ann, NOON, {"order": "T1", "amount": 12345})
    await mature(LATE)
    await zippo.happens("order.returned", ann, LATE, {"order": "T1", "amount": 12345, "returned": 345})
    await zippo.happens("product.fraud", ann, LATE, {"code": "ZIP-1"})
    assert await has(ann) == (1 + 12, 3 + 12)
    assert await value("SELECT sum(amount)::bigint FROM ledger_posting WHERE asset = $1", GROWTH) == 0
    await audit()
