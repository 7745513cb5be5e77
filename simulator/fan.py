"""A scripted fan for tests: does what a person does with a phone and tells how each push ended."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from simulator import menus
from simulator.actions import Actions, Done
from simulator.callbacks import Outcome
from simulator.world import Account, Fan, Json, Message, Thread

Where = Account | str  # an account or its appid


@dataclass(frozen=True)
class Pushed:
    """How the push of an action ended; `reply` is the server's answer, opened and parsed."""

    outcome: str
    attempts: int
    ms: int
    status: int | None
    reply: Json | None
    detail: str
    message: Message | None
    copies: list[Outcome]


class ScriptedFan:
    """One person. Methods raise ActionError for what a person cannot do."""

    def __init__(self, actions: Actions, person: Fan) -> None:
        self._actions = actions
        self._world = actions.world
        self.person = person

    def thread(self, account: Where) -> Thread:
        """Return the fan's thread at an account."""
        return self._world.thread(account if isinstance(account, str) else account.appid, self.person.id)

    def openid(self, account: Where) -> str:
        """Return the fan's openid at an account."""
        return self.thread(account).openid

    def inbox(self, account: Where) -> list[Message]:
        """Return what the account said to the fan, oldest first."""
        return [m for m in self.thread(account).messages if m.sender == "account"]

    async def wait_for(
        self, account: Where, found: Callable[[Message], bool] = lambda _: True, within: float = 5.0
    ) -> Message:
        """Return the account's first message that fits, now or as soon as it comes.

        Raises TimeoutError when it has not come `within` seconds.
        """
        thread = self.thread(account)
        queue = self._world.watch(thread)
        try:
            async with asyncio.timeout(within):
                while True:
                    for message in self.inbox(account):
                        if found(message):
                            return message
                    await queue.get()
        finally:
            self._world.unwatch(thread, queue)

    async def follow(self, account: Where, scene: str | None = None) -> Pushed:
        """Follow; with a scene, by scanning its QR code."""
        if scene is not None:
            return await self.scan(account, scene=scene)
        return _pushed(await self._actions.follow(self.thread(account)))

    async def unfollow(self, account: Where) -> Pushed:
        """Unfollow."""
        return _pushed(await self._actions.unfollow(self.thread(account)))

    async def scan(self, account: Where, *, ticket: str | None = None, scene: str | None = None) -> Pushed:
        """Scan a QR code that the account created."""
        return _pushed(await self._actions.scan(self.thread(account), ticket=ticket, scene=scene))

    async def text(self, account: Where, content: str) -> Pushed:
        """Write."""
        return _pushed(await self._actions.text(self.thread(account), content))

    async def image(self, account: Where, data: bytes | None = None) -> Pushed:
        """Send a picture; without data, a small green one."""
        if data is None:
            out = io.BytesIO()
            Image.new("RGB", (64, 48), "#5ad8a6").save(out, "PNG")
            data = out.getvalue()
        return _pushed(await self._actions.image(self.thread(account), data))

    async def voice(self, account: Where, recognition: str = "") -> Pushed:
        """Send a voice message."""
        return _pushed(await self._actions.voice(self.thread(account), recognition=recognition))

    async def video(self, account: Where) -> Pushed:
        """Send a video."""
        return _pushed(await self._actions.video(self.thread(account)))

    async def link(self, account: Where, title: str, url: str) -> Pushed:
        """Send a link."""
        return _pushed(await self._actions.link(self.thread(account), title, "", url))

    async def location(
        self, account: Where, latitude: float = 31.23, longitude: float = 121.47, label: str = "人民广场"
    ) -> Pushed:
        """Send a place."""
        return _pushed(await self._actions.location(self.thread(account), latitude, longitude, label))

    async def click(self, account: Where, key: str, result: str = "") -> Pushed:
        """Press the menu button with this key; a key outside the menu is pushed as an old client's would be."""
        thread = self.thread(account)
        menu = menus.shown(self._world.accounts[thread.appid], thread)
        button = next((b for b in menus.leaves(menu) if b.get("key") == key), None)
        button = button or {"type": "click", "name": key, "key": key}
        return _pushed(await self._actions.press_button(thread, button, result))

    async def press(self, account: Where, *path: int) -> Pushed:
        """Press the menu button at this place."""
        return _pushed(await self._actions.press(self.thread(account), list(path)))

    async def choose(self, account: Where, message: Message, item_id: str) -> Pushed:
        """Press an entry of a msgmenu message."""
        return _pushed(await self._actions.choose(self.thread(account), message.id, item_id))

    async def report_location(self, account: Where, latitude: float, longitude: float) -> Pushed:
        """Let the phone report where it is."""
        return _pushed(await self._actions.report_location(self.thread(account), latitude, longitude))

    async def enter_session(self, account: Where, source: str = "") -> Pushed:
        """Open a mini-program's customer-service chat."""
        return _pushed(await self._actions.enter_session(self.thread(account), source))

    async def answer_subscribe(self, account: Where, **answers: bool) -> Pushed:
        """Answer the subscribe-message dialogue: template id = accepted."""
        return _pushed(await self._actions.answer_subscribe(self.thread(account), answers))

    async def revoke_subscribe(self, account: Where, template_id: str) -> Pushed:
        """Refuse a template in the settings."""
        return _pushed(await self._actions.revoke_subscribe(self.thread(account), template_id))

    def block(self, account: Where, *, blocked: bool = True) -> None:
        """Refuse, or accept again, the account's messages."""
        self.thread(account).blocked = blocked

    def login_code(self, account: Where) -> str:
        """Return a `wx.login` code of a mini-program."""
        return self._actions.login_code(self.thread(account))

    def phone_code(self, account: Where) -> str:
        """Return a code of the phone-number button of a mini-program."""
        return self._actions.phone_code(self.thread(account))

    async def push(self, account: Where, **fields: Any) -> Outcome:
        """Push any event of this fan's as it stands: Event="…" and its fields; nothing else changes."""
        thread = self.thread(account)
        wechat = self._actions.wechat
        return await wechat.callbacks.push(thread, wechat.event(thread, fields.pop("Event"), **fields))


def _pushed(done: Done) -> Pushed:
    push = done.push
    return Pushed(push.outcome, push.attempts, push.ms, push.status, push.reply, push.detail, done.message, push.copies)
