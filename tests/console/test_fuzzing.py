"""The console's API under whatever may be sent to it, see tests.fuzzing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import aiohttp
import pytest

import console
from bot.router import Parts
from console.surface import COOKIE, CSRF_HEADER
from kit.clock import ManualClock
from kit.delivery import Sender
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.assistant import answers
from scrm.assistant.answering import Assistant
from scrm.assistant.answers import Record
from scrm.assistant.retrieval import Library
from scrm.conversations import service as conversations
from scrm.members.service import link_unionid
from scrm.points import ledger
from scrm.points.ledger import Origin
from scrm.selfservice.tools import TOOLS
from scrm.staff import service
from scrm.staff.audit import COMMAND_LINE
from scrm.tags import batches
from simulator.testing import running
from tests.bot.house import House
from tests.console.conftest import PASSWORD, Browser, Office, open_office
from tests.console.test_gifts import PLATE, parcel
from tests.console.test_gifts import TERMS as GIFT_TERMS
from tests.console.test_knowledge import qa
from tests.console.test_points_rules import SHARE, terms
from tests.console.test_rules import rule
from tests.factories import TEXT, happens, make_follower
from tests.fuzzing import Stage, operations_of, schema_of

APPID = "wxfuzzing00000001"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16
ALL = operations_of(schema_of(console.document()))
# Not asked here, and why.
LEFT_OUT = {
    "live": "a stream ends with its browser only; tests/console/test_live.py listens to it",
    "session_here": "it takes nothing and turns nobody away; tests/console/test_signing_in.py asks it",
}
OPERATIONS = {name: operation for name, operation in ALL.items() if name not in LEFT_OUT}
# Bodies whose rules no schema says.
RIGHT: dict[str, Any] = {
    "change_password": {"present": PASSWORD, "new": "bailu-2027-coffee"},
    "remove_desk_skill": {"name": "aftersale"},
    "upload_image": PNG,
    "import_knowledge": "## 几点关门？\n\n晚上十点。\n".encode(),
    "send_message": {"content": {"type": "text", "content": "您好"}},
    "add_points_rule": {"brand_id": 0, **SHARE},
    "change_points_rule": {**terms(points=4), "expected": 1},
    "try_points_rule": {"brand_id": 0, **SHARE, "times": 3},
    "add_gift": {"brand_id": 0, **PLATE},
    "change_gift": {**GIFT_TERMS, "price": 30, "expected": 1},
    "move_gift_stock": {"amount": 3, "reason": "到货"},
    "load_gift_codes": {"codes": ["TEA-1", "TEA-2"]},
    "cancel_redemption": {"reason": "会员不要了"},
    "set_shifts": {"shifts": [{"pattern": "workdays", "starts": 540, "ends": 1080, "breaks": [[720, 780]]}]},
    "begin_batch": {"tag_id": 0, "action": "put", "filter": {"platform": "wechat"}},
    "transfer": {"to_staff_id": 0, "note": "请跟进"},
    "change_rule": {**rule("优惠券"), "expected": 1},
    # Brands and role are put in by the stage; made-up ones rarely suit each other.
    "change_staff": {
        "name": "王小明",
        "role_id": 0,
        "brands": [0],
        "skills": [],
        "capacity": 3,
        "status": "active",
        "expected": 1,
    },
}


@dataclass(kw_only=True)
class Admin(Stage):
    """An administrator at a browser, who sits at the desk of a brand that has something of everything."""

    office: Office
    browser: Browser
    id: int

    ENDING = frozenset({"sign_in", "sign_out", "change_password", "end_session"})
    # Without a model, what a brand has not published is answered by nobody.
    UNAVAILABLE = frozenset({"rehearse"})

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

    async def made(self, path: str, body: Any) -> int:
        """Make something through the API and return its id."""
        answer = await self.browser.call("PUT" if path == "/welcomes" else "POST", path, body)
        assert answer.status < 300, answer
        found: int = answer.body["id"]
        return found

    async def furnish(self) -> None:
        """Put a brand's account on the stage, a fan being served who was two members, and all that staff write."""
        office, admin, now = self.office, self.browser, self.office.clock.now()
        account_id = (await office.house.account(appid=APPID)).id
        await office.services.directory.refresh()
        (account,) = await office.rows("SELECT brand_id FROM account WHERE id = $1", account_id)
        brand_id, present = account["brand_id"], {"brand": account["brand_id"]}
        fan, other = await make_follower(account_id, now), await make_follower(account_id, now)
        for one in (fan, other):
            await happens(one, TEXT, now, {"content": "几点开门"})
        second = await office.house.account("miniprogram")
        twin = await make_follower(second.id, now)
        for one in (fan, twin):
            await link_unionid(fan_id=one.id, unionid="union", now=now)
        (merge,) = await office.rows("SELECT id FROM member_merge")
        origin = Origin("活动", "公众号", now)
        await ledger.award(
            key=key_of("fuzzing", "award"), holder_id=fan.member_id, asset="points", amount=80, origin=origin, now=now
        )
        (line,) = await office.rows("SELECT id FROM ledger_entry WHERE holder_id = $1", fan.member_id)
        handed = await conversations.request_person(fan_id=fan.id, reason="rule", now=now)
        # Who comes first has the conversation.
        for person in (admin, colleague := await office.signed_in("agent")):
            assert (await person.post("/inbox/presence", present)).status == 200
        record = Record(
            key_of("fuzzing", "answer"), brand_id, account_id, fan.id, fan.member_id, "doubt", "这个我还拿不准。", now
        )
        await answers.keep(record)
        (answer,) = await office.rows("SELECT id FROM assistant_answer")
        entry = await self.made("/knowledge/entries", {"brand_id": brand_id, "kind": "qa", **qa("几点开门？")})
        assert (await admin.post(f"/knowledge/entries/{entry}/publish", {"version": 1})).status == 204
        tag = await self.made("/tags", {"brand_id": brand_id, "name": "老客"})
        batch = await self.made("/tag-batches", {"tag_id": tag, "action": "put", "filter": {"platform": "wechat"}})
        while await batches.work_some(batch_id=batch, now=now):
            pass
        gift = await self.made("/gifts", {"brand_id": brand_id, **PLATE})
        redemption = await parcel(office, fan, account_id, gift)
        skill = {"name": "aftersale", "title": "售后"}
        assert (await admin.call("PUT", f"/desk/{brand_id}/skills", skill)).status == 204
        text = {"type": "text", "content": "您好"}
        found = {
            "account": account_id,
            "account_id": account_id,
            "brand": brand_id,
            "brand_id": brand_id,
            "fan_id": other.id,
            "conversation_id": handed.conversation_id,
            "member_id": fan.member_id,
            "merge_id": merge["id"],
            "answer_id": answer["id"],
            "entry_id": entry,
            "points_entry_id": line["id"],
            "tag_id": tag,
            "batch_id": batch,
            "rule_id": await self.made("/rules", {"account_id": account_id, **rule("券")}),
            "gift": gift,
            "gift_id": gift,
            "redemption_id": redemption,
            "member": fan.member_id,
            "points_rule_id": await self.made("/points-rules", {"brand_id": brand_id, **SHARE}),
            "welcome_id": await self.made("/welcomes", {"account_id": account_id, "audience": "any", "reply": text}),
            "quick_reply_id": await self.made("/quick-replies", {"brand": brand_id, "title": "问候", "text": "您好"}),
            "staff_id": (theirs := await colleague.me()),
            "to_staff_id": theirs,
            "role_id": await office.role({"staff.manage"}),
            "brands": [office.brands[0]],
            "permissions": ["staff.manage"],
            "login": admin.login,
            "password": PASSWORD,
            "present": PASSWORD,
            "version": 1,
            "expected": 1,
        }
        self.real = {name: partial(deepcopy, value) for name, value in found.items()}
        self.real["session_id"] = lambda: self.wait(self.elsewhere())


@pytest.fixture
async def stage(database_url: str, clock: ManualClock) -> AsyncIterator[Admin]:
    """With WeChat beside it: an account is checked there at once, or in vain for a second."""
    async with AsyncExitStack() as stack:
        wechat = await stack.enter_async_context(running())
        wechat.world.add_account("service", appid=APPID, secret="appsecret")
        await stack.enter_async_context(scrm_db.database(database_url, pool=6))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        house, library = House(database_url, clock, http), Library(Tasks())
        stack.push_async_callback(house.close)
        parts = Parts(Assistant(clock, knowledge=library, model=None, tools=TOOLS))
        office, server = await open_office(house, http, clock, wechat_url=wechat.url, parts=parts)
        stack.push_async_callback(server.close)
        admin = await office.signed_in()
        address, loop = office.address.removesuffix(console.MOUNT), asyncio.get_running_loop()
        stage = Admin(address, loop, office=office, browser=admin, id=await admin.me())
        await stage.furnish()
        await library.refresh()
        yield stage


async def prepare(stage: Admin, name: str) -> None:
    """Change what is on the stage for an operation that needs it otherwise."""
    real, office = stage.real, stage.office
    stage.right = RIGHT.get(name)
    if name == "add_staff":
        del real["login"]  # a name that is still free
    elif name == "remove_role":
        real["role_id"] = lambda: stage.wait(office.role({"staff.manage"}))
    elif name == "member_points_why":
        real["entry_id"] = real["points_entry_id"]
    elif name == "load_gift_codes":
        virtual = await stage.made("/gifts", {"brand_id": real["brand_id"](), **PLATE, "kind": "virtual", "stock": 0})
        real["gift_id"] = lambda: virtual
    elif name == "parcel_arrived":
        sent = {"company": "顺丰", "number": "SF1"}
        await stage.browser.call("PUT", f"/redemptions/{real['redemption_id']()}/shipping", sent)
    elif name == "member_export":
        ticket = (await stage.browser.post("/members/exports", {})).body["ticket"]
        real["ticket"] = lambda: ticket
    elif name == "picture":
        account = next(iter(office.services.directory.accounts().values()))
        client = office.services.clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))
        kept = await client.media.upload("image", ("a.png", BytesIO(PNG), "image/png"))
        real["media_id"] = lambda: kept["media_id"]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_answer_is_documented(stage: Admin, name: str) -> None:
    await prepare(stage, name)
    answered = await stage.play(OPERATIONS[name])
    # Neither was everything let in, nor everything turned away at the door.
    assert min(answered) < 300, answered
    assert max(answered) >= 400, answered


def test_nothing_is_left_out_by_mistake() -> None:
    """What is named apart is still an operation."""
    assert (LEFT_OUT.keys() | RIGHT.keys() | Admin.ENDING | Admin.UNAVAILABLE) <= ALL.keys()
