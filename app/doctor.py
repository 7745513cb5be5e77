"""`fensi doctor`: what is missing, wrong or unreachable, a line each, in plain words."""

import difflib
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from app import causes, demo_staff
from app.assistant import open_model
from app.server import SKEW_SECONDS
from app.services import Services, services, shared_state
from app.settings import Settings, SettingsError, unknown_names
from app.wechat import client_of, shown_menu
from bot.signature import sign
from gateways.wechat.errors import ALERTS, WeChatError, WeChatFailure
from kit import workdays
from kit.chat import ModelFailure, Turn
from kit.clock import SystemClock, natural_day
from kit.seal import UnsealError
from kit.state import StateUnavailable
from scrm import db
from scrm.accounts.service import AccountView
from scrm.menus import service as menus
from scrm.migrate import pending
from scrm.outreach.queries import Disabled, Stuck, disabled, oldest_pending, stuck

# A worker takes what is due within a second.
WAITING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    fine: bool
    text: str


async def examine(settings: Settings, url: str | None, trouble: str = "") -> list[Finding]:
    """Look at everything this installation stands on; never raises for what it finds.

    Without a `url` there is no database, and `trouble` says why.
    """
    found = [
        Finding(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}"),
        *_misspelt(),
        _secret_key(settings),
        Finding(
            (settings.pages / "phone" / "index.html").is_file(),
            "pages are built"
            if (settings.pages / "phone" / "index.html").is_file()
            else "pages are not built: run `make setup` (the phone page will not open)",
        ),
        _calendar(),
        _proxies(settings),
        await _state(settings),
        await _model(settings),
    ]
    database = Finding(False, trouble) if url is None else await _database(settings, url)
    found.append(database)
    if url is None or not database.fine:
        return found
    try:
        async with services(settings, url) as opened:
            found.append(await _clock(opened))
            if not settings.demo and (logins := await demo_staff.still_open()):
                found.append(Finding(False, demo_staff.complaint(logins)))
            held = await stuck(ALERTS, now=opened.clock.now())
            found.append(await _outbox(opened, held))
            found += await _accounts(settings, opened, held)
    except UnsealError:
        found.append(
            Finding(False, "FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut")
        )
    except SettingsError as error:
        found.append(Finding(False, str(error)))
    return found


def _misspelt() -> list[Finding]:
    known = [f"FENSI_{name.upper()}" for name in Settings.model_fields]
    found = []
    for name in unknown_names():
        (near, *_) = [*difflib.get_close_matches(name, known, n=1), ""]
        found.append(Finding(False, f"{name}: there is no such setting" + (f"; is {near} meant?" if near else "")))
    return found


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key:
        return Finding(True, "FENSI_SECRET_KEY is set")
    if settings.database_url:
        return Finding(
            False, f"FENSI_SECRET_KEY is not set: secrets are sealed with a key in {settings.var}, on this machine only"
        )
    path = settings.var / "secret.key"
    if not os.path.exists(path):  # noqa: PTH110  # false, where Path.exists raises for a folder that nobody may enter
        return Finding(True, f"no FENSI_SECRET_KEY: a key will be made in {path}")
    return Finding(True, f"the key is in {path} (keep it with your backups)")


def _calendar() -> Finding:
    # A word in time, not a fault: awards go on, with weekends only.
    short = workdays.shortage(natural_day(SystemClock().now()))
    return Finding(True, short or f"public holidays are known until {workdays.covered_until()}")


def _proxies(settings: Settings) -> Finding:
    trusted = settings.trusted_proxies
    if trusted.believes_everybody:
        return Finding(False, "FENSI_TRUSTED_PROXIES believes everybody: rate limits and the audit trail can be fooled")
    return Finding(True, f"addresses of visitors are taken from proxies at: {trusted}")


async def _database(settings: Settings, url: str) -> Finding:
    where = "PostgreSQL" if settings.database_url else "the embedded PostgreSQL"
    try:
        async with db.database(url, pool=2):
            version = (await db.fetch("SHOW server_version_num"))[0][0]
            missing = await pending(url)
    except Exception as error:  # noqa: BLE001  # refused, unknown, wrong password, no such database: a class each
        if settings.database_url is None and causes.is_missing(error):
            return Finding(False, f"{where} runs and has no data yet: `fensi accounts add --help`")
        return Finding(False, f"FENSI_DATABASE_URL: {causes.of_database(error, db.credentials(url)['database'])}")
    if int(version) < 150000:
        return Finding(False, f"{where} is version {int(version) // 10000}; 15 or newer is needed")
    if missing:
        return Finding(False, causes.of_schema(missing, demo=settings.demo))
    return Finding(True, f"{where} {int(version) // 10000} answers, at the present schema")


async def _clock(opened: Services) -> Finding:
    skew = await db.clock_skew(opened.clock.now)
    fine = abs(skew) <= SKEW_SECONDS
    return Finding(fine, "the clocks agree" if fine else f"this machine's clock is {skew:+.1f} s off the database's")


async def _outbox(opened: Services, held: Mapping[int, Stuck]) -> Finding:
    # Those that wait for somebody to act are told with their accounts.
    waiting = await oldest_pending(opened.clock.now(), without=held)
    if waiting < WAITING_SECONDS:
        return Finding(True, "no message waits longer than it should")
    return Finding(False, f"a message is due for {_span(waiting)}; no worker seems to run: `fensi worker`")


def _span(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds // 60:.0f} minutes"


async def _state(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding(True, "no FENSI_REDIS_URL: shared state is kept in each process (fine on one machine)")
    state = shared_state(settings.redis_url)
    try:
        await state.ping()
    except StateUnavailable:
        return Finding(
            False, "FENSI_REDIS_URL: Redis does not answer; tokens and rate limits fall back to each process"
        )
    finally:
        await state.close()
    return Finding(True, "Redis answers")


async def _model(settings: Settings) -> Finding:
    async with AsyncExitStack() as stack:
        model = await open_model(settings, stack)
        if model is None:
            if settings.llm_base_url or settings.llm_model:
                return Finding(False, "FENSI_LLM_BASE_URL and FENSI_LLM_MODEL: the language model needs both")
            return Finding(True, "no FENSI_LLM_BASE_URL: answers come from rules and the knowledge base alone")
        try:
            await model.chat([Turn("user", "你好")], max_tokens=5, seconds=10)
            if model.embeds:
                await model.embed(["你好"], seconds=10)
        except ModelFailure as failure:
            said = f"FENSI_LLM_BASE_URL: the language model does not answer: {failure.code}, {failure}"
            return Finding(False, said)
        return Finding(True, f"the language model {model.name} answers")


async def _accounts(settings: Settings, opened: Services, held: Mapping[int, Stuck]) -> list[Finding]:
    accounts = opened.directory.accounts()
    found = [
        Finding(False, f"account {account_id}: sealed with another FENSI_SECRET_KEY; it is not served")
        for account_id in opened.directory.shut
    ]
    found += [_disabled(one) for one in await disabled()]
    if not accounts and not found:
        return [Finding(False, "no accounts yet: `fensi accounts add --help`")]
    for account in accounts.values():
        name = f"account {account.id} “{account.name}”"
        if (stuck_here := held.get(account.id)) is not None:
            messages = "a message waits" if stuck_here.waiting == 1 else f"{stuck_here.waiting} messages wait"
            said = f"{messages} until somebody acts: WeChat refuses with {stuck_here.code}"
            found.append(Finding(False, f"{name}: {said}"))
        try:
            await client_of(opened, account.id).check()
        except WeChatFailure as failure:
            found.append(Finding(False, f"{name}: no access token from {settings.wechat_url}: {failure}"))
            continue
        found.append(Finding(True, f"{name}: WeChat's API answers"))
        found.append(await _callback(settings, account, name))
        if account.kind != "miniprogram":
            found.append(await _menu(opened, account, name))
    return found


def _disabled(account: Disabled) -> Finding:
    # Somebody wanted it so.
    messages = {0: "no messages wait", 1: "a message waits"}.get(account.waiting, f"{account.waiting} messages wait")
    said = f"disabled, its pushes are not answered and {messages}; `fensi accounts enable {account.account_id}`"
    return Finding(True, f"account {account.account_id} “{account.name}”: {said}")


async def _callback(settings: Settings, account: AccountView, name: str) -> Finding:
    """Ask as WeChat does when somebody enters the URL there; a page that anybody else shows does not pass."""
    url = f"{settings.public_url}/wechat/{account.id}"
    stamp, nonce, echo = str(int(SystemClock().now().timestamp())), secrets.token_hex(8), secrets.token_hex(8)
    query = {"signature": sign(account.token, stamp, nonce), "timestamp": stamp, "nonce": nonce, "echostr": echo}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url, params=query, allow_redirects=False) as response,
        ):
            if response.status == 200 and await response.content.read(100) == echo.encode():
                return Finding(True, f"{name}: callback {url} is there")
            said = f"answers {response.status}, but not as this house does; what listens there?"
    except (aiohttp.ClientError, TimeoutError) as error:
        said = f"does not answer: {causes.of_request(error)}; is the server running?"
    return Finding(False, f"{name}: callback {url} {said}")


async def _menu(opened: Services, account: AccountView, name: str) -> Finding:
    wanted = await menus.wanted(account.id)
    try:
        shown = await shown_menu(opened, account.id)
    except WeChatFailure as failure:
        if _has_no_menu(account, failure):
            said = f"{name}: an unverified subscription account has no menu by API"
            if wanted is None:
                return Finding(True, f"{said}; it is made at mp.weixin.qq.com")
            return Finding(False, f"{said}: the one defined here cannot be published")
        return Finding(False, f"{name}: the menu cannot be read: {failure}")
    if wanted is None:
        # Nothing wrong: it may well be made at mp.weixin.qq.com.
        return Finding(True, f"{name}: no menu is defined here; phones show {len(shown) or 'no'} buttons")
    if differences := menus.differences(wanted, shown):
        return Finding(False, f"{name}: the menu on phones differs: {'；'.join(differences[:5])}")
    return Finding(True, f"{name}: the menu on phones is ours")


def _has_no_menu(account: AccountView, failure: WeChatFailure) -> bool:
    unverified = account.kind == "subscription" and not account.verified
    return unverified and isinstance(failure, WeChatError) and failure.errcode == 48001
