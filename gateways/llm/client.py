"""Asks a language model through openai's client, within a time, and says in a few words why it gave no answer.

One retry at most, only where the first attempt surely produced nothing we could use (no connection, 429, 5xx) and
only while there is time. A process has at most `concurrency` requests under way; as many again may wait, the rest
is turned away at once. The key leaves this module in the request's header and nowhere else.
"""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gateways.llm.answers import read_completion, read_embeddings
from gateways.llm.breaker import Breaker
from kit.chat import (
    Completion,
    ModelAway,
    ModelBroken,
    ModelBusy,
    ModelFailure,
    ModelRefused,
    ModelTimeout,
    Offer,
    Turn,
)
from kit.guard import check_network_allowed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# An answer of a thousand tokens is 10 KB; an embedding of 3,072 numbers, ten at a time, 700 KB.
CHAT_BYTES = 512 * 1024
EMBEDDING_BYTES = 8 * 1024 * 1024
RETRY_PAUSE = 0.3
# What is left of the time must be worth a second attempt.
WORTH_TRYING = 1.0
# The least that providers take in one request (DashScope).
EMBEDDING_BATCH = 10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is and what it costs; prices in fen per million tokens."""

    base_url: str
    model: str
    api_key: str = field(repr=False)
    embedding_model: str | None = None
    price_in: int = 0
    price_out: int = 0


class Observer(Protocol):
    """Is told how each request ended."""

    def on_call(self, what: str, outcome: str, seconds: float) -> None:
        """`what`: chat or embeddings; `outcome`: ok or the failure's code."""
        ...


class _Unobserved:
    def on_call(self, what: str, outcome: str, seconds: float) -> None: ...


class LLMClient:
    """Satisfies `kit.chat.ChatModel`; one per process. Call `open` first: openai takes a second to import."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int = 8,
        breaker: Breaker | None = None,
        observer: Observer | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._breaker = breaker or Breaker(self._monotonic)
        self._observer = observer or _Unobserved()
        self._places = asyncio.Semaphore(concurrency)
        self._most = 2 * concurrency
        self._inside = 0
        self._client: AsyncOpenAI | None = None

    async def open(self) -> None:
        """Import openai aside, and make the client; nothing is sent yet."""
        if self._client is not None:
            return
        openai = await asyncio.to_thread(importlib.import_module, "openai")
        self._client = openai.AsyncOpenAI(
            base_url=self._endpoint.base_url,
            # Local servers want no key, but the client insists on one.
            api_key=self._endpoint.api_key or "none",
            max_retries=0,
            # A redirect would carry the prompt to who knows where.
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()

    @property
    def name(self) -> str:
        """The model as its provider calls it."""
        return self._endpoint.model

    @property
    def embedding_model(self) -> str | None:
        """The model for embeddings; None when there is none."""
        return self._endpoint.embedding_model

    @property
    def embeds(self) -> bool:
        """Whether there is a model for embeddings."""
        return self._endpoint.embedding_model is not None

    @property
    def broken(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.open

    def price(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of a fen."""
        return tokens_in * self._endpoint.price_in + tokens_out * self._endpoint.price_out

    async def chat(
        self, turns: Sequence[Turn], *, tools: Sequence[Offer] = (), max_tokens: int, seconds: float
    ) -> Completion:
        """Ask once and wait at most `seconds`. Raises ModelFailure."""
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [_message(turn) for turn in turns],
            "max_tokens": max_tokens,
            "temperature": 0.2,
        }
        if tools:
            body["tools"] = [_tool(offer) for offer in tools]
        data = await self._ask("chat", body, CHAT_BYTES, seconds)
        completion = read_completion(data, self)
        if self._holds_key(completion.text):
            # It can only have come from the server we sent it to; no fan is to read it.
            raise ModelBroken("the answer holds the key")
        return completion

    def _holds_key(self, text: str) -> bool:
        key, said = self._endpoint.api_key, "".join(text.split())
        # Short placeholders such as a local server's "none" are no secrets, and are words.
        return len(key) >= 12 and (key in said or key in said[::-1])

    async def embed(self, texts: Sequence[str], *, seconds: float = 30.0) -> list[list[float]]:
        """Return a vector per text, in their order; `seconds` for each ten. Raises ModelFailure."""
        if self._endpoint.embedding_model is None:
            raise ModelRefused("no model for embeddings is set")
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBEDDING_BATCH):
            batch = list(texts[start : start + EMBEDDING_BATCH])
            body = {"model": self._endpoint.embedding_model, "input": batch, "encoding_format": "float"}
            data = await self._ask("embeddings", body, EMBEDDING_BYTES, seconds)
            vectors += read_embeddings(data, len(batch))
        return vectors

    async def _ask(self, what: str, body: Mapping[str, Any], most: int, seconds: float) -> Any:
        """Return the answer's JSON, after a second attempt where that may help."""
        check_network_allowed("language model")
        started = self._monotonic()
        outcome, asked = "ok", False
        try:
            # The deadline is held by whoever gets here, also while they wait for a place.
            async with asyncio.timeout(seconds), self._place():
                asked = True
                for last in (False, True):
                    try:
                        return await self._attempt(what, body, most)
                    except ModelFailure as failure:
                        left = seconds - (self._monotonic() - started)
                        if last or not failure.again or left < WORTH_TRYING + RETRY_PAUSE:
                            raise
                    await asyncio.sleep(RETRY_PAUSE)
        except TimeoutError:
            if not asked:
                # A queue of ours is no failure of theirs, and nothing is on the bill.
                outcome = ModelBusy.code
                raise ModelBusy(f"no place within {seconds:g} s") from None
            self._breaker.failed()
            outcome = ModelTimeout.code
            raise ModelTimeout(f"no answer within {seconds:g} s") from None
        except ModelFailure as failure:
            outcome = failure.code
            raise
        finally:
            self._observer.on_call(what, outcome, self._monotonic() - started)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._inside >= self._most:
            raise ModelBusy("too many requests of ours wait already")
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1

    async def _attempt(self, what: str, body: Mapping[str, Any], most: int) -> Any:
        if not self._breaker.admit():
            raise ModelAway("the breaker is open")
        try:
            raw = await self._send(what, body, most)
            data = _json(raw)
        except ModelRefused:
            # It answers, and is right to refuse: nothing is broken there.
            self._breaker.succeeded()
            raise
        except ModelFailure:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return data

    async def _send(self, what: str, body: Mapping[str, Any], most: int) -> bytes:
        if self._client is None:
            raise RuntimeError("LLMClient: call open first")
        import openai  # in memory since `open`

        api: Any = self._client.chat.completions if what == "chat" else self._client.embeddings
        try:
            async with api.with_streaming_response.create(**body, timeout=None) as response:
                return await _at_most(most, response.iter_bytes())
        # Their errors hold the request with its header, so they are not kept even as the context of ours.
        except openai.APIStatusError as error:
            raise _by_status(error.status_code) from None
        except openai.APIConnectionError:
            raise ModelAway("no connection", again=True) from None
        except openai.OpenAIError as error:
            raise ModelBroken(type(error).__name__) from None
        except OSError:
            raise ModelAway("the connection was cut", again=True) from None
        except (ModelFailure, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  # a cut stream has its own errors, of the transport below openai
            raise ModelAway(f"the connection was cut: {type(error).__name__}", again=True) from None


async def _at_most(most: int, chunks: AsyncIterator[bytes]) -> bytes:
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > most:
            raise ModelBroken(f"the answer is larger than {most} bytes")
    return bytes(raw)


def _by_status(status: int) -> ModelFailure:
    if status == 429:
        return ModelBusy("HTTP 429", again=True)
    if status >= 500:
        return ModelBroken(f"HTTP {status}", again=True)
    if status == 408:
        return ModelTimeout("HTTP 408")
    return ModelRefused(f"HTTP {status}")


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelBroken("the answer is no JSON") from None


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
    if turn.role == "tool":
        message["tool_call_id"] = turn.call_id
    return message


def _tool(offer: Offer) -> dict[str, Any]:
    function = {"name": offer.name, "description": offer.description, "parameters": dict(offer.parameters)}
    return {"type": "function", "function": function}
