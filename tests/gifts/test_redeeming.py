"""One redemption at a time: what it takes, what refuses it, and what becomes of it."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from scrm.db import Transaction, fetch
from scrm.errors import Conflict, DomainError, Invalid, NotFound
from scrm.gifts import addresses, catalogue, listing, movements, queries, service
from scrm.gifts.addresses import Address
from scrm.members.service import link_unionid
from scrm.points import ledger, levels
from tests.conftest import START
from tests.factories import SEALER, at, value
from tests.gifts.shop import HOME, Shop, earn, kinds_of, live_at, open_shop, points, stock

DAY = timedelta(days=1)
LEVELS = [{"name": "注册会员", "threshold": 0}, {"name": "铜牌", "threshold": 100}]


@pytest.fixture
async def shop(tx_db: Transaction) -> Shop:
    return await open_shop()


async def refused(attempt: Any) -> str:
    """Return the code with which a command refuses."""
    with pytest.raises(DomainError) as caught:
        await attempt
    return caught.value.code


async def lots() -> list[tuple[int, datetime | None]]:
    return [tuple(row) for row in await fetch("SELECT remaining, expires_at FROM ledger_lot ORDER BY id")]


class TestRedeeming:
    async def test_a_physical_gift_takes_points_and_stock_and_keeps_a_copy_of_the_address(self, shop: Shop) -> None:
        fan, gift = await shop.member(25), await shop.gift(stock=2, name="手机壳", picture="case.jpg")
        address = await live_at(fan)
        made = await shop.redeem(fan, gift, "one", now=at(5), address_id=address)
        assert (await points(fan), await stock(gift), await kinds_of(fan)) == (15, 1, ["gift.redeemed"])
        moved = Address("李四", "13900001111", "上海市", "南京路1号")
        await addresses.change(SEALER, member_id=fan.member_id, address_id=address, address=moved)
        shown = await queries.redemption(SEALER, fan.member_id, made.id)
        assert (shown.state, shown.points, shown.name, shown.placed_at) == ("placed", 10, "手机壳", at(5))
        assert shown.address is not None
        assert (shown.address.name, shown.address.phone) == ("张**", "138****5678")
        assert addresses.opened(SEALER, (await listing.redemption(made.id)).address_sealed or "") == HOME

    async def test_the_statement_says_it_as_the_source_does(self, shop: Shop) -> None:
        """Mission A095: −1 "兑换积分商品:手机壳:id:104406"."""
        fan, gift = await shop.member(1), await shop.gift("virtual", name="手机壳", price=1)
        made = await shop.redeem(fan, gift, "one", now=at(5))
        (row,) = await fetch(
            "SELECT l.amount, l.description, l.platform, l.occurred_at, v.kind, v.payload->>'redemption_id' AS id "
            "FROM ledger_entry l JOIN event v ON v.key = l.event_key WHERE l.kind = 'spend'"
        )
        assert tuple(row) == (-1, f"兑换积分商品:手机壳:id:{gift}", "小程序", at(5), "gift.redeemed", str(made.id))

    async def test_asking_again_with_the_key_is_the_same_redemption(self, shop: Shop) -> None:
        fan, gift = await shop.member(25), await shop.gift("virtual", stock=1, per_person=1)
        first = await shop.redeem(fan, gift, "one")
        again = await shop.redeem(fan, gift, "one", now=at(60))
        assert (first.fresh, again.fresh, first.id) == (True, False, again.id)
        assert (await points(fan), await stock(gift), await kinds_of(fan)) == (15, 0, ["gift.redeemed"])
        other = await shop.member(25)
        assert await refused(shop.redeem(other, gift, "one")) == "conflict"
        assert await points(other) == 25

    async def test_what_stands_against_it_has_a_code_and_takes_nothing(self, shop: Shop) -> None:
        await levels.define(brand_id=shop.brand_id, given=LEVELS)
        poor, rich, silver = await shop.member(9), await shop.member(100), await shop.member(100)
        timed = await shop.gift("virtual", on_sale_from=START, on_sale_until=START + DAY)
        off, empty = await shop.gift("virtual", enabled=False), await shop.gift("virtual", stock=0)
        limited, noble = await shop.gift("virtual", per_person=1), await shop.gift("virtual", level="铜牌")
        await earn(silver, 100, asset=ledger.GROWTH)
        await earn(rich, 99, asset=ledger.GROWTH)
        heavy = await shop.gift()
        await shop.redeem(rich, limited, "first")
        codes = [
            await refused(shop.redeem(rich, timed, "1", now=at(-1))),
            await refused(shop.redeem(rich, timed, "2", now=START + DAY)),
            await refused(shop.redeem(rich, off, "3")),
            await refused(shop.redeem(rich, empty, "4")),
            await refused(shop.redeem(rich, limited, "5")),
            await refused(shop.redeem(rich, noble, "6")),
            await refused(shop.redeem(poor, timed, "8")),
            await refused(shop.redeem(rich, heavy, "9")),
            await refused(shop.redeem(rich, heavy, "10", address_id=await live_at(poor))),
            await refused(shop.redeem(rich, 987_654_321, "11")),
        ]
        assert codes == [
            *["not_on_sale"] * 3,
            "sold_out",
            "limit_reached",
            "level_too_low",
            "not_enough",
            "address_required",
            *["not_found"] * 2,
        ]
        assert (await points(rich), await points(poor)) == (90, 9)
        assert await value("SELECT count(*) FROM redemption") == 1
        await shop.redeem(rich, timed, "12", now=START + DAY - timedelta(microseconds=1))
        await shop.redeem(silver, noble, "13")
        assert (await points(rich), await points(silver)) == (80, 90)

    async def test_the_limit_counts_all_homes_of_a_person_and_nothing_cancelled(self, shop: Shop) -> None:
        one, other = await shop.member(30), await shop.member(30)
        gift = await shop.gift("virtual", per_person=1)
        first = await shop.redeem(one, gift, "1")
        for fan in (one, other):
            await link_unionid(fan_id=fan.id, unionid="u", now=START)
        assert await refused(shop.redeem(other, gift, "2")) == "limit_reached"
        await service.cancel(redemption_id=first.id, now=START, by_member=other.member_id)
        await shop.redeem(other, gift, "3")
        assert await points(one) == await points(other) == 50


class TestCancelling:
    async def test_the_same_lots_get_their_points_back_with_their_old_expiry(self, shop: Shop) -> None:
        fan, gift = await shop.member(6, expires_at=START + DAY), await shop.gift(price=10)
        await earn(fan, 7, when=at(1), expires_at=START + 2 * DAY)
        made = await shop.redeem(fan, gift, "one", now=at(5), address_id=await live_at(fan))
        assert await lots() == [(0, START + DAY), (3, START + 2 * DAY)]
        assert await service.cancel(redemption_id=made.id, now=at(9), by_member=fan.member_id, reason="不想要了")
        assert not await service.cancel(redemption_id=made.id, now=at(10), by_member=fan.member_id)
        assert await lots() == [(6, START + DAY), (7, START + 2 * DAY)]
        assert (await points(fan), await stock(gift)) == (13, 5)
        assert await kinds_of(fan) == ["gift.redeemed", "gift.cancelled"]
        assert (await queries.redemption(SEALER, fan.member_id, made.id)).state == "cancelled"

    async def test_what_expired_meanwhile_does_not_come_back(self, shop: Shop) -> None:
        fan, gift = await shop.member(10, expires_at=START + DAY), await shop.gift("virtual")
        made = await shop.redeem(fan, gift, "one")
        assert await service.cancel(redemption_id=made.id, now=START + DAY)
        assert (await points(fan, START + DAY), await stock(gift)) == (0, 5)

    async def test_a_member_cancels_only_their_own_and_only_while_it_is_placed(self, shop: Shop) -> None:
        fan, stranger, gift = await shop.member(10), await shop.member(), await shop.gift()
        made = await shop.redeem(fan, gift, "one", address_id=await live_at(fan))
        attempt = service.cancel(redemption_id=made.id, now=START, by_member=stranger.member_id)
        assert await refused(attempt) == "not_found"
        await service.ship(redemption_id=made.id, company="顺丰", number="SF1", now=START)
        attempt = service.cancel(redemption_id=made.id, now=START, by_member=fan.member_id)
        assert await refused(attempt) == "wrong_state"
        assert (await points(fan), await stock(gift)) == (0, 4)
        assert await service.cancel(redemption_id=made.id, now=START)  # staff may
        assert (await points(fan), await stock(gift)) == (10, 4)  # the parcel is on its way: nothing to sell again


class TestCodes:
    async def test_a_code_nobody_saw_is_given_to_the_next(self, shop: Shop) -> None:
        fan, other, gift = await shop.member(10), await shop.member(10), await shop.gift("virtual", stock=1)
        made = await shop.redeem(fan, gift, "one")
        assert await service.cancel(redemption_id=made.id, now=START, by_member=fan.member_id)
        assert await stock(gift) == 1
        second = await shop.redeem(other, gift, "two")
        shown = await service.show_code(SEALER, redemption_id=second.id, by_member=other.member_id, now=START)
        assert shown == f"{gift}-0"
        attempt = service.show_code(SEALER, redemption_id=made.id, by_member=fan.member_id, now=START)
        assert await refused(attempt) == "wrong_state"

    async def test_a_code_that_was_shown_completes_and_is_void_after_a_cancel(self, shop: Shop) -> None:
        fan, gift = await shop.member(10), await shop.gift("virtual", stock=2)
        made = await shop.redeem(fan, gift, "one")
        code, again = [
            await service.show_code(SEALER, redemption_id=made.id, by_member=fan.member_id, now=at(seconds))
            for seconds in (1, 2)
        ]
        # Which one is given first is nobody's choice: they lie in the order of their fingerprints.
        assert code == again
        assert code in {f"{gift}-0", f"{gift}-1"}
        view = await queries.redemption(SEALER, fan.member_id, made.id)
        assert (view.state, view.completed_at) == ("completed", at(1))
        attempt = service.cancel(redemption_id=made.id, now=START, by_member=fan.member_id)
        assert await refused(attempt) == "wrong_state"
        assert await service.cancel(redemption_id=made.id, now=START)
        assert (await points(fan), await stock(gift)) == (10, 1)
        rows = await fetch("SELECT state, redemption_id FROM gift_code ORDER BY id")
        assert [tuple(row) for row in rows] == [("void", made.id), ("free", None)]

    async def test_only_its_member_sees_it(self, shop: Shop) -> None:
        fan, stranger = await shop.member(20), await shop.member()
        virtual, physical = await shop.gift("virtual"), await shop.gift()
        code = await shop.redeem(fan, virtual, "one")
        parcel = await shop.redeem(fan, physical, "two", address_id=await live_at(fan))
        for redemption, whose in ((code, stranger), (parcel, fan)):
            attempt = service.show_code(SEALER, redemption_id=redemption.id, by_member=whose.member_id, now=START)
            assert await refused(attempt) == "not_found"

    async def test_codes_are_sealed_and_loaded_once(self, shop: Shop) -> None:
        gift, other = await shop.gift("virtual", stock=0), await shop.gift("virtual", stock=0)
        assert await catalogue.load_codes(
            SEALER, gift_id=gift, codes=["CARD-2026-A1", " CARD-2026-A1 ", "CARD-2026-B2"], now=START
        ) == catalogue.Loaded(2, 1)
        assert await catalogue.load_codes(
            SEALER, gift_id=gift, codes=["CARD-2026-B2", "CARD-2026-C3"], now=START
        ) == catalogue.Loaded(1, 1)
        again = await catalogue.load_codes(SEALER, gift_id=other, codes=["CARD-2026-A1"], now=START)
        assert again == catalogue.Loaded(0, 1)
        assert (await stock(gift), await stock(other)) == (3, 0)
        rows = await fetch("SELECT row_to_json(c)::text AS row FROM gift_code c")
        assert not [
            row for row in rows if any(code in row["row"] for code in ("CARD-2026-A1", "CARD-2026-B2", "CARD-2026-C3"))
        ]
        with pytest.raises(Invalid) as caught:
            await catalogue.load_codes(SEALER, gift_id=gift, codes=["CARD-2026-D4", " "], now=START)
        assert caught.value.field == "codes[1]"
        found = [(one.amount, one.stock, one.reason) for one in await movements.of_gift(gift)]
        assert found == [(1, 3, "导入兑换码"), (2, 2, "导入兑换码")]
        assert await movements.of_gift(other) == []


class TestShipping:
    async def test_placed_shipped_completed(self, shop: Shop) -> None:
        fan, gift = await shop.member(10), await shop.gift()
        made = await shop.redeem(fan, gift, "one", address_id=await live_at(fan))
        assert await refused(service.complete(redemption_id=made.id, now=START)) == "wrong_state"
        assert await service.ship(redemption_id=made.id, company=" 顺丰 ", number="SF1", now=at(1))
        assert not await service.ship(redemption_id=made.id, company="顺丰", number="SF1", now=at(2))
        assert await service.ship(redemption_id=made.id, company="顺丰", number="SF2", now=at(3))
        assert await service.complete(redemption_id=made.id, now=at(4), by_member=fan.member_id)
        assert not await service.complete(redemption_id=made.id, now=at(5))
        view = await queries.redemption(SEALER, fan.member_id, made.id)
        assert (view.state, view.shipping_company, view.shipping_number) == ("completed", "顺丰", "SF2")
        assert (view.shipped_at, view.completed_at) == (at(1), at(4))
        assert await kinds_of(fan) == ["gift.redeemed", "gift.shipped"]

    async def test_what_has_no_parcel_is_not_shipped(self, shop: Shop) -> None:
        fan, gift = await shop.member(10), await shop.gift("virtual")
        made = await shop.redeem(fan, gift, "one")
        attempt = service.ship(redemption_id=made.id, company="顺丰", number="SF1", now=START)
        assert await refused(attempt) == "wrong_state"
        attempt = service.ship(redemption_id=made.id, company="", number="SF1", now=START)
        assert await refused(attempt) == "invalid"


class TestStaff:
    @pytest.mark.parametrize(
        ("field", "terms"),
        [
            ("name", {"name": " "}),
            ("price", {"price": 0}),
            ("per_person", {"per_person": 0}),
            ("level", {"level": "金牌"}),
            ("picture", {"picture": "x" * 256}),
            ("on_sale_from", {"on_sale_from": datetime(2026, 3, 9)}),  # noqa: DTZ001  # without a zone on purpose
            ("on_sale_until", {"on_sale_from": START, "on_sale_until": START}),
        ],
    )
    async def test_terms_that_make_no_sense_name_their_field(
        self, shop: Shop, field: str, terms: dict[str, Any]
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await shop.gift(**terms)
        assert caught.value.field == field
        gift = await shop.gift()
        with pytest.raises(Invalid) as caught:
            await catalogue.change_gift(gift_id=gift, changes=terms)
        assert caught.value.field == field

    async def test_a_change_leaves_the_rest_and_what_was_redeemed(self, shop: Shop) -> None:
        fan, gift = await shop.member(30), await shop.gift("virtual", per_person=3)
        made = await shop.redeem(fan, gift, "one")
        await catalogue.change_gift(gift_id=gift, changes={"price": 20})
        await shop.redeem(fan, gift, "two")
        assert await points(fan) == 0
        await service.cancel(redemption_id=made.id, now=START)
        assert await points(fan) == 10
        (offer,) = await queries.mall(shop.brand_id, now=START)
        assert (offer.gift.price, offer.gift.per_person, offer.gift.stock) == (20, 3, 4)
        with pytest.raises(Invalid) as caught:
            await catalogue.change_gift(gift_id=gift, changes={"stock": 5})
        assert caught.value.field == "stock"

    async def test_stock_is_added_and_taken_but_never_below_nothing(self, shop: Shop) -> None:
        gift, virtual = await shop.gift(stock=2), await shop.gift("virtual", stock=1)
        assert await catalogue.stock_up(gift_id=gift, amount=3, reason=" 到货 ", now=at(1)) == 5
        assert await catalogue.stock_up(gift_id=gift, amount=-5, reason="盘点", now=at(2)) == 0
        with pytest.raises(Conflict):
            await catalogue.stock_up(gift_id=gift, amount=-1, reason="盘点", now=at(3))
        with pytest.raises(Invalid):
            await catalogue.stock_up(gift_id=virtual, amount=1, reason="到货", now=at(3))
        with pytest.raises(NotFound):
            await catalogue.stock_up(gift_id=987_654_321, amount=1, reason="到货", now=at(3))
        assert (await stock(gift), await stock(virtual)) == (0, 1)
        right: dict[str, Any] = {"gift_id": gift, "amount": 1, "reason": "到货", "now": START}
        for wrong, field in (({"amount": 0}, "amount"), ({"reason": " "}, "reason"), ({"reason": "x" * 101}, "reason")):
            with pytest.raises(Invalid) as caught:
                await catalogue.stock_up(**(right | wrong))
            assert caught.value.field == field

    async def test_every_change_of_stock_is_a_movement_that_stays(self, shop: Shop) -> None:
        fan, gift = await shop.member(10), await shop.gift(stock=2)
        await catalogue.stock_up(gift_id=gift, amount=3, reason=" 到货 ", now=at(1))
        await shop.redeem(fan, gift, "one", address_id=await live_at(fan))
        await catalogue.stock_up(gift_id=gift, amount=-4, reason="盘点少了", now=at(2))
        found = [(one.amount, one.stock, one.reason, one.by, one.at) for one in await movements.of_gift(gift)]
        assert found == [
            (-4, 0, "盘点少了", None, at(2)),
            (3, 5, "到货", None, at(1)),
            (2, 2, "初始库存", None, START),
        ]
        (newest, *_) = await movements.of_gift(gift, limit=1)
        assert [one.amount for one in await movements.of_gift(gift, before=newest.id)] == [3, 2]
        for change in (
            "UPDATE gift_stock_movement SET amount = 9",
            "DELETE FROM gift_stock_movement",
            "TRUNCATE gift_stock_movement",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await fetch(change)

    async def test_of_two_who_edit_the_later_is_told(self, shop: Shop) -> None:
        gift = await shop.gift()
        changed = await catalogue.change_gift(gift_id=gift, changes={"price": 20}, expected=1)
        assert changed is not None
        assert (changed.before.price, changed.after.price) == (10, 20)
        assert await catalogue.change_gift(gift_id=gift, changes={"price": 20}, expected=2) is None
        assert await refused(catalogue.change_gift(gift_id=gift, changes={"price": 30}, expected=1)) == "stale_version"
        # Stock moves while somebody edits: that is no change of what they see.
        await catalogue.stock_up(gift_id=gift, amount=1, reason="到货", now=START)
        assert await catalogue.change_gift(gift_id=gift, changes={"enabled": False}, expected=2) is not None


class TestReading:
    async def test_the_mall_says_of_each_gift_why_not(self, shop: Shop) -> None:
        await levels.define(brand_id=shop.brand_id, given=LEVELS)
        fan = await shop.member(20)
        fine, soon = await shop.gift("virtual", per_person=2), await shop.gift("virtual", on_sale_from=START + DAY)
        empty, dear = await shop.gift(stock=0, level="铜牌"), await shop.gift("virtual", price=21, level="注册会员")
        once = await shop.gift("virtual", per_person=1)
        await shop.gift("virtual", enabled=False)
        await shop.gift("virtual", on_sale_until=START)
        await shop.redeem(fan, once, "one")
        await earn(fan, 10, when=at(1))
        offers = await queries.mall(shop.brand_id, now=START, member_id=fan.member_id)
        assert {offer.gift.id: offer.why_not for offer in offers} == {
            fine: [],
            soon: ["not_on_sale"],
            empty: ["sold_out", "level_too_low"],
            dear: ["not_enough"],
            once: ["limit_reached"],
        }
        preview = await queries.mall(shop.brand_id, now=START)
        assert {offer.gift.id: offer.why_not for offer in preview if offer.why_not} == {
            soon: ["not_on_sale"],
            empty: ["sold_out"],
        }

    async def test_a_persons_redemptions_page_by_page_and_nobody_elses(self, shop: Shop) -> None:
        one, other, stranger = await shop.member(30), await shop.member(20), await shop.member(10)
        gift = await shop.gift("virtual", stock=9)
        made = [(await shop.redeem(fan, gift, n)).id for n, fan in enumerate([one, one, other, one, other])]
        theirs = (await shop.redeem(stranger, gift, "theirs")).id
        for fan in (one, other):
            await link_unionid(fan_id=fan.id, unionid="u", now=START)
        pages, before = [], None
        while page := await queries.redemptions(other.member_id, before=before, limit=2):
            pages.append([row.id for row in page])
            before = page[-1].id
        assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
        with pytest.raises(NotFound):
            await queries.redemption(SEALER, one.member_id, theirs)
