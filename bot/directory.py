"""What callbacks work with, in memory: each account with its envelope and its rules, at most a second old."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bot.envelope import Envelope
from kit.seal import Sealer, UnsealError
from kit.tasks import repeat
from scrm import db
from scrm.accounts.service import AccountView, readable
from scrm.errors import Unavailable
from scrm.replies.rules import RuleBook
from scrm.replies.service import rule_books

log = structlog.get_logger(__name__)

# xmin changes with every change of a row, whoever makes it; a few hundred rows cost nothing to look at.
_VERSION = """
SELECT (SELECT coalesce(string_agg(id || ':' || xmin, ',' ORDER BY id), '') FROM account) AS accounts,
       (SELECT coalesce(md5(string_agg(id || ':' || xmin, ',' ORDER BY id)), '') FROM reply_rule) AS rules
"""


@dataclass(frozen=True, slots=True)
class Served:
    """An account as callbacks use it."""

    account: AccountView
    envelope: Envelope
    rules: RuleBook


class Directory:
    """The served accounts by id; `watch` keeps it fresh."""

    def __init__(self, sealer: Sealer, *, window: int = 600) -> None:
        self._sealer = sealer
        self._window = window
        self._served: dict[int, Served] = {}
        self._version: tuple[str, str] | None = None
        # Accounts whose secrets were sealed with another key.
        self.shut: list[int] = []
        self._refreshing = asyncio.Lock()

    def get(self, account_id: int) -> Served | None:
        """Return an enabled account, or None."""
        return self._served.get(account_id)

    def accounts(self) -> Mapping[int, AccountView]:
        """Return all served accounts by id."""
        return {account_id: served.account for account_id, served in self._served.items()}

    async def refresh(self) -> None:
        """Read accounts and rules again if anything changed. Raises Unavailable when the database is away."""
        async with self._refreshing:
            row = (await db.fetch(_VERSION))[0]
            version = (row["accounts"], row["rules"])
            if version == self._version:
                return
            books = await rule_books()
            nothing = RuleBook([])
            views, self.shut = await readable(self._sealer)
            if self.shut and not views:
                raise UnsealError("no account opens with this FENSI_SECRET_KEY")
            if self.shut:
                log.error("accounts whose secrets do not open with this FENSI_SECRET_KEY", accounts=self.shut)
            self._served = {
                account.id: Served(
                    account,
                    Envelope(account.appid, account.token, account.aes_key, account.mode, self._window),
                    books.get(account.id, nothing),
                )
                for account in views
                if account.enabled
            }
            self._version = version

    async def watch(self, every_seconds: float = 1.0) -> None:
        """Refresh for ever. With the database away the last known accounts stay."""
        await repeat(self.refresh, every_seconds, "accounts not refreshed", passing=Unavailable)
