"""One WeChat client per account, over one HTTP session."""

import aiohttp

from gateways.wechat.client import Credentials, Retries, WeChatClient
from gateways.wechat.observer import Observer, Unobserved
from gateways.wechat.transport import API_HOST, Transport
from kit.clock import Clock
from kit.state import SharedState
from kit.tasks import Tasks


class WeChatClients:
    """Hands out the client of an account and remembers it until the account's appid or secret changes.

    `session` is the application's and is not closed here; `base_url` replaces api.weixin.qq.com (the simulator's
    address, say); `connect` and `total` are seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        state: SharedState,
        *,
        clock: Clock,
        tasks: Tasks,
        base_url: str = API_HOST,
        mp_base_url: str | None = None,
        connect: float = 3.0,
        total: float = 10.0,
        observer: Observer | None = None,
        retries: Retries | None = None,
    ) -> None:
        self.state = state
        self.clock = clock
        self._transport = Transport(session, base_url, mp_base_url, connect, total)
        self._tasks = tasks
        self.observer = observer or Unobserved()
        self._retries = retries
        self._clients: dict[int, WeChatClient] = {}

    def for_account(self, account: Credentials) -> WeChatClient:
        """Return the client of an account."""
        client = self._clients.get(account.account_id)
        if client is None or (client.appid, client.secret) != (account.appid, account.secret):
            client = self._clients[account.account_id] = WeChatClient(
                account,
                self._transport,
                self.state,
                clock=self.clock,
                tasks=self._tasks,
                observer=self.observer,
                retries=self._retries,
            )
        return client
