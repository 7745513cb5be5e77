"""Members redeem, cancel and check in over HTTP while a server and the worker are killed: each write once."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from tortoise.context import TortoiseContext

import scrm.points.happenings  # noqa: F401  # registers the events that rules look at
from kit.clock import SystemClock
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db as scrm_db
from scrm.accounts import service as accounts
from scrm.accounts.models import Account
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from scrm.members.queries import FanView, fan_of
from scrm.points import ledger
from scrm.points.rulebook import install_preset
from simulator import world as sim
from simulator.fan import ScriptedFan
from simulator.server import SimulatorServer
from tests.e2e.processes import SECRET_KEY, Fensi, Process, until
from tests.factories import value
from tests.points.books import audit

pytestmark = pytest.mark.e2e
PHONES, WORTH, PRICE = 64, 60, 10
PARCELS, CODES, WAVES = 40, 100, 3
HOME = {"name": "张小明", "phone": "13812345678", "region": "浙江省杭州市", "detail": "湖滨路88号"}
Said = tuple[int, str]


@dataclass
class Storm:
    """A mini-program and the servers that answer for it; the list of servers changes while the storm goes on."""

    account: sim.Account
    http: aiohttp.ClientSession
    servers: list[Process]
    chance: random.Random
    answered: int = 0
    cut_off: int = 0

    async def has_answered(self, wanted: int) -> bool:
        return self.answered >= wanted


@dataclass
class Phone:
    """A member's phone: it insists on an answer, whatever happens to connections, servers and limits."""

    storm: Storm
    number: int
    person: ScriptedFan
    token: str = ""
    said: dict[str, tuple[str, Any, Said]] = field(default_factory=dict)
    """By key: path, body, and the answer it got."""

    async def sign_in(self) -> None:
        status, text = await self.ask("/sign-in", {"code": self.person.login_code(self.storm.account)}, "")
        assert status == 200, text
        self.token = json.loads(text)["access_token"]

    async def write(self, key: str, path: str, body: Any = None) -> Any:
        """Do a write under a key and return what came of it: the body of its answer, None for a refusal."""
        status, text = await self.ask(path, body, key)
        self.said[key] = (path, body, (status, text))
        self.storm.answered += 1
        return json.loads(text) if status < 400 else None

    async def ask(self, path: str, body: Any, key: str) -> Said:
        storm = self.storm
        headers = {"X-Forwarded-For": f"203.0.113.{self.number}"}
        headers |= {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key} if key else {}
        while True:
            url = f"{storm.chance.choice(storm.servers).url}/api/mp/{storm.account.appid}{path}"
            try:
                async with storm.http.post(url, json=body, headers=headers) as answer:
                    status, text = answer.status, await answer.text()
            except (aiohttp.ClientError, OSError) as error:
                storm.cut_off += not isinstance(error, aiohttp.ClientConnectorError)
                await asyncio.sleep(0.05)  # a phone waits before it tries again
                continue
            assert status not in {401, 404, 500}, (path, text)
            if status in {429, 503} or "in_flight" in text:
                await asyncio.sleep(0.1)  # same
                continue
            return status, text

    async def live(self, wave: int, parcel: int, coupon: int) -> None:
        """Do what a member does, several things at once; every write under a key of its own."""
        place = (await self.write("home", "/addresses", HOME))["id"]

        async def redeem(word: str, gift: int, body: Any) -> Any:
            return await self.write(f"{word}-{wave}", f"/gifts/{gift}/redeem", body)

        async def cancel(word: str, made: Any) -> None:
            await self.write(f"{word}-back-{wave}", f"/redemptions/{made['id']}/cancel", {"reason": "不想要了"})

        async def parcels() -> None:
            made = await redeem("parcel", parcel, {"address_id": place})
            if made and self.number % 2:
                await cancel("parcel", made)

        async def coupons() -> None:
            if made := await redeem("kept", coupon, {}):
                await self.write(f"code-{wave}", f"/redemptions/{made['id']}/code")
            if made := await redeem("coupon", coupon, {}):
                await cancel("coupon", made)

        async def check_ins() -> None:
            await asyncio.gather(*(self.write(f"checkin-{wave}-{n}", "/checkin") for n in range(2)))

        await asyncio.gather(parcels(), coupons(), check_ins())


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        yield session


async def open_mini(wechat: SimulatorServer) -> tuple[sim.Account, int, int]:
    """Add a mini-program on both sides; returns it, with its id here and its brand."""
    account = wechat.world.add_account("miniprogram", name="小店")
    now = SystemClock().now()
    made = await accounts.add(
        Sealer(SECRET_KEY),
        kind="miniprogram",
        name="小店",
        appid=account.appid,
        secret=account.secret,
        token=account.token,
        aes_key=account.aes_key,
        now=now,
    )
    brand = await Account.get(id=made).values_list("brand_id", flat=True)
    assert isinstance(brand, int)
    since = now - timedelta(days=2)
    await install_preset(brand, "zippo", since, since=since)
    return account, made, brand


async def give_points(fans: list[FanView]) -> None:
    now = SystemClock().now()
    origin = ledger.Origin("活动奖励", "小程序", now)
    async with scrm_db.transaction() as tx:
        await ledger.award_many(
            tx.connection,
            [ledger.Award(key_of("start", f.id), f.member_id, ledger.POINTS, WORTH, origin, now) for f in fans],
        )


async def test_each_write_is_done_once_whoever_is_killed(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    account, account_id, brand = await open_mini(wechat)
    sealer, now = Sealer(SECRET_KEY), SystemClock().now()
    parcel = await catalogue.create_gift(
        brand_id=brand, kind="physical", terms=GiftTerms(name="手机壳", price=PRICE), stock=PARCELS, now=now
    )
    coupon = await catalogue.create_gift(
        brand_id=brand, kind="virtual", terms=GiftTerms(name="电子券", price=PRICE), now=now
    )
    await catalogue.load_codes(sealer, gift_id=coupon, codes=[f"code-{n}" for n in range(CODES)], now=now)
    one, two, worker = await asyncio.gather(fensi.serve(), fensi.serve(), fensi.work())
    storm = Storm(account, http, [one, two], random.Random(20261122))
    phones = [Phone(storm, n, wechat.fan(f"会员{n}")) for n in range(PHONES)]
    await asyncio.gather(*(phone.sign_in() for phone in phones))
    fans = [fan for phone in phones if (fan := await fan_of(account_id, phone.person.openid(account)))]
    assert len(fans) == PHONES
    await give_points(fans)

    for wave in range(WAVES):
        wanted = storm.answered + storm.chance.randint(PHONES, 4 * PHONES)
        lives = asyncio.gather(*(phone.live(wave, parcel, coupon) for phone in phones))
        try:
            await until(partial(storm.has_answered, wanted), what=f"{wanted} answers")
            assert not lives.done(), "it was to be killed in the middle"
            await asyncio.gather(two.kill(), worker.kill())
            # The keys it held are free when their leases are over; thirty seconds pass at once here. That also takes
            # keys from under the other server's hands, which must notice.
            await scrm_db.fetch(
                "UPDATE idempotent_request SET lease_until = now() WHERE state = 'running' RETURNING id"
            )
            two, worker = await asyncio.gather(fensi.serve(port=two.port), fensi.work())
            storm.servers[1] = two
            await lives
        finally:
            lives.cancel()
            with suppress(asyncio.CancelledError):
                await lives
    assert storm.cut_off > 0, "some were under way when their server died"

    # Asked again, at whichever server: the same status and the same words.
    for phone in phones:
        for key, (path, body, said) in phone.said.items():
            assert await phone.ask(path, body, key) == said
    rows = await scrm_db.fetch("SELECT scope, key, status FROM idempotent_request")
    kept = {(row["scope"], row["key"]): row["status"] for row in rows}
    assert kept == {
        (f"fan:{fan.id}", key): said[0]
        for fan, phone in zip(fans, phones, strict=True)
        for key, (_, _, said) in phone.said.items()
    }
    await everything_adds_up(phones, fans, parcel, coupon)


async def everything_adds_up(phones: list[Phone], fans: list[FanView], parcel: int, coupon: int) -> None:
    # What each phone was told is what is there, no more and no less.
    told = {
        (fan.member_id, json.loads(said[1])["id"])
        for fan, phone in zip(fans, phones, strict=True)
        for key, (_, _, said) in phone.said.items()
        if key.startswith(("parcel", "kept", "coupon")) and "back" not in key and said[0] == 200
    }
    rows = await scrm_db.fetch("SELECT id, member_id, gift_id, points, state FROM redemption")
    assert {(row["member_id"], row["id"]) for row in rows} == told
    assert {row["points"] for row in rows} == {PRICE}
    for gift, initial in ((parcel, PARCELS), (coupon, CODES)):
        taken = sum(row["gift_id"] == gift and row["state"] != "cancelled" for row in rows)
        assert await value("SELECT stock FROM gift WHERE id = $1", gift) + taken == initial
    held = await value("SELECT count(*) FROM gift_code WHERE state <> 'free'")
    assert held == sum(row["gift_id"] == coupon and row["state"] != "cancelled" for row in rows)
    # One charge for each redemption, one repayment for each that was cancelled, and a day's points once.
    cancelled = sum(row["state"] == "cancelled" for row in rows)
    kinds = await scrm_db.fetch("SELECT kind, count(*) AS n FROM ledger_entry WHERE asset = 'points' GROUP BY kind")
    days = await value("SELECT count(DISTINCT day) FROM checkin")
    checked_in = await value("SELECT count(*) FROM checkin")
    assert PHONES <= checked_in <= PHONES * days
    expected = {"award": PHONES + checked_in, "spend": len(rows), "undo": cancelled}
    assert {row["kind"]: row["n"] for row in kinds} == expected
    balances = await scrm_db.fetch("SELECT holder_id, balance FROM ledger_balance WHERE asset = 'points'")
    days_of = await scrm_db.fetch("SELECT member_id, count(*) AS n FROM checkin GROUP BY member_id")
    earned = {row["member_id"]: row["n"] for row in days_of}
    charged = {fan.member_id: 0 for fan in fans}
    for row in rows:
        charged[row["member_id"]] += PRICE * (row["state"] != "cancelled")
    assert {row["holder_id"]: row["balance"] for row in balances} == {
        member: WORTH + earned[member] - charged[member] for member in charged
    }
    assert await value("SELECT count(*) FROM member_address") == PHONES
    assert await value("SELECT count(*) FROM event WHERE kind = 'gift.redeemed'") == len(rows)
    await audit()
