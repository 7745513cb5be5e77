"""`fensi doctor`: what is missing, wrong or unreachable, a line each, in plain words."""

import sys
from dataclasses import dataclass

import aiohttp

from app import demo_staff
from app.server import SKEW_SECONDS
from app.services import Services, services
from app.settings import Settings
from app.wechat import client_of, menu_differences
from gateways.wechat.errors import WeChatFailure
from kit import workdays
from kit.chat import ModelFailure, Turn
from kit.clock import SystemClock, natural_day
from kit.seal import UnsealError
from kit.state import StateUnavailable
from scrm import db
from scrm.errors import Unavailable
from scrm.migrate import pending


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    fine: bool
    text: str


async def examine(settings: Settings, url: str) -> list[Finding]:
    """Look at everything this installation stands on; never raises for what it finds."""
    found = [
        Finding(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}"),
        _secret_key(settings),
        Finding(
            (settings.pages / "phone" / "index.html").is_file(),
            "pages are built"
            if (settings.pages / "phone" / "index.html").is_file()
            else "pages are not built: run `make setup` (the phone page will not open)",
        ),
        _calendar(),
        _proxies(settings),
    ]
    database = await _database(settings, url)
    found.append(database)
    if not database.fine:
        return found
    try:
        async with services(settings, url) as opened:
            found.append(await _clock(opened))
            if not settings.demo and (logins := await demo_staff.still_open()):
                found.append(Finding(False, demo_staff.complaint(logins)))
            found.append(await _state(settings, opened))
            found.append(await _model(settings, opened))
            found += await _accounts(settings, opened)
    except UnsealError:
        found.append(
            Finding(False, "FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut")
        )
    return found


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key:
        return Finding(True, "FENSI_SECRET_KEY is set")
    if settings.database_url:
        return Finding(
            False, f"FENSI_SECRET_KEY is not set: secrets are sealed with a key in {settings.var}, on this machine only"
        )
    return Finding(True, f"the key is in {settings.var / 'secret.key'} (keep it with your backups)")


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
    except (Unavailable, ValueError, OSError) as error:
        return Finding(
            False, f"FENSI_DATABASE_URL: {where} does not answer ({type(error.__cause__ or error).__name__})"
        )
    except Exception as error:  # noqa: BLE001  # wrong password, missing database: each its own class
        return Finding(False, f"FENSI_DATABASE_URL: {where} refuses ({type(error.__cause__ or error).__name__})")
    if int(version) < 150000:
        return Finding(False, f"{where} is version {int(version) // 10000}; 15 or newer is needed")
    if missing:
        return Finding(False, f"the database lacks {len(missing)} migrations: run `fensi migrate`")
    return Finding(True, f"{where} {int(version) // 10000} answers, at the present schema")


async def _clock(opened: Services) -> Finding:
    skew = await db.clock_skew(opened.clock.now)
    fine = abs(skew) <= SKEW_SECONDS
    return Finding(fine, "the clocks agree" if fine else f"this machine's clock is {skew:+.1f} s off the database's")


async def _state(settings: Settings, opened: Services) -> Finding:
    if settings.redis_url is None:
        return Finding(True, "no FENSI_REDIS_URL: shared state is kept in each process (fine on one machine)")
    try:
        await opened.state.ping()
    except StateUnavailable:
        return Finding(
            False, "FENSI_REDIS_URL: Redis does not answer; tokens and rate limits fall back to each process"
        )
    return Finding(True, "Redis answers")


async def _model(settings: Settings, opened: Services) -> Finding:
    if opened.model is None:
        if settings.llm_base_url or settings.llm_model:
            return Finding(False, "FENSI_LLM_BASE_URL and FENSI_LLM_MODEL: the language model needs both")
        return Finding(True, "no FENSI_LLM_BASE_URL: answers come from rules and the knowledge base alone")
    try:
        await opened.model.chat([Turn("user", "你好")], max_tokens=5, seconds=10)
        if opened.model.embeds:
            await opened.model.embed(["你好"], seconds=10)
    except ModelFailure as failure:
        return Finding(False, f"FENSI_LLM_BASE_URL: the language model does not answer: {failure.code}, {failure}")
    return Finding(True, f"the language model {opened.model.name} answers")


async def _accounts(settings: Settings, opened: Services) -> list[Finding]:
    accounts = opened.directory.accounts()
    found = [
        Finding(False, f"account {account_id}: sealed with another FENSI_SECRET_KEY; it is not served")
        for account_id in opened.directory.shut
    ]
    if not accounts and not found:
        return [Finding(False, "no accounts yet: `fensi accounts add --help`")]
    for account in accounts.values():
        name = f"account {account.id} “{account.name}”"
        try:
            await client_of(opened, account.id).token()
        except WeChatFailure as failure:
            found.append(Finding(False, f"{name}: no access token from {settings.wechat_url}: {failure}"))
            continue
        found.append(Finding(True, f"{name}: WeChat's API answers"))
        found.append(await _callback(settings, account.id, name))
        if account.kind != "miniprogram":
            found.append(await _menu(opened, account.id, name))
    return found


async def _callback(settings: Settings, account_id: int, name: str) -> Finding:
    url = f"{settings.public_url}/wechat/{account_id}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url) as response,
        ):
            # Unsigned, so 403 is what our own callback says.
            fine = response.status == 403
            said = f"answers {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        fine, said = False, f"does not answer ({type(error).__name__}); is the server running?"
    return Finding(fine, f"{name}: callback {url} {said if not fine else 'is there'}")


async def _menu(opened: Services, account_id: int, name: str) -> Finding:
    try:
        differences = await menu_differences(opened, account_id)
    except WeChatFailure as failure:
        return Finding(False, f"{name}: the menu cannot be read: {failure}")
    if differences:
        return Finding(False, f"{name}: the menu on phones differs: {'；'.join(differences[:5])}")
    return Finding(True, f"{name}: the menu on phones is ours")
