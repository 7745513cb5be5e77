"""What somebody takes back at WeChat, from the push to the rows: authorisations (撤回授权) and the account (注销)."""

import json
from typing import Any

import pytest

from app.background import JobServices
from kit.clock import ManualClock
from kit.seal import Sealer
from scrm.accounts.models import Account as AccountRow
from scrm.members import profiles
from scrm.members.phones import bind_phone, member_with
from scrm.members.profiles import Profile
from scrm.members.queries import FanView
from tests.bot.house import SECRET_KEY, House, Server
from tests.bot.platform import Account
from tests.factories import make_fan
from tests.gifts.shop import Shop, earn
from worker.schedules import registry

SEALER = Sealer(SECRET_KEY)
NUMBER = "+8613812348000"
ALL = Profile(nickname="小明", name="王小明", phone=NUMBER, avatar="https://example.com/face.png")


class Stage:
    """A mini-program, its server, and a person who let it know all that can be known."""

    def __init__(self, house: House, clock: ManualClock, account: Account, server: Server, fan: FanView) -> None:
        self.house, self.clock, self.account, self.server, self.fan = house, clock, account, server, fan
        self._pushes = 0

    async def says(self, fan: FanView, **changes: Any) -> None:
        await profiles.update(
            SEALER,
            member_id=fan.member_id,
            account_id=fan.account_id,
            fan_id=fan.id,
            changes=changes,
            now=self.house.clock.now(),
        )

    async def binds(self, fan: FanView) -> None:
        await bind_phone(SEALER, fan_id=fan.id, number=NUMBER, now=self.house.clock.now())

    async def pushed(self, event: str, info: str = "", times: int = 1) -> None:
        self._pushes += 1
        push = self.account.event(
            "oThePlatform", event, OpenID=self.fan.openid, AppID="wx1", RevokeInfo=info,
            at=self.account.now() + self._pushes,
        )  # fmt: skip
        for _ in range(times):
            assert (await push.to(self.server)).raw == b"success"

    async def jobs(self, *, run: bool = True) -> list[str]:
        """Run what waits in the queue, each job twice; returns what it was."""
        rows = await self.house.rows(
            "SELECT entrypoint, convert_from(payload, 'utf8') AS payload FROM pgqueuer WHERE entrypoint = ANY($1) "
            "ORDER BY id",
            ["members.revoked", "members.cancelled"],
        )
        await self.house.rows("DELETE FROM pgqueuer RETURNING id")
        given = JobServices(self.house.clock, self.server.services)
        for row in rows * 2 if run else ():
            await registry.jobs[row["entrypoint"]].work(json.loads(row["payload"]), given)
        return [row["entrypoint"] for row in rows]

    async def profile(self, fan: FanView | None = None) -> Profile:
        return await profiles.of(SEALER, (fan or self.fan).member_id)


@pytest.fixture
async def stage(own_house: House, clock: ManualClock) -> Stage:
    account = await own_house.account("miniprogram", fmt="json")
    server = await own_house.server()
    stage = Stage(own_house, clock, account, server, await make_fan(account.id, "oPerson"))
    await stage.says(stage.fan, nickname=ALL.nickname, name=ALL.name, avatar=ALL.avatar)
    await stage.binds(stage.fan)
    assert await stage.profile() == ALL
    return stage


REVOKE, CANCEL = "user_authorization_revoke", "user_authorization_cancellation"


@pytest.mark.parametrize(
    ("info", "left"),
    [
        ("6", Profile(name="王小明", phone=NUMBER)),
        ("8", Profile(nickname="小明", name="王小明", avatar=ALL.avatar)),
        ("19", Profile(name="王小明", phone=NUMBER, avatar=ALL.avatar)),
        ("20", Profile(nickname="小明", name="王小明", phone=NUMBER)),
        ("1", ALL),
        ("", ALL),
    ],
)
async def test_what_came_by_an_authorisation_goes_with_it(stage: Stage, info: str, left: Profile) -> None:
    await stage.pushed(REVOKE, info, times=3)
    assert await stage.profile() == ALL
    assert await stage.jobs() == (["members.revoked"] if left != ALL else [])
    assert await stage.profile() == left
    found = None if left.phone is None else stage.fan.member_id
    assert await member_with(SEALER, NUMBER) == found
    columns = await stage.house.rows("SELECT nickname, avatar, phone_sealed IS NOT NULL AS phone FROM member_profile")
    assert columns == [{"nickname": left.nickname, "avatar": left.avatar, "phone": left.phone is not None}]


async def test_what_is_said_afterwards_stays_however_late_the_job(stage: Stage) -> None:
    await stage.pushed(REVOKE, "6")
    stage.clock.advance(seconds=1)
    await stage.says(stage.fan, nickname="新名字")
    assert await stage.jobs() == ["members.revoked"]
    assert await stage.profile() == Profile(nickname="新名字", name="王小明", phone=NUMBER)


async def test_what_was_said_elsewhere_is_theirs_still(stage: Stage) -> None:
    """Another mini-program was told the number and a name, too: it is the same person, with those."""
    other = await make_fan((await stage.house.account("miniprogram")).id, "oThere")
    await stage.says(other, nickname="在别处")
    stage.clock.advance(seconds=1)
    await stage.says(stage.fan, nickname="明明")
    await stage.binds(other)
    await stage.pushed(REVOKE, "6")
    await stage.pushed(REVOKE, "8")
    assert await stage.jobs() == ["members.revoked"] * 2
    assert await stage.profile() == await stage.profile(other) == Profile("在别处", name="王小明", phone=NUMBER)
    assert await member_with(SEALER, NUMBER) == other.member_id


async def test_who_cancels_their_wechat_account_is_erased_once(stage: Stage) -> None:
    await stage.pushed(CANCEL, times=3)
    assert await stage.jobs() == ["members.cancelled"]
    ends = await stage.house.rows("SELECT erased_at FROM member WHERE id = $1", stage.fan.member_id)
    assert ends == [{"erased_at": stage.house.clock.now()}]
    assert await stage.profile() == Profile()
    said = await stage.house.rows("SELECT kind FROM event WHERE payload::text LIKE '%oPerson%'")
    assert (said, await stage.house.fan(stage.account, "oPerson")) == ([], None)
    erased = await stage.house.rows("SELECT 1 FROM event WHERE kind = 'member.erased'")
    assert len(erased) == 1
    # Told again later, of an openid that nobody has any more, it is about nobody.
    await stage.pushed(CANCEL)
    assert await stage.jobs() == ["members.cancelled"]
    assert await stage.house.rows("SELECT 1 FROM event WHERE payload::text LIKE '%oPerson%'") == []


async def test_a_gift_that_waits_to_be_sent_comes_first(stage: Stage) -> None:
    row = await AccountRow.get(id=stage.account.id)
    shop = Shop(row.id, row.brand_id)
    await earn(stage.fan, 10)
    redeemed = await shop.redeem(stage.fan, await shop.gift("virtual"), "code")
    await stage.pushed(CANCEL)
    assert await stage.jobs() == ["members.cancelled"]
    assert await stage.profile() == ALL
    waits = await stage.house.rows("SELECT execute_after - now() > interval '23 hours' AS waits FROM pgqueuer")
    assert [one["waits"] for one in waits] == [True]
    await stage.house.rows("UPDATE redemption SET state = 'completed' WHERE id = $1 RETURNING id", redeemed.id)
    assert await stage.jobs() == ["members.cancelled"]
    assert await stage.profile() == Profile()
