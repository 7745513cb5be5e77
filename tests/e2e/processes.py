"""Real processes of Fensi, started as an operator starts them, and the brand that the tests give them to serve."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]  # publishes no types

from kit.clock import SystemClock
from kit.seal import Sealer
from scrm import db
from scrm.accounts import service as accounts
from scrm.replies import service as replies
from simulator.fan import ScriptedFan
from simulator.server import SimulatorServer
from simulator.world import Account
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
SECRET_KEY = "a key for processes under test"
START_SECONDS = 60.0

WELCOME = "欢迎来到七号店"
FALLBACK = "您好，已收到您的消息。回复“帮助”可查看我能为您做什么。"
HOURS = "周一至周日 9:00-21:00"
SCENE = "store-7"
# A text longer than WeChat's 2048 bytes: one passive reply, and one message by the door out.
MANUAL = "使用手册：" + "请先阅读安全须知。" * 100


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 20, what: str = "") -> None:
    """Wait until an async condition holds, and say which one did not."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110  # what is waited for happens in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:.0f} s: {what or condition}") from None


async def nothing_open() -> bool:
    """Whether every accepted push and every message has come to its end; needs the database open."""
    rows = await db.fetch(
        """
        SELECT EXISTS (SELECT FROM push WHERE state = 'running')
            OR EXISTS (SELECT FROM outbox WHERE state IN ('pending', 'claimed', 'sending'))
        """
    )
    return not rows[0][0]


class Process:
    """A running `fensi …`, with everything it has said so far."""

    def __init__(self, name: str, log: Path, port: int | None, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.port = port
        self._log = log
        self._process = process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    @property
    def alive(self) -> bool:
        """Whether it is still the process that was started."""
        return self._process.returncode is None

    def children(self) -> list[int]:
        """Return the ids of its child processes."""
        return sorted(child.pid for child in psutil.Process(self._process.pid).children())

    async def said(self, word: str, times: int = 1) -> Self:
        """Wait until it has written a word; fails as soon as it has ended."""

        async def found() -> bool:
            assert self.alive, f"{self.name} ended with {self._process.returncode}:\n{self.log}"
            return self.log.count(word) >= times

        await until(found, START_SECONDS, f"{self.name} says {word!r}; it said:\n{self.log}")
        return self

    async def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        await self._process.wait()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ended(self, seconds: float = 60) -> int:
        """Wait for its end and return its exit code."""
        async with asyncio.timeout(seconds):
            return await self._process.wait()

    async def remove(self) -> None:
        """End it, and whatever it started, whatever state they are in."""
        if not self.alive:
            return
        family = psutil.Process(self._process.pid).children(recursive=True)
        await self.kill()
        for member in family:
            if member.is_running():
                member.kill()


class Fensi:
    """Starts processes of one installation: one database, one simulated WeChat, one folder."""

    def __init__(self, folder: Path, database_url: str | None, wechat_url: str, **settings: str) -> None:
        self.folder = folder
        self.processes: list[Process] = []
        self._count = 0
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("FENSI_")}
        self._environment |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "FENSI_VAR": str(folder / "var"),
            "FENSI_SECRET_KEY": SECRET_KEY,
            "FENSI_WECHAT_URL": wechat_url,
            "FENSI_LOG_FORMAT": "json",
        }
        if database_url is not None:
            self._environment["FENSI_DATABASE_URL"] = database_url
        self._environment |= {f"FENSI_{name.upper()}": value for name, value in settings.items()}

    async def start(self, *arguments: str, settings: Mapping[str, str], port: int | None = None) -> Process:
        """Start `fensi` with these arguments and go on; settings are named as their fields are."""
        self._count += 1
        name = f"{self._count} {' '.join(arguments)}"
        log = self.folder / f"{self._count}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app", *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=asyncio.subprocess.STDOUT,
                env=self._environment | {f"FENSI_{key.upper()}": value for key, value in settings.items()},
                # A folder of its own, so that nobody's .env is read.
                cwd=self.folder,
            )  # fmt: skip
        self.processes.append(Process(name, log, port, process))
        return self.processes[-1]

    async def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a command to its end; returns its exit code and what it wrote."""
        process = await self.start(*arguments, settings=settings)
        return await process.ended(), process.log

    async def serve(self, *, workers: int = 1, port: int | None = None, **settings: str) -> Process:
        """Start a server and wait until all its processes listen."""
        port = port or free_port()
        arguments = ["serve", "--port", str(port), *(["--workers", str(workers)] if workers > 1 else [])]
        return await (await self.start(*arguments, settings=settings, port=port)).said('"serving"', workers)

    async def work(self, **settings: str) -> Process:
        """Start a worker and wait until it works."""
        return await (await self.start("worker", settings=settings)).said('"working"')

    async def remove(self) -> None:
        """End everything that was started."""
        for process in self.processes:
            await process.remove()


@dataclass(frozen=True)
class Shop:
    """An account that our database and the simulated WeChat both know, with words to answer by."""

    id: int
    account: Account
    wechat: SimulatorServer

    @property
    def path(self) -> str:
        """The path of its callback."""
        return f"/wechat/{self.id}"

    def answered_by(self, *servers: Process) -> list[str]:
        """Let every push, and every copy and repetition of one, go to any of these; the list may be changed."""
        urls = [server.url + self.path for server in servers]
        self.account.callback_url = urls[0]
        return urls

    def fans(self, count: int, *, following: bool = True) -> list[ScriptedFan]:
        """Return new people; those who follow do so without our server ever having been told."""
        found = [self.wechat.fan(f"粉丝{n}") for n in range(count)]
        for fan in found:
            fan.thread(self.account).following = following
        return found

    def heard(self, fan: ScriptedFan) -> list[str]:
        """Return the texts that this account has said to a fan, oldest first."""
        return [message.content["text"] for message in fan.inbox(self.account)]

    def sends(self) -> int:
        """Return how often the customer-service API was called for this account."""
        return self.wechat.wechat.quotas.totals[self.account.appid, "/cgi-bin/message/custom/send"]


async def open_shop(wechat: SimulatorServer, name: str = "花店", mode: str = "safe") -> Shop:
    """Add an account on both sides; needs the database open."""
    account = wechat.world.add_account("service", name=name, mode=mode)
    now = SystemClock().now()
    account_id = await accounts.add(
        Sealer(SECRET_KEY),
        kind=account.kind,
        name=name,
        appid=account.appid,
        secret=account.secret,
        token=account.token,
        aes_key=account.aes_key,
        mode=mode,
        now=now,
    )
    for pattern, text in {"营业时间": HOURS, "手册": MANUAL}.items():
        await replies.set_rule(
            account_id=account_id, match="exact", pattern=pattern, reply={"type": "text", "content": text}, now=now
        )
    await replies.set_welcome(account_id=account_id, reply={"type": "text", "content": WELCOME}, now=now)
    return Shop(account_id, account, wechat)
