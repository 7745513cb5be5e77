"""`fensi doctor` on an installation with one thing wrong at a time; tests/e2e types the command itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tortoise.context import TortoiseContext

from app.doctor import examine
from app.services import services
from app.settings import Settings
from app.wechat import create_code, menu_differences, publish_menu
from kit.clock import SystemClock
from kit.delivery import Sender
from kit.ids import key_of
from kit.seal import Sealer
from scrm.accounts.models import Account
from scrm.accounts.service import add, set_enabled
from scrm.channels.models import Channel
from scrm.db import transaction
from scrm.errors import Conflict
from scrm.menus import service as menus
from scrm.menus.models import Menu
from scrm.outreach import service as outreach
from simulator.server import SimulatorServer
from simulator.testing import running
from simulator.world import Account as AtWeChat
from tests.bot.metered import counted
from tests.conftest import free_port
from tests.factories import TEXT, happens, make_follower
from web.addresses import Proxies

KEY = "the key of the doctor's tests"
MENU = [{"name": "积分", "type": "click", "key": "points"}, {"name": "官网", "type": "view", "url": "http://x"}]


@dataclass
class Clinic:
    """An account that both sides know."""

    settings: Settings
    url: str
    wechat: SimulatorServer
    account_id: int
    at_wechat: AtWeChat

    async def complaints(self, **changes: object) -> list[str]:
        """Return what is not fine, but for the pages and the callback, which need a set-up and a server."""
        found = await examine(self.settings.model_copy(update=changes), self.url)
        lines = [finding.text for finding in found if not finding.fine]
        return [line for line in lines if "pages" not in line and ": callback" not in line]

    async def line(self, word: str) -> str:
        """Return the one line with a word."""
        (found,) = [one.text for one in await examine(self.settings, self.url) if word in one.text]
        return found

    @property
    def name(self) -> str:
        return f"account {self.account_id} “花店”"


@pytest.fixture
async def clinic(db: TortoiseContext, database_url: str, tmp_path: Path) -> AsyncIterator[Clinic]:
    async with running() as wechat:
        at_wechat = wechat.world.add_account("service", appid="wx1", secret="s3cr3t0fours")
        account_id = await add(
            Sealer(KEY),
            kind="service",
            name="花店",
            appid="wx1",
            secret="s3cr3t0fours",
            token="callbacktoken",
            aes_key=None,
            now=SystemClock().now(),
        )
        settings = Settings(
            _env_file=None, var=tmp_path, database_url=database_url, secret_key=KEY, wechat_url=wechat.url
        )
        yield Clinic(settings, database_url, wechat, account_id, at_wechat)


async def test_a_menu_is_published_and_every_difference_is_told(clinic: Clinic) -> None:
    now = SystemClock().now()
    assert await clinic.complaints() == []
    assert await clinic.line("menu") == f"{clinic.name}: no menu is defined here; phones show no buttons"
    clinic.at_wechat.menu = {"button": [{"name": "别处", "type": "click", "key": "k"}]}
    assert await clinic.line("menu") == f"{clinic.name}: no menu is defined here; phones show 1 buttons"
    clinic.at_wechat.menu = None
    await menus.define(account_id=clinic.account_id, buttons=MENU, now=now)
    name = f"account {clinic.account_id} “花店”: the menu on phones differs"
    assert await clinic.complaints() == [f"{name}: “积分”缺失；“官网”缺失"]
    async with services(clinic.settings, clinic.url) as opened:
        await publish_menu(opened, account_id=clinic.account_id)
        assert await menu_differences(opened, clinic.account_id) == []
    assert await clinic.complaints() == []
    assert clinic.at_wechat.menu is not None
    clinic.at_wechat.menu["button"][0]["key"] = "elsewhere"
    assert await clinic.complaints() == [f"{name}: “积分”内容不同"]


async def test_a_channels_code_is_made_once_the_platform_agrees(clinic: Clinic) -> None:
    clinic.wechat.wechat.faults.add_api(path="/cgi-bin/qrcode/create", errcode=45009, times=1)
    async with services(clinic.settings, clinic.url) as opened:

        async def make() -> Channel:
            return await create_code(opened, account_id=clinic.account_id, scene="store-7", name="七号店")

        with pytest.raises(Conflict, match="45009") as caught:
            await make()
        assert caught.value.field == "scene"
        channel = await make()
        assert channel.ticket in clinic.wechat.world.qrcodes
        # A code that exists is not made again: every printed poster hangs on it.
        with pytest.raises(Conflict, match="这个场景值已被使用"):
            await make()
    assert len(clinic.wechat.world.qrcodes) == 1


async def test_answers_that_lack_what_they_must_have_are_sentences(clinic: Clinic) -> None:
    """WeChat's, or of something between us and it: `errcode` 0 and nothing else."""
    add_fault = clinic.wechat.wechat.faults.add_api
    async with services(clinic.settings, clinic.url) as opened:

        async def make() -> Channel:
            return await create_code(opened, account_id=clinic.account_id, scene="store-8", name="八号店")

        add_fault(path="/cgi-bin/qrcode/create", errcode=0)
        with pytest.raises(Conflict, match=r"^微信没有创建二维码：the answer lacks 'ticket'$") as caught:
            await make()
        assert caught.value.field == "scene"
        assert (await make()).ticket in clinic.wechat.world.qrcodes
    add_fault(path="/cgi-bin/get_current_selfmenu_info", errcode=0)
    said = f"{clinic.name}: the menu cannot be read: the answer lacks 'is_menu_open'"
    assert await clinic.complaints() == [said]
    assert await clinic.complaints() == []


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        ({"is_menu_open": 1}, "'selfmenu_info'"),
        ({"is_menu_open": 1, "selfmenu_info": {"button": {}}}, "the menu's buttons"),
        ({"is_menu_open": 1, "selfmenu_info": {"button": ["积分"]}}, "the menu's buttons"),
        ({"is_menu_open": 1, "selfmenu_info": {"button": [{"type": "click"}]}}, "'name'"),
        ({"is_menu_open": 1, "selfmenu_info": {"button": [{"name": "a", "sub_button": 7}]}}, "the menu's buttons"),
    ],
)
async def test_a_menu_that_is_none_is_neither_shown_nor_published(
    clinic: Clinic, answer: dict[str, object], lacks: str
) -> None:
    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "T", "expires_in": 7200})

    async def anything(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", token)
    app.router.add_route("*", "/{path:.*}", anything)
    async with TestServer(app) as proxy:
        changes = {"wechat_url": f"http://127.0.0.1:{proxy.port}"}
        said = f"{clinic.name}: the menu cannot be read: the answer lacks {lacks}"
        assert await clinic.complaints(**changes) == [said]
        async with services(clinic.settings.model_copy(update=changes), clinic.url) as opened:
            with pytest.raises(Conflict, match=r"^微信没有接受菜单：the answer lacks 'errcode'$"):
                await publish_menu(opened, account_id=clinic.account_id, buttons=MENU)
    menu = await Menu.get(account_id=clinic.account_id)
    assert (menu.buttons, menu.published_at) == (MENU, None)


async def test_a_wrong_secret_names_the_account(clinic: Clinic) -> None:
    clinic.at_wechat.secret = "changed at the platform"
    (line,) = await clinic.complaints()
    assert line.startswith(f"account {clinic.account_id} “花店”: no access token from {clinic.wechat.url}: ")
    assert "s3cr3t0fours" not in line


async def test_a_token_that_is_kept_says_nothing_of_the_platform(clinic: Clinic, redis_url: str) -> None:
    redis, nowhere = {"redis_url": redis_url}, f"http://127.0.0.1:{free_port()}"
    assert [line for line in await clinic.complaints(**redis) if "access token" in line] == []
    found = await clinic.complaints(**redis, wechat_url=nowhere)
    (line,) = [line for line in found if "access token" in line]
    assert line.startswith(f"account {clinic.account_id} “花店”: no access token from {nowhere}: ")


async def test_messages_that_a_wrong_secret_stops_are_counted_by_account_and_told(clinic: Clinic) -> None:
    now = SystemClock().now()
    fan = await make_follower(clinic.account_id, now - timedelta(hours=3))
    await happens(fan, TEXT, now - timedelta(hours=3))
    body = {"msgtype": "text", "text": {"content": "您好"}}
    for n in range(2):
        await outreach.say(key=key_of(n), fan_id=fan.id, body=body, purpose="answer", now=now - timedelta(hours=1))
    clinic.at_wechat.secret = "changed at the platform"
    sender = Sender(clinic.account_id, "service", "wx1", "s3cr3t0fours")
    (message,) = await outreach.claim(now=now, lease_until=now + timedelta(minutes=1))
    async with (
        services(clinic.settings, clinic.url) as opened,
        counted("fensi_wechat_alerts_total", by=1, account=str(clinic.account_id), errcode="40125"),
    ):
        delivery = await opened.messenger.deliver(sender, "o" * 28, body)
        async with transaction() as tx:
            await outreach.start_sending(tx.connection, [(message.id, now, now + timedelta(minutes=1))])
            await outreach.settle(tx.connection, [(message.id, delivery, now)])
    waiting, token = await clinic.complaints()
    assert waiting == f"{clinic.name}: 2 messages wait until somebody acts: WeChat refuses with 40125"
    assert token.startswith(f"{clinic.name}: no access token from {clinic.wechat.url}: errcode 40125")


async def test_an_account_that_has_no_menu_by_api_is_told_so_in_words(clinic: Clinic) -> None:
    clinic.at_wechat.kind, clinic.at_wechat.verified = "subscription", False
    await Account.filter(id=clinic.account_id).update(kind="subscription", verified=False)
    said = f"{clinic.name}: an unverified subscription account has no menu by API"
    assert await clinic.line("menu") == f"{said}; it is made at mp.weixin.qq.com"
    assert await clinic.complaints() == []
    await menus.define(account_id=clinic.account_id, buttons=MENU, now=SystemClock().now())
    assert await clinic.complaints() == [f"{said}: the one defined here cannot be published"]
    # Of a service account it is an errcode, for that has one.
    await Account.filter(id=clinic.account_id).update(kind="service")
    (line,) = await clinic.complaints()
    assert line.startswith(f"{clinic.name}: the menu cannot be read: errcode 48001")


async def test_an_answer_without_a_token_is_a_sentence(clinic: Clinic) -> None:
    async def bad_gateway(_request: web.Request) -> web.Response:
        return web.json_response({"code": 502, "message": "bad gateway"})

    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", bad_gateway)
    async with TestServer(app) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        (line,) = await clinic.complaints(wechat_url=url)
    name = f"account {clinic.account_id} “花店”"
    assert line == f"{name}: no access token from {url}: the answer lacks 'access_token'"


async def test_the_key_on_this_machine_only_is_a_complaint_where_the_database_is_not(clinic: Clinic) -> None:
    said = await clinic.complaints(secret_key=None)
    assert said[0].startswith("FENSI_SECRET_KEY is not set: secrets are sealed with a key in ")
    assert said[1:] == ["FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut"]


async def test_proxies_that_are_everybody_are_a_complaint(clinic: Clinic) -> None:
    (line,) = await clinic.complaints(trusted_proxies=Proxies.parse("10.0.0.0/8, ::/0"))
    assert line == "FENSI_TRUSTED_PROXIES believes everybody: rate limits and the audit trail can be fooled"


async def test_a_message_that_nobody_delivers_is_a_complaint(clinic: Clinic) -> None:
    now = SystemClock().now()
    fan = await make_follower(clinic.account_id, now - timedelta(hours=3))
    await happens(fan, TEXT, now - timedelta(hours=3))
    due = now - timedelta(hours=2, minutes=1)
    body = {"msgtype": "text", "text": {"content": "您好"}}
    assert (await outreach.say(key=key_of("due"), fan_id=fan.id, body=body, purpose="answer", now=due)).allowed
    assert await clinic.complaints() == ["a message is due for 2 hours; no worker seems to run: `fensi worker`"]


async def test_a_disabled_account_is_told_with_what_waits_and_is_no_complaint(clinic: Clinic) -> None:
    now = SystemClock().now()
    fan = await make_follower(clinic.account_id, now - timedelta(hours=3))
    await happens(fan, TEXT, now - timedelta(hours=3))
    await set_enabled(account_id=clinic.account_id, enabled=False)
    said = f"{clinic.name}: disabled, its pushes are not answered and no messages wait; `fensi accounts enable "
    assert await clinic.line("disabled") == f"{said}{clinic.account_id}`"
    await set_enabled(account_id=clinic.account_id, enabled=True)
    due = now - timedelta(hours=2)
    body = {"msgtype": "text", "text": {"content": "您好"}}
    assert (await outreach.say(key=key_of("due"), fan_id=fan.id, body=body, purpose="answer", now=due)).allowed
    await set_enabled(account_id=clinic.account_id, enabled=False)
    assert await clinic.line("disabled") == f"{said.replace('no messages wait', 'a message waits')}{clinic.account_id}`"
    assert await clinic.complaints() == []


async def test_the_callback_must_be_ours(clinic: Clinic) -> None:
    """A page of somebody else's that refuses everybody does not pass, nor one that sends us elsewhere."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=403, text="bad_signature")

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    clinic.settings.public_url = f"http://127.0.0.1:{port}"
    where = f"{clinic.name}: callback http://127.0.0.1:{port}/wechat/{clinic.account_id}"
    try:
        assert await clinic.line("callback") == f"{where} answers 403, but not as this house does; what listens there?"
    finally:
        await runner.cleanup()
    said = f"{where} does not answer: connection refused; is the server running?"
    assert await clinic.line("callback") == said
    clinic.settings.public_url = "http://fensi.invalid"
    where = f"{clinic.name}: callback http://fensi.invalid/wechat/{clinic.account_id}"
    said = f"{where} does not answer: there is no host of this name; is the server running?"
    assert await clinic.line("callback") == said


async def test_everything_unreachable_has_a_line(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSI_WECHATURL", "x")
    clinic.url = urlunsplit(urlsplit(clinic.url)._replace(path="/nowhere"))
    nowhere = f"127.0.0.1:{free_port()}"
    model = {"llm_base_url": f"http://{nowhere}/v1", "llm_model": "m"}
    misspelt, redis, llm, database = await clinic.complaints(redis_url=f"redis://{nowhere}/0", **model)
    assert misspelt == "FENSI_WECHATURL: there is no such setting; is FENSI_WECHAT_URL meant?"
    assert redis.startswith("FENSI_REDIS_URL: Redis does not answer; ")
    assert llm.startswith("FENSI_LLM_BASE_URL: the language model does not answer: ")
    assert database == "FENSI_DATABASE_URL: database “nowhere” does not exist: createdb nowhere"


async def test_an_empty_house_is_told_the_next_step(empty_database_url: str, database_url: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, var=tmp_path, database_url=database_url, secret_key=KEY)
    assert (await examine(settings, database_url))[-1].text == "no accounts yet: `fensi accounts add --help`"
    last = (await examine(settings, empty_database_url))[-1]
    assert (last.fine, last.text.endswith("migrations: run `fensi migrate`")) == (False, True)
