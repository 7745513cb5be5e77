"""Handlers that a test steers: they note what comes, wait until they may go on, and say what they were told to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bot.messages import TextMessage
from bot.replies import Reply, TextReply
from bot.router import UNHANDLED, Answer, Context, Router

Act = Callable[[Context], Awaitable[Reply | None]]


class Desk:
    """Answers every text with 答 and the text, from a coroutine; `acts` say something else for a text.

    A text that is in `closed` waits until `open` is called for it.
    """

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.log: list[tuple[str, str]] = []
        self.contexts: list[Context] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._news = asyncio.Condition()
        self.router = Router("desk")
        self.router.on(TextMessage)(self._answer)

    def close(self, *texts: str) -> None:
        """Let these texts wait."""
        for text in texts:
            self._gates[text] = asyncio.Event()

    def open(self, *texts: str) -> None:
        """Let them go on."""
        for text in texts:
            self._gates[text].set()

    async def begun(self, text: str, times: int = 1, within: float = 5) -> None:
        """Wait until a text has come to the handler so many times."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: self.log.count(("begun", text)) >= times)

    async def _note(self, what: str, text: str) -> None:
        async with self._news:
            self.log.append((what, text))
            self._news.notify_all()

    async def _answer(self, context: Context) -> Answer:
        assert isinstance(context.message, TextMessage)
        text = context.message.content
        self.contexts.append(context)
        await self._note("begun", text)
        try:
            if (gate := self._gates.get(text)) is not None:
                await gate.wait()
            act = self.acts.get(text)
            return await act(context) if act else TextReply(f"答{text}")
        except asyncio.CancelledError:
            await self._note("cancelled", text)
            raise
        finally:
            await self._note("ended", text)


def quick(**answers: Any) -> Router:
    """A router whose plain function answers these texts; an exception among the answers is raised."""
    router = Router("quick")

    @router.on(TextMessage)
    def answer(context: Context) -> Answer:
        assert isinstance(context.message, TextMessage)
        said = answers.get(context.message.content, UNHANDLED)
        if isinstance(said, Exception):
            raise said
        return said  # type: ignore[no-any-return]  # what the test handed in

    return router
