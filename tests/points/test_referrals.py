"""Invited friends: only somebody new counts, both sides earn once, and merges, splits and verdicts are honest."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from scrm import db
from scrm.access import service as access
from scrm.access.tokens import Tokens
from scrm.db import Transaction
from scrm.members import queries as members
from scrm.members.merging import split
from scrm.members.phones import bind_phone
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.points import ledger
from scrm.referrals import queries, service
from tests.conftest import START
from tests.factories import SEALER, at, make_account, make_fan, value
from tests.gifts.shop import earn
from tests.points.books import audit, origin
from tests.points.house import House, has, open_house

TOKENS = Tokens(SEALER.key("member tokens"))
EARNED = (3, 5)  # the referral row of the zippo preset: points and growth, to both sides (A067, A074)


@dataclass(frozen=True, slots=True)
class Club:
    """A brand whose members invite."""

    house: House

    async def signs_in(
        self, openid: str, code: str | None = None, *, unionid: str | None = None, seconds: float = 0
    ) -> FanView:
        await access.sign_in(
            TOKENS,
            SEALER,
            account_id=self.house.mini,
            openid=openid,
            unionid=unionid,
            now=at(seconds),
            invited_by=code,
        )
        found = await members.fan_of(self.house.mini, openid)
        assert found is not None
        return found

    async def inviter(self) -> tuple[FanView, str]:
        fan = await self.signs_in("inviter")
        return fan, await service.code_of(member_id=fan.member_id, now=START)


@pytest.fixture
async def club(tx_db: Transaction) -> Club:
    return Club(await open_house("zippo"))


async def both(one: FanView, other: FanView) -> tuple[tuple[int, int], tuple[int, int]]:
    return await has(one.member_id), await has(other.member_id)


async def states() -> list[str]:
    return [row["state"] for row in await db.fetch("SELECT state FROM referral ORDER BY id")]


async def test_a_new_member_earns_for_both_once(club: Club) -> None:
    old, code = await club.inviter()
    for seconds in (1, 2):
        new = await club.signs_in("new", f" {code.lower()} ", seconds=seconds)
    assert await both(old, new) == (EARNED, EARNED)
    (friend,) = await queries.invited(SEALER, old.member_id)
    assert (friend.nickname, friend.came_at, friend.state) == (None, at(1), "counts")
    assert friend.earned == {"points": 3, "growth": 5}
    assert await queries.invited(SEALER, new.member_id) == []
    await audit()


async def test_a_code_stays_the_same_and_is_hard_to_mix_up(club: Club) -> None:
    old, code = await club.inviter()
    assert await service.code_of(member_id=old.member_id, now=at(9)) == code
    assert (len(code), set(code) - set(service.ALPHABET)) == (8, set())
    other = await club.signs_in("other")
    draws = iter([bytes(8), bytes(8), b"\x01" * 8])
    assert await service.code_of(member_id=other.member_id, now=START, random=lambda _: next(draws)) == "2" * 8
    third = await club.signs_in("third")
    taken = await service.code_of(member_id=third.member_id, now=START, random=lambda _: next(draws))
    assert taken == "3" * 8, "a code that somebody has is drawn again"


@pytest.mark.parametrize("code", ["", "NOBODYS1", "x" * 64, "邀请"])
async def test_a_code_of_nobody_brings_nothing_and_hinders_nobody(club: Club, code: str) -> None:
    new = await club.signs_in("new", code)
    assert await has(new.member_id) == (0, 0)
    assert await states() == []


async def test_who_is_known_already_is_not_new(club: Club) -> None:
    old, code = await club.inviter()
    # A fan of the official account, found by the unionid; one who signed in before; the inviter again.
    follower = await make_fan(club.house.service)
    await link_unionid(fan_id=follower.id, unionid="u", now=START)
    await club.signs_in("follower", code, unionid="u", seconds=1)
    await club.signs_in("before", seconds=1)
    await club.signs_in("before", code, seconds=2)
    await club.signs_in("inviter", code, seconds=2)
    assert await states() == []
    assert await both(old, follower) == ((0, 0), (0, 0))


async def test_whoever_only_another_brand_knows_is_new_here(club: Club) -> None:
    old, code = await club.inviter()
    foreign = await make_fan(await make_account(kind="miniprogram", brand="别的品牌"))
    await link_unionid(fan_id=foreign.id, unionid="u", now=START)
    new = await club.signs_in("new", code, unionid="u", seconds=1)
    assert await both(old, new) == (EARNED, EARNED)


async def known_after_all(club: Club, old: FanView) -> FanView:
    """Let the new member turn out to be a follower from before, by the phone number of both."""
    follower = await make_fan(club.house.service)
    new = await club.signs_in("new", await service.code_of(member_id=old.member_id, now=START), seconds=1)
    for fan in (follower, new):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(2))
    return new


async def test_a_merge_that_shows_they_were_known_takes_back_and_a_split_gives_back(club: Club) -> None:
    old, _ = await club.inviter()
    new = await known_after_all(club, old)
    assert (await both(old, new), await states()) == (((0, 0), (0, 0)), ["void"])
    (friend,) = await queries.invited(SEALER, old.member_id)
    assert (friend.state, friend.earned) == ("void", {})
    merge_id = await value("SELECT id FROM member_merge")
    for _ in range(2):
        await split(merge_id=merge_id, now=at(3))
        assert (await both(old, new), await states()) == ((EARNED, EARNED), ["counts"])
    # Other evidence joins them anew: booked again, under keys of its own.
    follower = await value("SELECT min(id) FROM fan WHERE account_id = $1", club.house.service)
    for fan in (follower, new.id):
        await link_unionid(fan_id=fan, unionid="u", now=at(4))
    assert (await both(old, new), await states()) == (((0, 0), (0, 0)), ["void"])
    await audit()


async def test_following_afterwards_is_no_earlier_life(club: Club) -> None:
    old, code = await club.inviter()
    new = await club.signs_in("new", code, unionid="u", seconds=1)
    # The factory's fans are from the tests' beginning; this one comes a second later.
    follower = await make_fan(club.house.service)
    await db.fetch("UPDATE fan SET created_at = $2 WHERE id = $1", follower.id, at(2))
    await link_unionid(fan_id=follower.id, unionid="u", now=at(2))
    assert (await both(old, new), await states()) == ((EARNED, EARNED), ["counts"])


async def test_nobody_invites_themselves_with_a_second_account(club: Club) -> None:
    old, code = await club.inviter()
    new = await club.signs_in("second", code, seconds=1)
    for fan in (old, new):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(2))
    assert (await has(old.member_id), await states()) == ((0, 0), ["void"])
    await audit()


async def test_of_two_new_members_who_are_one_only_the_first_counts(club: Club) -> None:
    old, code = await club.inviter()
    first = await club.signs_in("first", code, seconds=1)
    second = await club.signs_in("second", code, seconds=2)
    assert await has(old.member_id) == (6, 10)
    for fan in (first, second):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(3))
    assert await states() == ["counts", "void"]
    assert await both(old, first) == (EARNED, EARNED)


@pytest.mark.parametrize("order", list(permutations(("fraud", "merge", "split"))))
async def test_fraud_is_for_good_and_taken_back_once(club: Club, order: tuple[str, ...]) -> None:
    old, code = await club.inviter()
    follower = await make_fan(club.house.service)
    new = await club.signs_in("new", code, seconds=1)
    for n, what in enumerate(order):
        if what == "fraud":
            await club.house.happens("referral.fraud", new.member_id, at(10 + n))
        elif what == "merge":
            for fan in (follower, new):
                await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(10 + n))
        elif merge_id := await value("SELECT max(id) FROM member_merge"):
            await split(merge_id=merge_id, now=at(10 + n))
    assert (await both(old, new), await states()) == (((0, 0), (0, 0)), ["fraud"])
    assert await value("SELECT coalesce(sum(balance + debt), 0) FROM ledger_balance") == 0
    await audit()


async def test_fraud_takes_from_the_award_and_not_from_another_homes_points(club: Club) -> None:
    old, code = await club.inviter()
    follower = await make_fan(club.house.service)
    await earn(follower, 10)
    new = await club.signs_in("new", code, seconds=1)
    for fan in (follower, new):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(2))
    await club.house.happens("referral.fraud", new.member_id, at(3))
    await split(merge_id=int(await value("SELECT max(id) FROM member_merge")), now=at(4))
    assert (*await both(new, old), await has(follower.member_id)) == ((0, 0), (0, 0), (10, 0))


async def test_what_was_spent_meanwhile_becomes_a_debt_that_the_split_forgives(club: Club) -> None:
    old, code = await club.inviter()
    follower = await make_fan(club.house.service)
    new = await club.signs_in("new", code, seconds=1)
    await ledger.spend(
        key=key_of("spent"), holder_id=old.member_id, asset=ledger.POINTS, amount=3, origin=origin(at(2)), now=at(2)
    )
    for fan in (follower, new):
        await bind_phone(SEALER, fan_id=fan.id, number="+8613800008000", now=at(3))
    assert await both(old, new) == ((-3, 0), (0, 0))
    await split(merge_id=int(await value("SELECT max(id) FROM member_merge")), now=at(4))
    assert await both(old, new) == ((0, 5), EARNED)
    await audit()


async def test_ten_devices_at_once_are_one_new_member(db: TortoiseContext) -> None:
    club = Club(await open_house("zippo"))
    old, code = await club.inviter()
    await asyncio.gather(*(club.signs_in("new", code, unionid="u") for _ in range(10)))
    new = await club.signs_in("new")
    assert (await both(old, new), await states()) == ((EARNED, EARNED), ["counts"])
    await audit()


async def test_twenty_friends_come_at_once_and_the_list_has_pages(db: TortoiseContext) -> None:
    club = Club(await open_house("zippo"))
    old, code = await club.inviter()
    await asyncio.gather(*(club.signs_in(f"new{n}", code) for n in range(20)))
    assert await has(old.member_id, START + timedelta(days=9)) == (60, 100)
    seen: list[int] = []
    while page := await queries.invited(SEALER, old.member_id, before=seen[-1] if seen else None, limit=7):
        seen += [friend.id for friend in page]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 20
    await audit()
