"""Who fans are: asks the platform about those who became known or followed, and whom their unionid makes them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import structlog

from gateways.wechat.client import WeChatClient
from gateways.wechat.clients import WeChatClients
from gateways.wechat.errors import Action, WeChatError, policy
from kit.clock import Clock
from kit.delivery import Sender
from kit.faults import describe
from kit.tasks import repeat
from scrm.accounts.service import AccountView
from scrm.members import lookups
from scrm.members.lookups import Lookup

log = structlog.get_logger(__name__)

# How long after a follow, or a stranger's first word, it may take until they are somebody.
PAUSE_SECONDS = 2.0
# What user/info/batchget takes.
BATCH = 100
# Longer than a call with its repetitions. Where one fails, the account is left alone for as long: its lookups are
# due again then.
LEASE = timedelta(minutes=5)


class Profiles:
    """Asks and learns, until there is nobody to ask about; any number of workers may."""

    def __init__(self, clients: WeChatClients, accounts: Callable[[], Mapping[int, AccountView]], clock: Clock) -> None:
        self._clients = clients
        self._accounts = accounts
        self._clock = clock
        self._resting: dict[int, datetime] = {}

    async def keep(self) -> None:
        """Ask for ever."""
        await repeat(self.ask, PAUSE_SECONDS, "fans not asked about")

    async def ask(self) -> int:
        """Ask about everybody who is due; returns about how many there was an answer."""
        learned = 0
        while True:
            now = self._clock.now()
            accounts = {
                account.id: account
                for account in self._accounts().values()
                if _may_ask(account) and self._resting.get(account.id, now) <= now
            }
            claimed = await lookups.claim(list(accounts), now=now, lease_until=now + LEASE, each=BATCH)
            if not claimed:
                return learned
            claimed.sort(key=lambda lookup: lookup.account_id)
            by_account = [(accounts[key], list(own)) for key, own in groupby(claimed, lambda lookup: lookup.account_id)]
            learned += sum(await asyncio.gather(*(self._ask(account, own) for account, own in by_account)))

    async def _ask(self, account: AccountView, claimed: Sequence[Lookup]) -> int:
        client = self._clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))
        try:
            infos = await _info(client, [lookup.openid for lookup in claimed])
        except Exception as error:  # noqa: BLE001  # one account's trouble, whatever it is, is no other's
            self._resting[account.id] = self._clock.now() + LEASE
            log.warning("fans not asked about", account=account.id, error=describe(error))
            return 0
        known = {info.get("openid"): info for info in infos}
        return sum([await self._learn(lookup, known.get(lookup.openid, {})) for lookup in claimed])

    async def _learn(self, lookup: Lookup, info: Mapping[str, Any]) -> bool:
        """Take what user/info says of a fan; nothing, for one who does not follow, or an openid WeChat does not know.

        That somebody follows no more is no news: we hear it by its own push, and this answer may lag behind a follow.
        An answer that cannot be taken keeps nobody else from theirs; it is asked for again when the claim ends.
        """
        try:
            since = datetime.fromtimestamp(int(info.get("subscribe_time") or 0), UTC) if info.get("subscribe") else None
            return await lookups.answer(
                lookup, following_since=since, unionid=info.get("unionid") or None, now=self._clock.now()
            )
        except Exception as error:  # noqa: BLE001  # as said
            log.warning("what is known of a fan not taken", fan=lookup.fan_id, error=describe(error))
            return False


def _may_ask(account: AccountView) -> bool:
    """Say whether the platform tells an account who its fans are: not an unverified subscription account."""
    return account.kind == "service" or (account.kind == "subscription" and account.verified)


async def _info(client: WeChatClient, openids: Sequence[str]) -> list[dict[str, Any]]:
    """Ask user/info about many fans at once, and singly where one of them makes WeChat refuse all."""
    try:
        infos: list[dict[str, Any]] = await client.user.get_batch(openids)
    except WeChatError as error:
        if policy(error.errcode) is not Action.USER_REFUSED:
            raise
        if len(openids) == 1:
            return []
        return [info for openid in openids for info in await _info(client, [openid])]
    return infos
