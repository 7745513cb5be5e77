"""Worker processes of test_outbox_delivery.py, forked from one that has imported everything: a start takes no time.

Every byte on stdin starts one, whose process id is answered; when stdin closes all are killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp

from kit.clock import SystemClock
from kit.tasks import Tasks
from scrm import db
from scrm.accounts.service import AccountView
from scrm.outreach.ports import Delivery, Outcome, Sender
from worker.outbox import OutboxWorker


class Unobserved:
    """Observes nothing."""

    def delivered(self, outcome: str, seconds: float) -> None:
        """Nothing."""

    def recovered(self, given_back: int, unknown: int) -> None:
        """Nothing."""


def account_view(account_id: int) -> AccountView:
    """Return the account of these tests, as a worker knows it."""
    return AccountView(account_id, 1, "service", "测试号", "wxtest", "plain", True, True, "secret", "token", None)


class HttpMessenger:
    """Carries messages to the receiver of the test."""

    def __init__(self, session: aiohttp.ClientSession, receiver: str) -> None:
        self._session = session
        self._receiver = receiver

    async def admit(self, _sender: Sender) -> float:
        """There is always a place."""
        return 0.0

    async def deliver(self, sender: Sender, openid: str, message: Mapping[str, Any]) -> Delivery:
        """POST once."""
        try:
            async with self._session.post(self._receiver, json={"touser": openid, **message}) as response:
                response.raise_for_status()
        except aiohttp.ClientError as error:
            return Delivery(Outcome.UNKNOWN, detail=type(error).__name__)
        return Delivery(Outcome.SENT)


async def main(url: str, account_id: int, receiver: str, lease: float) -> None:
    """Deliver until killed."""
    accounts = {account_id: account_view(account_id)}
    timeout = aiohttp.ClientTimeout(total=lease / 3)
    async with db.database(url, pool=3), aiohttp.ClientSession(timeout=timeout) as session:
        await OutboxWorker(
            url,
            HttpMessenger(session, receiver),
            lambda: accounts,
            SystemClock(),
            Tasks(),
            Unobserved(),
            sending=4,
            lease=timedelta(seconds=lease),
        ).run(asyncio.Event())


def nursery() -> None:
    """Fork a worker for every byte read."""
    url, account_id, receiver, lease = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    while os.read(0, 1):  # unbuffered, so that a fork inherits nothing half-read
        child = os.fork()
        if child == 0:
            os.close(0)
            os.dup2(2, 1)  # the answers are the nursery's alone
            asyncio.run(main(url, account_id, receiver, lease))
            os._exit(0)
        children.append(child)
        os.write(1, f"{child}\n".encode())
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    nursery()
