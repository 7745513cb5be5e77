"""Who a fan is, when we never heard of their following: the platform is asked, and its answer joins the openids."""

import asyncio
from datetime import datetime, timedelta
from itertools import count

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scrm import db
from scrm.access import leaving
from scrm.members import lookups
from scrm.members.queries import FanView, fan, fan_of
from scrm.members.service import ENSURE_FANS
from scrm.outreach.returning import notice
from simulator.world import Thread
from tests.api.conftest import Mini, Phone
from worker.profiles import BATCH, LEASE, Profiles
from worker.schedules import PUSHES_KEPT

BATCHGET = "/cgi-bin/user/info/batchget"
_pushes = count(1)


class Shop:
    """A follower from before our time: at the platform they follow, we have never heard of it."""

    def __init__(self, mini: Mini) -> None:
        self.mini = mini

    def follower(self, phone: Phone) -> Thread:
        thread = self.mini.wechat.world.thread(self.mini.official.appid, phone.fan.id)
        thread.following, thread.subscribe_time = True, int(self.mini.clock.now().timestamp()) - 86400
        return thread

    def worker(self) -> Profiles:
        services = self.mini.services
        return Profiles(services.clients, services.directory.accounts, self.mini.clock)

    async def writes(self, openid: str) -> FanView:
        assert (await self.mini.official.text(openid, f"你好 {next(_pushes)}").to(self.mini.server)).status == 200
        return await self.known(openid)

    async def event(self, openid: str, name: str) -> None:
        assert (await self.mini.official.event(openid, name, EventKey="").to(self.mini.server)).status == 200

    async def known(self, openid: str) -> FanView:
        found = await fan_of(self.mini.official.id, openid)
        assert found is not None
        return found

    def calls(self) -> int:
        """How often the platform was asked about fans."""
        return sum(call.path == BATCHGET for call in self.mini.wechat.wechat.quotas.calls)


@pytest.fixture
def shop(mini: Mini) -> Shop:
    return Shop(mini)


async def due() -> int:
    rows = await db.fetch(
        """
        SELECT count(*) AS n FROM fan f JOIN account a ON a.id = f.account_id
        WHERE a.kind <> 'miniprogram' AND f.lookup_due_at IS NOT NULL
        """
    )
    return int(rows[0]["n"])


@pytest.mark.parametrize("mini_program_first", [False, True])
async def test_a_follower_from_before_our_time_and_a_visitor_are_one_member(
    shop: Shop, mini_program_first: bool
) -> None:
    phone = shop.mini.phone()
    thread = shop.follower(phone)
    if mini_program_first:
        await phone.sign_in()
    before = await shop.writes(thread.openid)
    assert (before.following, before.follow_count) == (False, 0)
    assert await shop.worker().ask() == 1
    if not mini_program_first:
        await phone.sign_in()
    follower, visitor = await shop.known(thread.openid), await phone.as_fan()
    assert follower.person_id == visitor.person_id
    assert (await db.fetch("SELECT count(*) AS n FROM member_merge"))[0]["n"] == 1
    # They follow, and no follow was heard of: none is counted, and no channel is credited with one.
    assert (follower.following, follower.follow_count) == (True, 0)
    assert await db.fetch("SELECT 1 FROM channel_touch") == []
    assert await db.fetch("SELECT 1 FROM event WHERE kind = 'wechat.event.subscribe'") == []
    assert (await shop.worker().ask(), await due()) == (0, 0)


async def test_an_unfollow_after_the_platforms_follow_counts_one_before_it_does_not(shop: Shop) -> None:
    thread = shop.follower(shop.mini.phone())
    await shop.writes(thread.openid)
    await shop.worker().ask()
    thread.following = False
    await shop.event(thread.openid, "unsubscribe")
    assert not (await shop.known(thread.openid)).following
    # The platform's answer about the time before, come late, undoes nothing.
    await db.fetch("UPDATE fan SET lookup_due_at = '-infinity' WHERE openid = $1", thread.openid)
    thread.following = True
    assert await shop.worker().ask() == 1
    assert not (await shop.known(thread.openid)).following
    # A return whose push was lost is a later follow.
    await db.fetch("UPDATE fan SET lookup_due_at = '-infinity' WHERE openid = $1", thread.openid)
    thread.subscribe_time += 2 * 86400
    assert await shop.worker().ask() == 1
    assert (await shop.known(thread.openid)).following


async def test_one_who_writes_and_does_not_follow_any_more_is_asked_about_once(shop: Shop) -> None:
    thread = shop.follower(shop.mini.phone())
    thread.following = False
    await shop.writes(thread.openid)
    assert (await shop.worker().ask(), await shop.worker().ask(), await due()) == (1, 0, 0)
    assert not (await shop.known(thread.openid)).following


async def test_a_follow_asks_again_because_a_unionid_may_have_come_since(shop: Shop) -> None:
    phone = await shop.mini.member()
    thread, account = shop.follower(phone), shop.mini.wechat.world.accounts[shop.mini.official.appid]
    account.open_platform = False
    await shop.writes(thread.openid)
    await shop.worker().ask()
    assert (await shop.known(thread.openid)).person_id != (await phone.as_fan()).person_id
    account.open_platform = True
    await shop.writes(thread.openid)
    assert await shop.worker().ask() == 0
    await shop.event(thread.openid, "subscribe")
    assert await shop.worker().ask() == 1
    assert (await shop.known(thread.openid)).person_id == (await phone.as_fan()).person_id


async def test_with_wechat_away_they_are_asked_about_later(shop: Shop) -> None:
    for n in range(3):
        await shop.writes(shop.follower(shop.mini.phone(f"粉丝{n}")).openid)
    faults = shop.mini.wechat.wechat.faults
    faults.add_api(path=BATCHGET, errcode=45009, times=None)
    worker = shop.worker()
    # Said once, the account is left alone: not by the next look, and not by another worker.
    assert [await worker.ask(), await worker.ask(), await shop.worker().ask()] == [0, 0, 0]
    assert (shop.calls(), await due()) == (1, 3)
    faults.clear()
    shop.mini.clock.advance(seconds=LEASE.total_seconds())
    assert (await worker.ask(), shop.calls(), await due()) == (3, 2, 0)


async def test_two_workers_ask_about_each_once(shop: Shop) -> None:
    openids = [f"o{n:027}" for n in range(2 * BATCH + 1)]
    async with db.transaction() as tx:
        await tx.connection.execute(ENSURE_FANS, [shop.mini.official.id] * len(openids), openids, shop.mini.clock.now())
    asked: list[str] = []

    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 7200})

    async def batchget(request: web.Request) -> web.Response:
        own = [user["openid"] for user in (await request.json())["user_list"]]
        asked.extend(own)
        return web.json_response({"user_info_list": [{"openid": one, "subscribe": 1} for one in own]})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_post(BATCHGET, batchget)
    async with TestServer(app) as wechat:
        servers = [await shop.mini.house.server(wechat_url=f"http://127.0.0.1:{wechat.port}") for _ in range(2)]
        workers = [
            Profiles(server.services.clients, server.services.directory.accounts, shop.mini.clock) for server in servers
        ]
        answered = await asyncio.gather(
            *(server.call(worker.ask()) for server, worker in zip(servers, workers, strict=True))
        )
    assert (sum(answered), sorted(asked), await due()) == (len(openids), openids, 0)
    assert (await db.fetch("SELECT count(*) AS n FROM fan WHERE following"))[0]["n"] == len(openids)


async def test_an_openid_that_wechat_does_not_know_is_in_nobodys_way(shop: Shop) -> None:
    stranger, thread = "o" * 28, shop.follower(shop.mini.phone())
    await shop.writes(stranger)
    await shop.writes(thread.openid)
    assert (await shop.worker().ask(), await due()) == (2, 0)
    assert [(await shop.known(one)).following for one in (stranger, thread.openid)] == [False, True]


async def test_an_answer_that_cannot_be_taken_is_in_nobodys_way(shop: Shop) -> None:
    phones = [shop.mini.phone() for _ in range(3)]
    phones[1].fan.unionid = "u" * 65  # longer than any
    threads = [shop.follower(phone) for phone in phones]
    for thread in threads:
        await shop.writes(thread.openid)
    assert (await shop.worker().ask(), await due()) == (2, 1)
    assert [(await shop.known(thread.openid)).following for thread in threads] == [True, False, True]


async def test_an_account_that_may_not_ask_does_not(shop: Shop) -> None:
    account = await shop.mini.house.account("subscription", verified=False)
    await shop.mini.server.refresh()
    assert (await account.text("oFan", "你好").to(shop.mini.server)).status == 200
    assert (await shop.worker().ask(), await due(), shop.calls()) == (0, 1, 0)


async def test_an_answer_about_somebody_who_was_erased_meanwhile_changes_nothing(shop: Shop) -> None:
    phone = await shop.mini.member()
    thread = shop.follower(phone)
    before = await shop.writes(thread.openid)
    await shop.worker().ask()
    await shop.event(thread.openid, "subscribe")
    assert (await phone.call("DELETE", "/me")).status == 204
    assert (await shop.worker().ask(), await due()) == (0, 0)
    left = await fan(before.id)
    assert left is not None
    assert (left.openid.startswith("erased-"), left.following) == (True, False)
    assert await db.fetch("SELECT 1 FROM identity") == []


async def test_whoever_asked_too_long_changes_nothing_any_more(shop: Shop) -> None:
    thread, now = shop.follower(shop.mini.phone()), shop.mini.clock.now()
    await shop.writes(thread.openid)
    account = [shop.mini.official.id]
    (first,) = await lookups.claim(account, now=now, lease_until=now + LEASE, each=9)
    assert await lookups.claim(account, now=now, lease_until=now + LEASE, each=9) == []
    later = now + LEASE + timedelta(seconds=1)
    (second,) = await lookups.claim(account, now=later, lease_until=later + LEASE, each=9)
    assert not await lookups.answer(first, following_since=now, unionid="u", now=later)
    assert (await db.fetch("SELECT 1 FROM identity"), (await shop.known(thread.openid)).following) == ([], False)
    assert await lookups.answer(second, following_since=now, unionid="u", now=later)
    assert (await shop.known(thread.openid)).following


async def returns(someone: FanView) -> list[tuple[str, datetime]]:
    """Return the evidence and moment of each return that was inferred."""
    rows = await db.fetch(
        "SELECT payload->>'evidence' AS evidence, occurred_at FROM event "
        "WHERE member_id = $1 AND kind = 'fan.returned' ORDER BY occurred_at",
        someone.member_id,
    )
    return [(row["evidence"], row["occurred_at"]) for row in rows]


async def acts(someone: FanView, kind: str) -> list[tuple[str, datetime]]:
    rows = await db.fetch(
        "SELECT key::text AS key, occurred_at FROM event WHERE member_id = $1 AND kind = $2 ORDER BY occurred_at",
        someone.member_id,
        kind,
    )
    return [(row["key"], row["occurred_at"]) for row in rows]


async def test_whoever_acts_after_their_unfollow_came_back_unheard(shop: Shop) -> None:
    thread, clock = shop.follower(shop.mini.phone()), shop.mini.clock

    async def noticed() -> int:
        """Two workers look at once."""
        now = clock.now()
        return max(await asyncio.gather(*(notice(since=now - PUSHES_KEPT, now=now) for _ in range(2))))

    await shop.event(thread.openid, "subscribe")
    clock.advance(seconds=5)
    await shop.writes(thread.openid)
    clock.advance(seconds=5)
    await shop.event(thread.openid, "unsubscribe")
    await shop.worker().ask()
    # What was written before says nothing.
    assert (await noticed(), (await shop.known(thread.openid)).following) == (0, False)
    clock.advance(seconds=5)
    await shop.event(thread.openid, "CLICK")
    clock.advance(seconds=5)
    someone = await shop.writes(thread.openid)
    assert not someone.following
    assert await noticed() == 1
    someone = await shop.known(thread.openid)
    # They follow, though no follow was heard of; and WeChat is asked what else it knows.
    assert (someone.following, someone.follow_count, await due()) == (True, 1, 1)
    assert await returns(someone) == await acts(someone, "wechat.event.click")
    await shop.writes(thread.openid)
    assert (await noticed(), len(await returns(someone))) == (0, 1)
    # What was noted before is neither noted nor counted again, or whoever calls until nothing is left would not end.
    change = "UPDATE fan SET following = $2, follow_changed_at = $3 WHERE id = $1 RETURNING id"
    ((_, left),), ((_, back),) = await acts(someone, "wechat.event.unsubscribe"), await returns(someone)
    await db.fetch(change, someone.id, False, left)
    assert (await noticed(), len(await returns(someone))) == (0, 1)
    await db.fetch(change, someone.id, True, back)

    # A follow that was only late is counted, and changes nothing else.
    clock.advance(seconds=-8)
    await shop.event(thread.openid, "subscribe")
    clock.advance(seconds=20)
    assert (await shop.known(thread.openid)).follow_count == 2
    await shop.event(thread.openid, "unsubscribe")
    assert (await noticed(), (await shop.known(thread.openid)).following) == (0, False)
    clock.advance(seconds=5)
    await shop.writes(thread.openid)
    assert (await noticed(), (await shop.known(thread.openid)).following) == (1, True)
    assert [act in await acts(someone, "wechat.text") for act in await returns(someone)] == [False, True]


async def test_nobody_returns_who_acted_in_the_second_they_left_or_was_erased(shop: Shop) -> None:
    thread, clock = shop.follower(shop.mini.phone()), shop.mini.clock
    await shop.event(thread.openid, "subscribe")
    clock.advance(seconds=5)
    await shop.event(thread.openid, "unsubscribe")
    someone = await shop.writes(thread.openid)
    assert await notice(since=clock.now() - PUSHES_KEPT, now=clock.now()) == 0
    clock.advance(seconds=5)
    await shop.writes(thread.openid)
    await leaving.delete_account(shop.mini.services.sealer, member_id=someone.member_id, now=clock.now())
    assert await notice(since=clock.now() - PUSHES_KEPT, now=clock.now()) == 0
    assert await returns(someone) == []
