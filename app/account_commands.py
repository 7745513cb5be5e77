"""What the commands `fensi accounts …` do: accounts added, changed and listed, their secrets never shown."""

import argparse
import json
from typing import Any

from app.commands import CommandError, in_database, secret
from app.settings import Settings, sealer
from kit.clock import SystemClock
from scrm.accounts import service
from scrm.accounts.models import Account
from scrm.accounts.service import AccountView, Turned
from scrm.staff import audit
from scrm.staff.audit import COMMAND_LINE, Entry

# What `set` may change; of the secrets the trail says only that they were.
OPEN, SECRET = ("name", "mode", "verified"), ("secret", "token", "aes_key")


def add(settings: Settings, given: argparse.Namespace) -> int:
    """Add an account and print where its callback is."""
    _ask_for_secrets(given)

    async def work() -> int:
        return await service.add(
            sealer(settings),
            kind=given.kind,
            name=given.name,
            appid=given.appid,
            secret=given.secret,
            token=given.token,
            aes_key=given.aes_key or None,
            mode=given.mode,
            verified=not given.unverified,
            brand=given.brand,
            now=SystemClock().now(),
        )

    account_id = in_database(settings, work)
    callback = f"/wechat/{account_id}"
    if given.json:
        print(json.dumps({"id": account_id, "callback": callback}))
    else:
        print(f"account {account_id} added; its callback URL is {settings.public_url}{callback}")
    return 0


def set_(settings: Settings, given: argparse.Namespace) -> int:
    """Change what is given of an account, and print what has changed."""
    changes = {name: value for name in OPEN + SECRET if (value := getattr(given, name)) is not None}
    if not changes:
        raise CommandError("nothing to change: fensi accounts set --help")
    _ask_for_secrets(given)

    async def change() -> tuple[AccountView, AccountView]:
        return await service.change(
            sealer(settings), account_id=given.id, **{name: getattr(given, name) for name in changes}
        )

    async def work() -> tuple[AccountView, AccountView]:
        return await audit.along(COMMAND_LINE, change, lambda outcome: _entry(*outcome), SystemClock().now())

    changed = _changed(*in_database(settings, work))
    print(
        f"account {given.id}: {', '.join(changed)} changed" if changed else f"account {given.id}: nothing has changed"
    )
    return 0


def enable(settings: Settings, given: argparse.Namespace) -> int:
    """Serve an account again, and print what has changed."""
    return _turn(settings, given.id, enabled=True)


def disable(settings: Settings, given: argparse.Namespace) -> int:
    """Serve an account no more, and print what has changed."""
    return _turn(settings, given.id, enabled=False)


def _turn(settings: Settings, account_id: int, *, enabled: bool) -> int:
    async def change() -> Turned:
        return await service.set_enabled(account_id=account_id, enabled=enabled)

    def entry(turned: Turned) -> Entry | None:
        was, now = {"enabled": not enabled}, {"enabled": enabled}
        line = Entry("account.changed", f"account:{account_id}", turned.name, turned.brand_id, was, now)
        return line if turned.changed else None

    async def work() -> Turned:
        return await audit.along(COMMAND_LINE, change, entry, SystemClock().now())

    word = "enabled" if enabled else "disabled"
    said = word if in_database(settings, work).changed else f"was {word} already, nothing has changed"
    print(f"account {account_id}: {said}")
    return 0


def _ask_for_secrets(given: argparse.Namespace) -> None:
    given.secret = secret("AppSecret", given.secret)
    given.token = secret("Token", given.token)
    given.aes_key = secret("EncodingAESKey", given.aes_key)


def _changed(before: AccountView, after: AccountView) -> list[str]:
    return [name for name in OPEN + SECRET if getattr(before, name) != getattr(after, name)]


def _entry(before: AccountView, after: AccountView) -> Entry | None:
    changed = _changed(before, after)
    if not changed:
        return None
    was, now = [{name: getattr(view, name) for name in changed if name in OPEN} for view in (before, after)]
    # Masked on both sides they would look alike, and what looks alike is not told.
    now |= {name: getattr(after, name) for name in changed if name in SECRET}
    return Entry("account.changed", f"account:{after.id}", after.name, after.brand_id, was, now)


def listing(settings: Settings, given: argparse.Namespace) -> int:
    """List accounts without secrets."""

    async def work() -> list[dict[str, Any]]:
        shown = ("id", "kind", "name", "appid", "mode", "verified", "enabled")
        return [
            {**row, "callback": f"/wechat/{row['id']}"} for row in await Account.all().order_by("id").values(*shown)
        ]

    rows = in_database(settings, work)
    if given.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    for row in rows:
        state = "" if row["enabled"] else "  (disabled)"
        print(f"{row['id']:>4}  {row['kind']:12} {row['mode']:10} {row['appid']:20} {row['name']}{state}")
    if not rows:
        print("no accounts yet: fensi accounts add --help")
    return 0
