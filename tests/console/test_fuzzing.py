"""The console's API under whatever may be sent to it, see tests.fuzzing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

import console
from console.surface import COOKIE, CSRF_HEADER
from kit.clock import ManualClock
from scrm import db as scrm_db
from scrm.staff import service
from scrm.staff.audit import COMMAND_LINE
from simulator.testing import running
from tests.bot.house import House
from tests.console.conftest import PASSWORD, Browser, Office, open_office
from tests.fuzzing import Stage, operations_of, schema_of

APPID = "wxfuzzing00000001"
OPERATIONS = operations_of(schema_of(console.document()))


@dataclass(kw_only=True)
class Admin(Stage):
    """An administrator at a browser, in a house with two brands, an account, colleagues and roles."""

    office: Office
    browser: Browser
    id: int

    ENDING = frozenset({"sign_in", "sign_out", "change_password", "end_session"})

    def signed(self) -> dict[str, Any]:
        return {"headers": {CSRF_HEADER: self.browser.csrf}, "cookies": {COOKIE: self.browser.cookie}}

    async def sign_in(self) -> object:
        """Sign in again, whatever the password is by now and however often somebody failed to."""
        office, now = self.office, self.office.clock.now()
        await office.rows("DELETE FROM sign_in_failure")
        await service.reset_password(
            office.passwords, COMMAND_LINE, by=None, staff_id=self.id, now=now, password=PASSWORD
        )
        self.browser.cookie = self.browser.csrf = ""
        return await self.browser.sign_in()

    async def elsewhere(self) -> int:
        """Sign in at another browser and return the session's id."""
        await (other := self.office.browser(self.browser.login)).sign_in()
        (current,) = [one for one in (await other.get("/me/sessions")).body["items"] if one["here"]]
        found: int = current["id"]
        return found


@pytest.fixture
async def office(database_url: str, clock: ManualClock) -> AsyncIterator[Office]:
    """As the other tests', but with WeChat beside it: an account is checked there at once, or in vain for a second."""
    async with (
        running() as wechat,
        scrm_db.database(database_url, pool=6),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        opened, server = await open_office(House(database_url, clock, http), http, clock, wechat_url=wechat.url)
        wechat.world.add_account("service", appid=APPID, secret="appsecret")
        try:
            yield opened
        finally:
            await server.close()
            await opened.house.close()


@pytest.fixture
async def stage(office: Office) -> Admin:
    admin, colleague = await office.signed_in(), await office.signed_in("agent")
    account = await office.house.account(appid=APPID)
    await office.services.directory.refresh()
    role, theirs = await office.role({"staff.manage"}), await colleague.me()
    stage = Admin(
        office.address.removesuffix(console.MOUNT),
        asyncio.get_running_loop(),
        office=office,
        browser=admin,
        id=await admin.me(),
    )
    stage.real = {
        "account_id": lambda: account.id,
        "staff_id": lambda: theirs,
        "role_id": lambda: role,
        "brands": lambda: [office.brands[0]],
        "brand_id": lambda: office.brands[0],
        "permissions": lambda: ["staff.manage"],
        "session_id": lambda: stage.wait(stage.elsewhere()),
        "login": lambda: admin.login,
        "password": lambda: PASSWORD,
        "present": lambda: PASSWORD,
    }
    return stage


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_answer_is_documented(stage: Admin, name: str) -> None:
    if name == "add_staff":
        del stage.real["login"]  # a name that is still free
    elif name == "remove_role":
        stage.real["role_id"] = lambda: stage.wait(stage.office.role({"staff.manage"}))
    answered = await stage.play(OPERATIONS[name])
    # Neither was everything let in, nor everything turned away at the door.
    assert min(answered) < 300, answered
    assert max(answered) >= 400, answered
