"""The running platform: the world together with its tokens, quotas, faults, pushes and background work."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from simulator import menus, windows
from simulator.callbacks import Callbacks, Outcome, Timing
from simulator.faults import Faults
from simulator.quotas import Quotas
from simulator.tokens import Tokens
from simulator.world import Json, Thread, World


class WeChat:
    """Everything that the HTTP surfaces and the fans' actions work on."""

    def __init__(self, world: World, *, timing: Timing | None = None) -> None:
        self.world = world
        self.tokens = Tokens(world)
        self.quotas = Quotas(world)
        self.faults = Faults(world)
        self.callbacks = Callbacks(world, self.faults, timing or Timing())
        self.login_codes: dict[str, LoginCode] = {}
        self.phone_codes: dict[str, LoginCode] = {}
        self.template_sends: dict[tuple[str, str, str], tuple[int, float]] = {}  # -> (msgid, when)
        self.base_url = ""  # known once the server listens
        self._background: set[asyncio.Task[Any]] = set()

    def event(self, thread: Thread, name: str, **fields: Any) -> Json:
        """Build the body of an event push."""
        account = self.world.accounts[thread.appid]
        return {
            "ToUserName": account.username,
            "FromUserName": thread.openid,
            "CreateTime": int(self.world.clock.time()),
            "MsgType": "event",
            "Event": name,
        } | fields

    def state(self, thread: Thread) -> Json:
        """Return the relation as the phone page reads it."""
        now = self.world.clock.time()
        ends, left = windows.summary(thread, now)
        return {
            "following": thread.following,
            "menu": menus.shown(self.world.accounts[thread.appid], thread),
            "window": {"expires_at": int(ends * 1000) if ends else None, "left": left},
            "typing": thread.typing_until > now,
        }

    def show_state(self, thread: Thread) -> None:
        """Tell open phones about the relation."""
        self.world.show_thread(thread, self.state(thread))

    def push_later(self, thread: Thread, body: Json) -> None:
        """Push a body in the background: the platform reports jobs after it answered the call."""
        self.later(self.callbacks.push(thread, body))

    def later(self, work: Coroutine[Any, Any, Outcome | None]) -> None:
        """Run something in the background; `settle` waits for it, `stop` ends it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle(self) -> None:
        """Wait until all background pushes have ended."""
        while self._background:
            await asyncio.gather(*self._background)

    async def start(self) -> None:
        """Open connections."""
        await self.callbacks.start()

    async def stop(self) -> None:
        """End background work and close connections."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.callbacks.stop()


class LoginCode:
    """A code from `wx.login` or the phone-number button: once, within five minutes."""

    LIFETIME = 300

    def __init__(self, thread: Thread, made_at: float) -> None:
        self.thread = thread
        self.made_at = made_at
        self.used = False
