"""The language model's client against the simulator's server, over real HTTP: each failure, and what it costs."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from gateways.llm.breaker import Breaker
from gateways.llm.client import Endpoint, LLMClient
from gateways.llm.embedding import Embeddings
from kit.chat import (
    ModelAway,
    ModelBroken,
    ModelBusy,
    ModelFailure,
    ModelRefused,
    ModelTimeout,
    Offer,
    ToolCall,
    Turn,
)
from kit.guard import NetworkInTransactionError, no_network
from simulator.llm import CHAT, EMBEDDINGS, NAME
from simulator.server import SimulatorServer
from simulator.testing import running

KEY = "sk-the-very-secret-key"
HELLO = [Turn("user", "你好")]
PASSAGES = [
    Turn("system", "只根据资料回答；不知道时只回复“我不确定”"),
    Turn(
        "user",
        '<passage n="1" title="退货">签收后 7 天内可以退货。运费由本店承担。</passage>'
        '<passage n="2" title="保修">终身保修。</passage><question>几天内可以退货</question>',
    ),
]


class Observed:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def on_call(self, what: str, outcome: str, _seconds: float) -> None:
        self.calls.append((what, outcome))


@pytest.fixture
async def wechat() -> AsyncIterator[SimulatorServer]:
    async with running() as server:
        yield server


@asynccontextmanager
async def client_of(url: str, **options: Any) -> AsyncIterator[LLMClient]:
    endpoint = Endpoint(f"{url}/v1", "a-model", KEY, embedding_model="vectors", price_in=200, price_out=800)
    client = LLMClient(endpoint, **options)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(wechat: SimulatorServer) -> AsyncIterator[LLMClient]:
    async with client_of(wechat.url) as made:
        yield made


def asked(wechat: SimulatorServer, path: str = CHAT) -> int:
    return len(list(wechat.wechat.quotas.made(path)))


async def test_an_answer_with_what_it_costs(wechat: SimulatorServer, client: LLMClient) -> None:
    done = await client.chat(PASSAGES, max_tokens=100, seconds=5)
    assert (done.text, done.calls, done.model) == ("签收后 7 天内可以退货。[1]", (), NAME)
    assert done.tokens_in > 0
    assert done.tokens_out == len(done.text)
    assert (
        done.cost_micro == done.tokens_in * 200 + done.tokens_out * 800 == client.price(done.tokens_in, len(done.text))
    )
    (call,) = wechat.wechat.quotas.made(CHAT)
    assert (call.body["model"], call.body["max_tokens"]) == ("a-model", 100)


async def test_a_tool_is_called_and_its_result_told(client: LLMClient) -> None:
    offer = Offer("my_points", "查询我的积分", {"type": "object", "properties": {}})
    question = [Turn("user", "<question>我有多少积分</question>")]
    first = await client.chat(question, tools=[offer], max_tokens=100, seconds=5)
    assert first.calls == (ToolCall("call_0", "my_points", "{}"),)
    after = [
        *question,
        Turn("assistant", "", calls=first.calls),
        Turn("tool", '{"可用": "120 积分"}', call_id="call_0"),
    ]
    second = await client.chat(after, tools=[offer], max_tokens=100, seconds=5)
    assert (second.text, second.calls) == ("为您查到：可用：120 积分。", ())


@pytest.mark.parametrize(
    ("fault", "failure", "attempts"),
    [
        ({"status": 500}, ModelBroken, 2),
        ({"status": 503}, ModelBroken, 2),
        ({"status": 429}, ModelBusy, 2),
        ({"drop": "before"}, ModelAway, 2),
        ({"status": 401}, ModelRefused, 1),
        ({"status": 400}, ModelRefused, 1),
        ({"say": "garbage"}, ModelBroken, 1),
        ({"say": "oversize"}, ModelBroken, 1),
        ({"delay": 30.0}, ModelTimeout, 1),
    ],
)
async def test_every_failure_has_its_name_and_no_secret(
    wechat: SimulatorServer, client: LLMClient, fault: dict[str, Any], failure: type[ModelFailure], attempts: int
) -> None:
    wechat.wechat.faults.add_api(path=CHAT, times=None, **fault)
    seconds = 0.3 if "delay" in fault else 10
    with pytest.raises(failure) as caught:
        await client.chat([Turn("user", "我的手机号是 13900000000")], max_tokens=100, seconds=seconds)
    assert type(caught.value) is failure
    assert asked(wechat) == attempts
    said = f"{caught.value!r} {caught.value.__cause__!r}"
    assert KEY not in said
    assert "13900000000" not in said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_one_retry_that_helps(wechat: SimulatorServer, client: LLMClient) -> None:
    wechat.wechat.faults.add_api(path=CHAT, times=1, status=502)
    assert (await client.chat(PASSAGES, max_tokens=100, seconds=5)).text == "签收后 7 天内可以退货。[1]"
    assert asked(wechat) == 2


async def test_no_retry_without_time_for_it(wechat: SimulatorServer, client: LLMClient) -> None:
    wechat.wechat.faults.add_api(path=CHAT, times=1, status=502)
    with pytest.raises(ModelBroken):
        await client.chat(PASSAGES, max_tokens=100, seconds=1.0)
    assert asked(wechat) == 1


async def test_nobody_there(client: LLMClient) -> None:
    with socket.socket() as taken:  # bound and not listening: refuses every connection
        taken.bind(("127.0.0.1", 0))
        async with client_of(f"http://127.0.0.1:{taken.getsockname()[1]}") as lost:
            with pytest.raises(ModelAway):
                await lost.chat(HELLO, max_tokens=10, seconds=5)


async def test_the_breaker_opens_and_lets_one_try(wechat: SimulatorServer) -> None:
    moment = 0.0

    def now() -> float:
        return moment

    seen = Observed()
    async with client_of(wechat.url, breaker=Breaker(now, failures=2, seconds=30), observer=seen) as client:
        wechat.wechat.faults.add_api(path=CHAT, times=4, status=500)
        with pytest.raises(ModelBroken):
            await client.chat(HELLO, max_tokens=10, seconds=5)
        assert client.broken
        with pytest.raises(ModelAway, match="breaker"):
            await client.chat(HELLO, max_tokens=10, seconds=5)
        assert asked(wechat) == 2  # nobody was bothered again
        moment = 31.0
        with pytest.raises(ModelAway, match="breaker"):  # its one try failed, and the retry found it open again
            await client.chat(HELLO, max_tokens=10, seconds=5)
        assert asked(wechat) == 3
        moment = 62.0
        wechat.wechat.faults.clear()
        await client.chat(HELLO, max_tokens=10, seconds=5)
        assert not client.broken
        assert seen.calls == [("chat", "broken"), ("chat", "away"), ("chat", "away"), ("chat", "ok")]


async def test_a_refusal_breaks_nothing(wechat: SimulatorServer) -> None:
    async with client_of(wechat.url, breaker=Breaker(lambda: 0.0, failures=1)) as client:
        wechat.wechat.faults.add_api(path=CHAT, status=401)
        with pytest.raises(ModelRefused):
            await client.chat(HELLO, max_tokens=10, seconds=5)
        assert not client.broken


async def test_at_most_so_many_at_once_and_waiting(wechat: SimulatorServer) -> None:
    wechat.wechat.faults.add_api(path=CHAT, times=None, delay=0.3)
    async with client_of(wechat.url, concurrency=2) as client:
        asking = [asyncio.create_task(client.chat(HELLO, max_tokens=10, seconds=10)) for _ in range(6)]
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Completion"] * 4 + ["ModelBusy"] * 2
    assert asked(wechat) == 4


async def test_waiting_for_a_place_is_inside_the_time(wechat: SimulatorServer) -> None:
    wechat.wechat.faults.add_api(path=CHAT, times=None, delay=30)
    async with client_of(wechat.url, concurrency=1, breaker=Breaker(lambda: 0.0, failures=2)) as client:
        # The second gives up while the first still has the only place.
        asking = [client.chat(HELLO, max_tokens=10, seconds=seconds) for seconds in (1.0, 0.3)]
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        # Who was never asked has not failed: the one that waited says nothing of the model.
        assert not client.broken
    assert [type(outcome) for outcome in outcomes] == [ModelTimeout, ModelBusy]
    assert asked(wechat) == 1


@pytest.mark.parametrize("told", [KEY, KEY[::-1], " ".join(KEY)])
async def test_an_answer_that_holds_the_key_is_none(wechat: SimulatorServer, client: LLMClient, told: str) -> None:
    wechat.wechat.faults.add_api(path=CHAT, say=f"密钥是 {told}")
    with pytest.raises(ModelBroken) as caught:
        await client.chat(HELLO, max_tokens=10, seconds=5)
    assert KEY not in str(caught.value)


async def test_not_inside_a_transaction(client: LLMClient) -> None:
    with no_network(), pytest.raises(NetworkInTransactionError):
        await client.chat(HELLO, max_tokens=10, seconds=5)


async def test_a_redirect_is_not_followed() -> None:
    heard: list[str] = []

    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def elsewhere(request: web.Request) -> web.Response:
        heard.append(await request.text())
        return web.Response()

    routes = web.post("/v1/chat/completions", away), web.post("/elsewhere", elsewhere)
    async with serving(*routes) as url, client_of(url) as client:
        with pytest.raises(ModelRefused):
            await client.chat(HELLO, max_tokens=10, seconds=5)
    assert heard == []


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": {"content": 3}}]}',
        b'{"choices": [{"message": {"content": "", "tool_calls": {}}}]}',
        b'{"choices": [{"message": {"content": "", "tool_calls": [{"function": {"name": 1}}]}}]}',
        b'{"choices": [{"message": {"content": "", "tool_calls": [null]}}]}',
        b'{"choices": ' + b"[" * 20000,
        b'{"choices": [{"message": {"tool_calls": [' + b",".join([b"{}"] * 9) + b"]}}]}",
        "{'choices'：".encode("gb18030"),
    ],
)
async def test_any_garbage_is_broken_never_a_trace(body: bytes) -> None:
    async def garbage(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with serving(web.post("/v1/chat/completions", garbage)) as url, client_of(url) as client:
        with pytest.raises(ModelBroken):
            await client.chat(HELLO, max_tokens=10, seconds=5)


async def test_vectors_in_the_order_of_the_texts(wechat: SimulatorServer, client: LLMClient) -> None:
    texts = [f"打火机 {n}" for n in range(12)]
    vectors = await client.embed(texts)
    assert (len(vectors), {len(vector) for vector in vectors}) == (12, {256})
    assert [len(call.body["input"]) for call in wechat.wechat.quotas.made(EMBEDDINGS)] == [10, 2]
    assert vectors[3] == (await client.embed(["打火机 3"]))[0]
    assert await client.embed([]) == []
    port = Embeddings(client)
    assert (port.model, await port.embed(texts)) == ("vectors", vectors)


async def test_no_model_for_vectors(wechat: SimulatorServer) -> None:
    client = LLMClient(Endpoint(f"{wechat.url}/v1", "a-model", KEY))
    assert not client.embeds
    with pytest.raises(ModelRefused):
        await client.embed(["一"])
    with pytest.raises(ValueError, match="embedding_model"):
        Embeddings(client)


@pytest.mark.parametrize(
    "row", ["null", '{"index": 0}', '{"index": 0, "embedding": ["a"]}', '{"index": 5, "embedding": [1]}']
)
async def test_garbage_vectors(row: str) -> None:
    async def garbage(_request: web.Request) -> web.Response:
        return web.Response(text=f'{{"data": [{row}]}}', content_type="application/json")

    async with serving(web.post("/v1/embeddings", garbage)) as url, client_of(url) as client:
        with pytest.raises(ModelBroken):
            await client.embed(["一"])


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(Endpoint("http://x", "m", KEY))
