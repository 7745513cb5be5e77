"""The push engine: sends a fan's doings to the account's server as WeChat does, and reads the answer.

Five seconds per attempt, three attempts with fresh signatures and the same body, then the fan reads that
the account is out of service; after repeated failures nothing is pushed for a minute (MarkFail).
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import aiohttp

from simulator import wire
from simulator.faults import CallbackFault, Faults
from simulator.messages import passive
from simulator.world import Account, Json, Thread, World

OUT_OF_SERVICE = "该公众号暂时无法提供服务，请稍后再试"
LOG_KEPT = 10_000

Result = Literal["replied", "success", "empty", "failed", "not_connected"]
_BEST_FIRST: tuple[Result, ...] = ("replied", "success", "empty", "failed")


@dataclass
class Timing:
    """Seconds and counts that tests shorten."""

    attempt_timeout: float = 5.0
    retry_pause: float | None = None  # between the starts of two attempts; None: the attempt_timeout
    attempts: int = 3
    request_timeout: float = 10.0  # of a mini-program's request; the platform's default is 60
    markfail_after: int = 5  # pushes in a row of which every attempt failed
    markfail_seconds: float = 60.0


@dataclass
class Outcome:
    """How a push ended. `reply` is what the server said, opened; `detail` says what was wrong with it."""

    outcome: Result
    attempts: int = 0
    ms: int = 0
    status: int | None = None
    reply: Json | None = None
    shown: tuple[str, Json] | None = None  # phone type and content of the reply
    detail: str = ""
    copies: list["Outcome"] = field(default_factory=list)

    def wire(self) -> Json:
        """Return the part of it that the phone page reads."""
        return {"outcome": self.outcome, "attempts": self.attempts, "ms": self.ms}


@dataclass
class AttemptRecord:
    """One HTTP request to an account's server, for `/sim/callback-log`."""

    at: int
    appid: str
    openid: str
    url: str
    attempt: int
    status: int | None  # None: no answer in time
    ms: int
    result: str
    body: Json


class Callbacks:
    """Pushes, over an HTTP session of their own."""

    def __init__(self, world: World, faults: Faults, timing: Timing) -> None:
        self.world = world
        self.faults = faults
        self.timing = timing
        self.log: deque[AttemptRecord] = deque(maxlen=LOG_KEPT)
        self._failures: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP session."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=512),
            headers={"User-Agent": "Mozilla/4.0", "Accept": "*/*"},
        )

    async def stop(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()

    async def push(self, thread: Thread, body: Json) -> Outcome:
        """Push one body and return how it ended. Never raises for anything the server does."""
        account = self.world.accounts[thread.appid]
        fault = self.faults.for_callback(account.appid)
        if not account.callback_url and not fault.urls:
            return Outcome("not_connected")
        if self._paused_until.get(account.appid, 0.0) > self.world.clock.time():
            return Outcome("failed", detail="MarkFail")
        wait = fault.delay + self.world.rng.uniform(0, fault.jitter)
        if wait:
            await asyncio.sleep(wait)
        count = self.world.rng.randint(*fault.copies)
        if count == 0:
            return Outcome("failed", detail="推送被丢弃")
        copies: list[Outcome] = []  # in order of completion

        async def one() -> None:
            copies.append(await self._deliver(account, thread, body, fault))

        if fault.concurrent:
            await asyncio.gather(*(one() for _ in range(count)))
        else:
            for _ in range(count):
                await one()
        best = min(copies, key=lambda outcome: _BEST_FIRST.index(outcome.outcome))
        best.copies = copies if count > 1 else []
        self._mark(account, failed=best.outcome == "failed" and best.status != 200)
        return best

    async def verify(self, account: Account) -> bool:
        """Ask the server to prove that it knows the token, as saving the settings page does."""
        echo = str(self.world.rng.randrange(10**18, 10**19))
        try:
            async with self._http().get(
                account.callback_url,
                params=self._signed(account) | {"echostr": echo},
                timeout=aiohttp.ClientTimeout(total=self.timing.attempt_timeout),
                allow_redirects=False,
            ) as answer:
                return answer.status == 200 and await answer.text() == echo
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False

    def resume(self, appid: str) -> None:
        """Forget failures and MarkFail, as after saving the settings page again."""
        self._failures.pop(appid, None)
        self._paused_until.pop(appid, None)

    # one delivery

    async def _deliver(self, account: Account, thread: Thread, body: Json, fault: CallbackFault) -> Outcome:
        started = time.monotonic()
        pause = self.timing.retry_pause
        pause = self.timing.attempt_timeout if pause is None else pause
        result = Outcome("failed")
        for attempt in range(1, self.timing.attempts + 1):
            begun = time.monotonic()
            result.attempts = attempt
            url = self.world.rng.choice(fault.urls) if fault.urls else account.callback_url
            status, raw, detail = await self._attempt(account, thread, body, url)
            if attempt <= fault.drop_responses:
                status, raw, detail = None, b"", "答复被丢弃"
            result.status = status
            result.detail = detail = f"HTTP {status}" if status is not None and status != 200 else detail
            if status == 200:
                self._judge(account, thread, raw, result)
            ms = int((time.monotonic() - begun) * 1000)
            self.log.append(
                AttemptRecord(
                    self.world.clock.ms(),
                    account.appid,
                    thread.openid,
                    url,
                    attempt,
                    status,
                    ms,
                    result.outcome if status == 200 else detail,
                    body,
                )
            )
            if status == 200:
                break
            if attempt < self.timing.attempts:
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - begun)))
        result.ms = int((time.monotonic() - started) * 1000)
        return result

    async def _attempt(self, account: Account, thread: Thread, body: Json, url: str) -> tuple[int | None, bytes, str]:
        params, data = self._seal(account, thread, body)
        kind = "application/json" if account.format == "json" else "text/xml"
        headers = {"Content-Type": kind}
        limit = aiohttp.ClientTimeout(total=self.timing.attempt_timeout)
        try:
            async with self._http().post(
                url, params=params, data=data, headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                return answer.status, await answer.read(), ""
        except TimeoutError:
            return None, b"", "超时"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, b"", f"无法连接（{type(error).__name__}）"

    def _signed(self, account: Account) -> dict[str, str]:
        timestamp = str(int(self.world.clock.wall()))
        nonce = str(self.world.rng.randrange(10**8, 10**10))
        return {
            "signature": wire.signature(account.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
        }

    def _seal(self, account: Account, thread: Thread, body: Json) -> tuple[dict[str, str], bytes]:
        render = wire.to_json if account.format == "json" else wire.to_xml
        params = self._signed(account) | {"openid": thread.openid}
        if account.mode == "plain":
            return params, render(body)
        sealed = wire.encrypt(account.aes_key, account.appid, render(body), self.world.rng.randbytes(16))
        params["encrypt_type"] = "aes"
        params["msg_signature"] = wire.signature(account.token, params["timestamp"], params["nonce"], sealed)
        clear = body if account.mode == "compatible" else {"ToUserName": account.username}
        return params, render(clear | {"Encrypt": sealed})

    def _judge(self, account: Account, thread: Thread, raw: bytes, result: Outcome) -> None:
        """Read a 200 answer; an unreadable one is final, WeChat does not ask again."""
        if not raw:
            result.outcome = "empty"
        elif raw.strip() == b"success":
            result.outcome = "success"
        else:
            try:
                result.reply = self._open(account, raw)
                result.shown = passive(self.world, account, thread, result.reply)
                result.outcome = "replied"
            except wire.WireError as error:
                result.outcome, result.detail = "failed", str(error)

    def _open(self, account: Account, raw: bytes) -> Json:
        read = wire.from_json if account.format == "json" else wire.from_xml
        reply = read(raw)
        if account.mode == "plain" or (account.mode == "compatible" and "Encrypt" not in reply):
            return reply
        try:
            sealed, sign = str(reply["Encrypt"]), reply["MsgSignature"]
            expected = wire.signature(account.token, str(reply["TimeStamp"]), str(reply["Nonce"]), sealed)
        except KeyError as missing:
            raise wire.WireError(f"加密的答复缺少 {missing.args[0]}") from missing
        if sign != expected:
            raise wire.WireError("MsgSignature 不正确")
        return read(wire.decrypt(account.aes_key, account.appid, sealed))

    def _mark(self, account: Account, *, failed: bool) -> None:
        if not failed:
            self.resume(account.appid)
            return
        count = self._failures[account.appid] = self._failures.get(account.appid, 0) + 1
        if count >= self.timing.markfail_after:
            self._paused_until[account.appid] = self.world.clock.time() + self.timing.markfail_seconds
            self._failures[account.appid] = 0

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the simulator is not running")
        return self._session


def is_http_url(text: str) -> bool:
    """Say whether a callback address can be pushed to: http or https with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
