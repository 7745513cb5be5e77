"""What exists in the simulated WeChat: accounts, fans, their threads, QR codes, media, and who watches."""

import asyncio
import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from string import ascii_letters, digits
from typing import Any, Literal

from simulator.clock import Clock

Json = dict[str, Any]
Kind = Literal["service", "subscription", "miniprogram"]
Mode = Literal["plain", "compatible", "safe"]

COLORS = ("#5b8ff9", "#5ad8a6", "#f6bd16", "#e8684a", "#6dc8ec", "#9270ca", "#ff9d4d", "#269a99", "#ff99c3")
MESSAGES_KEPT = 500  # per thread; a phone that scrolls further than this is not needed


@dataclass
class Account:
    """An official account or mini-program as its settings page on mp.weixin.qq.com shows it."""

    appid: str
    name: str
    kind: Kind
    secret: str
    username: str
    token: str = ""
    aes_key: str = ""
    mode: Mode = "plain"
    format: Literal["xml", "json"] = "xml"
    callback_url: str = ""
    verified: bool = True
    open_platform: bool = True  # bound to an open platform: user info shows unionids
    description: str = ""
    server: str = ""  # of a mini-program: its request domain, the only one its pages may ask
    ip_whitelist: list[str] = field(default_factory=list)  # empty: every address may fetch tokens
    pages: list[str] = field(default_factory=list)  # of a mini-program; empty: every page exists
    templates: dict[str, Json] = field(default_factory=dict)  # id -> {"title", "content"}
    menu: Json | None = None
    conditional_menus: list[Json] = field(default_factory=list)
    tags: list[Json] = field(default_factory=list)  # {"id", "name"}
    kf_online: list[str] = field(default_factory=list)
    next_tag_id: int = 100


@dataclass
class Fan:
    """A person with a phone."""

    id: str
    nickname: str
    color: str
    unionid: str | None
    phone: str


@dataclass
class Grant:
    """A customer-service allowance: `left` messages (None: any number) until `expires_at` (seconds)."""

    expires_at: float
    left: int | None


@dataclass
class Message:
    """One entry of a thread, shaped for the phone page."""

    id: int
    sender: Literal["fan", "account", "system"]
    type: str
    via: str
    at: int  # milliseconds
    status: str
    content: Json

    def wire(self) -> Json:
        """Return the message as the phone page reads it."""
        return {
            "id": self.id,
            "from": self.sender,
            "type": self.type,
            "via": self.via,
            "at": self.at,
            "status": self.status,
            "content": self.content,
        }


@dataclass
class Thread:
    """One fan at one account: relation, conversation and what the fan allowed."""

    appid: str
    fan_id: str
    openid: str
    following: bool = False
    blocked: bool = False  # the fan refuses messages: 48002
    subscribe_time: int = 0
    subscribe_scene: str = "ADD_SCENE_OTHERS"
    qr_scene: str = ""
    qr_is_string: bool = False
    remark: str = ""
    tags: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    subscriptions: dict[str, int] = field(default_factory=dict)  # template id -> remaining sends
    session_key: str = ""
    last_seen: float = 0.0
    last_message: float = 0.0
    typing_until: float = 0.0


@dataclass
class QrCode:
    """A parameterised QR code."""

    ticket: str
    appid: str
    scene: str
    is_string: bool
    url: str
    created_at: float
    expires_at: float | None  # None: permanent
    scans: int = 0


@dataclass
class Media:
    """An uploaded file; temporary media die after three days."""

    id: str
    appid: str
    type: str
    filename: str
    content_type: str
    data: bytes
    created_at: float
    permanent: bool = False
    title: str = ""
    description: str = ""


@dataclass
class MassJob:
    """A mass send that was accepted."""

    msg_id: int
    appid: str
    clientmsgid: str
    at: float
    status: str = "SENDING"
    receivers: list[str] = field(default_factory=list)  # openids that got it


@dataclass
class World:
    """Everything that the simulator remembers. `on_change` is told about every change worth keeping."""

    clock: Clock = field(default_factory=Clock)
    rng: random.Random = field(default_factory=random.Random)
    accounts: dict[str, Account] = field(default_factory=dict)
    fans: dict[str, Fan] = field(default_factory=dict)
    threads: dict[tuple[str, str], Thread] = field(default_factory=dict)
    qrcodes: dict[str, QrCode] = field(default_factory=dict)
    media: dict[str, Media] = field(default_factory=dict)
    mass_jobs: dict[int, MassJob] = field(default_factory=dict)
    last_id: int = 0
    on_change: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._by_openid: dict[tuple[str, str], Thread] = {}
        self._watchers: dict[tuple[str, str], set[asyncio.Queue[tuple[str, Json]]]] = {}
        self._message_id = 0

    # ids

    def hex(self, length: int) -> str:
        """Return random hexadecimal digits."""
        return f"{self.rng.getrandbits(length * 4):0{length}x}"

    def word(self, length: int) -> str:
        """Return a random identifier of letters, digits, - and _."""
        return base64.urlsafe_b64encode(self.rng.randbytes(length)).decode()[:length]

    def next_id(self) -> int:
        """Return a rising 64-bit id, also across restarts: MsgId, msgid, menuid."""
        self.last_id = max(self.last_id + 1, self.clock.ms() * 10_000)
        return self.last_id

    # accounts and fans

    def add_account(self, kind: Kind = "service", *, name: str = "测试号", **fields: Any) -> Account:
        """Add an account, or change the one with this appid; absent secrets are drawn at random.

        Raises TypeError for a field that an account does not have.
        """
        known = self.accounts.get(str(fields.get("appid", "")))
        if known is not None:
            for key, value in {"kind": kind, "name": name, **fields}.items():
                if not hasattr(known, key):
                    raise TypeError(f"account has no field {key}")
                setattr(known, key, value)
            self.on_change()
            return known
        filled = {
            "appid": "wx" + self.hex(16),
            "secret": self.hex(32),
            "token": self.hex(16),
            "aes_key": "".join(self.rng.choices(ascii_letters + digits, k=43)),
            "username": "gh_" + self.hex(12),
        } | fields
        account = Account(kind=kind, name=name, **filled)
        self.accounts[account.appid] = account
        self.on_change()
        return account

    def add_fan(self, nickname: str, *, unionid: str | None = None, phone: str | None = None) -> Fan:
        """Add a person."""
        fan = Fan(
            id=self.hex(10),
            nickname=nickname,
            color=self.rng.choice(COLORS),
            unionid=unionid or "o" + self.word(27),
            phone=phone or f"138{self.rng.randrange(10**8):08d}",
        )
        self.fans[fan.id] = fan
        self.on_change()
        return fan

    def thread(self, appid: str, fan_id: str, *, openid: str | None = None) -> Thread:
        """Return the thread of a fan at an account, made on first use.

        Raises KeyError for an unknown account or fan. The openid is a hash, so it never changes.
        """
        key = (self.accounts[appid].appid, self.fans[fan_id].id)
        if key not in self.threads:
            digest = hashlib.sha256(f"{appid}:{fan_id}".encode()).digest()
            self.adopt(Thread(appid, fan_id, openid or "o" + base64.urlsafe_b64encode(digest).decode()[:27]))
        return self.threads[key]

    def adopt(self, thread: Thread) -> None:
        """Put a thread into the world and its indexes."""
        self.threads[thread.appid, thread.fan_id] = thread
        self._by_openid[thread.appid, thread.openid] = thread
        if thread.messages:
            self._message_id = max(self._message_id, thread.messages[-1].id)

    def by_openid(self, appid: str, openid: str) -> Thread | None:
        """Find a thread by the openid of its fan."""
        return self._by_openid.get((appid, openid))

    def followers(self, appid: str) -> list[Thread]:
        """Return the threads of everybody who follows, oldest follower first."""
        found = [t for t in self.threads.values() if t.appid == appid and t.following]
        return sorted(found, key=lambda t: t.subscribe_time)

    # conversation

    def post(
        self,
        thread: Thread,
        sender: Literal["fan", "account", "system"],
        kind: str,
        content: Json,
        *,
        via: str,
        status: str = "sent",
    ) -> Message:
        """Append a message to a thread and show it on every open phone."""
        self._message_id += 1
        message = Message(self._message_id, sender, kind, via, self.clock.ms(), status, content)
        thread.messages.append(message)
        del thread.messages[:-MESSAGES_KEPT]
        if sender == "account":
            thread.typing_until = 0.0
        self.show(thread, message)
        return message

    def line(self, thread: Thread, text: str) -> Message:
        """Append a grey centred line."""
        return self.post(thread, "system", "event", {"text": text}, via="system")

    def show(self, thread: Thread, message: Message) -> None:
        """Tell open phones about a new or changed message."""
        self._tell(thread, "message", message.wire())

    def show_thread(self, thread: Thread, state: Json) -> None:
        """Tell open phones about the state of the relation."""
        self._tell(thread, "thread", state)

    def _tell(self, thread: Thread, event: str, data: Json) -> None:
        self.on_change()
        for queue in self._watchers.get((thread.appid, thread.fan_id), ()):
            queue.put_nowait((event, data))

    def watch(self, thread: Thread) -> asyncio.Queue[tuple[str, Json]]:
        """Return a queue that receives (event, data) of this thread until `unwatch`."""
        queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
        self._watchers.setdefault((thread.appid, thread.fan_id), set()).add(queue)
        return queue

    def end_watches(self) -> None:
        """Send ("end", {}) to everybody who watches, because the server stops."""
        for queues in self._watchers.values():
            for queue in queues:
                queue.put_nowait(("end", {}))

    def unwatch(self, thread: Thread, queue: asyncio.Queue[tuple[str, Json]]) -> None:
        """Stop a `watch`."""
        self._watchers.get((thread.appid, thread.fan_id), set()).discard(queue)
