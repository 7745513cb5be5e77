"""What the tests of the outbox stand on: an account with fans, a messenger that is told what to answer, and workers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.clock import Clock
from kit.ids import key_of
from kit.tasks import Tasks
from scrm import db as scrm_db
from scrm.outreach import service as outreach
from scrm.outreach.ports import Delivery, Outcome, Sender
from tests.e2e.outbox_process import Unobserved, account_view
from worker.outbox import OutboxWorker

SENT = Delivery(Outcome.SENT, platform_id="m1")


@dataclass(frozen=True)
class House:
    """An account and fans of it who have just written."""

    account_id: int
    fans: Sequence[int]

    async def say(self, fan: int, text: str, now: datetime) -> None:
        body = {"msgtype": "text", "text": {"content": text}}
        verdict = await outreach.say(key=key_of(fan, text), fan_id=fan, body=body, purpose="service", now=now)
        assert verdict.allowed, verdict


async def house_of(fans: int, now: datetime) -> House:
    async with scrm_db.connection() as raw:
        account = await raw.fetchval(
            """
            WITH b AS (INSERT INTO brand (name, created_at) VALUES ('测试', $1) RETURNING id)
            INSERT INTO account (brand_id, kind, name, appid, mode, secret_sealed, token_sealed, created_at)
            SELECT id, 'service', '测试号', 'wxtest', 'plain', '', '', $1 FROM b RETURNING id
            """,
            now,
        )
        rows = await raw.fetch(
            """
            WITH m AS (INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, $3::int) RETURNING id), f AS (
                INSERT INTO fan (account_id, openid, member_id, following, created_at)
                SELECT $1, 'o' || id, id, true, $2 FROM m RETURNING id, member_id, account_id
            )
            INSERT INTO event (key, kind, occurred_at, recorded_at, member_id, account_id, fan_id, payload)
            SELECT gen_random_uuid(), 'wechat.text', $2, $2, member_id, account_id, id, '{}' FROM f RETURNING fan_id
            """,
            account,
            now,
            fans,
        )
    return House(account, sorted(row["fan_id"] for row in rows))


async def outbox() -> list[tuple[str, str, int]]:
    """Return (state, detail, attempts) of all messages, oldest first."""
    rows = await scrm_db.fetch("SELECT state, detail, attempts FROM outbox ORDER BY id")
    return [(row["state"], row["detail"], row["attempts"]) for row in rows]


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until an async condition holds."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def settled() -> bool:
    return {state for state, _, _ in await outbox()} <= {"sent", "refused", "failed", "unknown"}


class Messenger:
    """Delivers into a list; answers what it was told to, then that all went well."""

    def __init__(self, *answers: Delivery | Exception | asyncio.Event) -> None:
        self.heard: list[str] = []
        self.called = asyncio.Event()
        self._answers = list(answers)
        self.asked = 0
        # What `admit` says before there is always a place: seconds to wait.
        self.places: list[float] = []

    async def admit(self, sender: Sender) -> float:
        self.asked += 1
        return self.places.pop(0) if self.places else 0.0

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        assert (sender.appid, sender.secret) == ("wxtest", "secret")
        self.heard.append(message["text"]["content"])
        self.called.set()
        answer = self._answers.pop(0) if self._answers else SENT
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return SENT
        if isinstance(answer, Exception):
            raise answer
        return answer


def worker(
    url: str,
    house: House,
    messenger: Any,
    clock: Clock,
    *,
    served: bool = True,
    observer: Unobserved | None = None,
    **options: Any,
) -> OutboxWorker:
    accounts = {house.account_id: account_view(house.account_id)} if served else {}
    return OutboxWorker(url, messenger, lambda: accounts, clock, Tasks(), observer or Unobserved(), **options)


@asynccontextmanager
async def running(*workers: OutboxWorker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for each in workers:
            group.create_task(each.run(stop))
        try:
            yield stop
        finally:
            stop.set()


class Observing(Unobserved):
    """Remembers how deliveries ended, and says when a message found no place."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.put_back = asyncio.Event()

    def delivered(self, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)
        if outcome == "no_place":
            self.put_back.set()
