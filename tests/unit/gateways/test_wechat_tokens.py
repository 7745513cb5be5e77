"""One token for all processes: who fetches it, when it is replaced, and what happens without Redis."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from gateways.redis_state import RedisState
from gateways.wechat import Unreachable, WeChatError, WeChatFailure, WeChatMessenger
from gateways.wechat.tokens import FORCED_PER_DAY, lifetime
from kit.clock import ManualClock, natural_day
from kit.delivery import Outcome
from kit.memory_state import MemoryState
from simulator.server import SimulatorServer
from simulator.world import Account, Thread
from tests.unit.gateways.conftest import (
    CUSTOM_SEND,
    STABLE_TOKEN,
    Answer,
    MakeClients,
    Naps,
    Watching,
    fetches,
    hang_up,
    says,
    sender_of,
    serving,
)

TEXT = {"msgtype": "text", "text": {"content": "你好"}}


async def test_500_concurrent_sends_fetch_one_token_and_200_after_a_revocation_one_more(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
) -> None:
    watching = Watching()
    client = make_clients(wechat.url, observer=watching).for_account(sender_of(account, 7))
    await asyncio.gather(*[client.message.send_text(fan.openid, f"第{i}条") for i in range(500)])
    assert fetches(wechat, account) == [False]
    assert wechat.wechat.quotas.used(account.appid, CUSTOM_SEND) == 500

    wechat.wechat.tokens.revoke(account.appid)
    await asyncio.gather(*[client.message.send_text(fan.openid, f"第{i}条") for i in range(200)])
    assert fetches(wechat, account) == [False, False]
    assert wechat.wechat.quotas.used(account.appid, CUSTOM_SEND) == 700
    assert watching.refreshes == [(7, False), (7, False)]
    assert watching.calls.count((7, CUSTOM_SEND, "ok")) == 700


async def test_two_processes_share_one_fetch_and_one_refetch(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients, redis_url: str
) -> None:
    states = [RedisState(redis_url, timeout=10), RedisState(redis_url, timeout=10)]
    clients = [make_clients(wechat.url, state).for_account(sender_of(account)) for state in states]
    for expected in (1, 2):
        await asyncio.gather(*[client.kf.send(fan.openid, TEXT) for client in clients for _ in range(100)])
        assert fetches(wechat, account) == [False] * expected
        assert wechat.wechat.quotas.used(account.appid, CUSTOM_SEND) == 200 * expected
        wechat.wechat.tokens.revoke(account.appid)
    for state in states:
        await state.delete(clients[0]._token._key)
        await state.close()


async def test_another_processs_newer_token_is_taken_over_not_replaced(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
) -> None:
    state = MemoryState()
    late, early = [make_clients(wechat.url, state).for_account(sender_of(account)) for _ in range(2)]
    await late.kf.send(fan.openid, TEXT)
    wechat.wechat.tokens.revoke(account.appid)
    await early.kf.send(fan.openid, TEXT)
    newer = await early.token()
    assert await late.token() != newer

    await late.kf.send(fan.openid, TEXT)
    assert await late.token() == newer
    kept = await state.get(late._token._key)
    assert kept is not None
    assert json.loads(kept)["value"] == newer
    assert fetches(wechat, account) == [False, False]


async def test_without_redis_the_token_lives_in_the_process(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients, unused_tcp_port: int
) -> None:
    state = RedisState(f"redis://127.0.0.1:{unused_tcp_port}/0")
    client = make_clients(wechat.url, state).for_account(sender_of(account))
    await asyncio.gather(*[client.kf.send(fan.openid, TEXT) for _ in range(50)])
    wechat.wechat.tokens.revoke(account.appid)
    await asyncio.gather(*[client.kf.send(fan.openid, TEXT) for _ in range(50)])
    assert fetches(wechat, account) == [False, False]
    assert wechat.wechat.quotas.used(account.appid, CUSTOM_SEND) == 100
    await state.close()


async def test_a_token_that_comes_back_after_its_refusal_is_forced_out_once(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
) -> None:
    now = 0.0
    state = MemoryState(monotonic=lambda: now)
    client = make_clients(wechat.url, state).for_account(sender_of(account))
    old = await client.token()
    wechat.wechat.faults.add_api(path=CUSTOM_SEND, errcode=40001, times=1)
    await client.kf.send(fan.openid, TEXT)
    assert fetches(wechat, account) == [False, False, True]
    assert await client.token() != old

    # Again within half a minute: the platform would refuse to force, so nobody asks it to.
    wechat.wechat.faults.add_api(path=CUSTOM_SEND, errcode=42001, times=1)
    with pytest.raises(WeChatError) as caught:
        await client.kf.send(fan.openid, TEXT)
    assert caught.value.errcode == 40001
    assert fetches(wechat, account) == [False, False, True, False]

    now = 40.0
    wechat.world.clock.advance(40)
    wechat.wechat.faults.add_api(path=CUSTOM_SEND, errcode=40014, times=1)
    await client.kf.send(fan.openid, TEXT)
    assert fetches(wechat, account) == [False, False, True, False, False, True]


@pytest.mark.parametrize("forced", [hang_up, says({"errcode": -1, "errmsg": "system error"})], ids=["lost", "busy"])
async def test_a_forced_refresh_is_asked_for_once_even_when_its_answer_is_lost(
    make_clients: MakeClients, account: Account, naps: Naps, forced: Answer
) -> None:
    same = says({"access_token": "T1", "expires_in": 7200})

    async def token(request: web.Request) -> web.StreamResponse:
        return await (forced if (await request.json())["force_refresh"] else same)(request)

    async with serving(says({"errcode": 40001, "errmsg": "invalid credential"})) as odd:
        odd.token = token
        with pytest.raises(WeChatFailure) as caught:
            await make_clients(odd.url).for_account(sender_of(account)).kf.send("o" * 28, TEXT)
        assert isinstance(caught.value, Unreachable) == (forced is hang_up)
        assert [json.loads(body)["force_refresh"] for body in odd.token_bodies] == [False, False, True]
        assert (odd.paths, naps.taken) == ([CUSTOM_SEND], [])


async def test_the_days_budget_of_forced_refreshes_is_common(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients, clock: ManualClock
) -> None:
    state = MemoryState()
    client = make_clients(wechat.url, state).for_account(sender_of(account))
    await state.set(f"{client._token._key}:forced:{natural_day(clock.now())}", str(FORCED_PER_DAY))
    wechat.wechat.faults.add_api(path=CUSTOM_SEND, errcode=40001, times=1)
    with pytest.raises(WeChatError):
        await client.kf.send(fan.openid, TEXT)
    assert fetches(wechat, account) == [False, False]

    clock.advance(days=1)
    wechat.wechat.faults.add_api(path=CUSTOM_SEND, errcode=40001, times=1)
    await client.kf.send(fan.openid, TEXT)
    assert fetches(wechat, account)[-1] is True


async def test_wrong_credentials_fail_everybody_with_one_fetch(
    wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
) -> None:
    sender = sender_of(account)
    client = make_clients(wechat.url).for_account(type(sender)(1, "service", account.appid, "not-the-secret"))
    results = await asyncio.gather(*[client.kf.send(fan.openid, TEXT) for _ in range(50)], return_exceptions=True)
    assert [getattr(result, "errcode", None) for result in results] == [40125] * 50
    assert fetches(wechat, account) == [False]
    assert "not-the-secret" not in str(results[0])


async def test_one_callers_cancellation_does_not_take_the_others_token(
    wechat: SimulatorServer, account: Account, make_clients: MakeClients
) -> None:
    wechat.wechat.faults.add_api(path=STABLE_TOKEN, delay=0.1)
    client = make_clients(wechat.url).for_account(sender_of(account))
    first, second = asyncio.create_task(client.token()), asyncio.create_task(client.token())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(await second) > 100
    assert fetches(wechat, account) == [False]


async def test_a_fetch_whose_answer_is_lost_is_repeated_and_then_counts_as_unreachable(
    make_clients: MakeClients, account: Account, wechat: SimulatorServer
) -> None:
    wechat.wechat.faults.add_api(path=STABLE_TOKEN, drop="after", times=2)
    client = make_clients(wechat.url).for_account(sender_of(account))
    assert len(await client.token()) > 100

    wechat.wechat.faults.add_api(path=STABLE_TOKEN, drop="after", times=3)
    client = make_clients(wechat.url).for_account(sender_of(account))
    with pytest.raises(Unreachable):
        await client.token()


NO_LIFE: list[Any] = [None, "abc", [], -1, float("nan"), 10**400]
UNUSABLE: list[Any] = [
    {"code": 502, "message": "bad gateway"},
    {},
    [],
    {"access_token": None, "expires_in": 7200},
    {"access_token": "", "expires_in": 7200},
    {"access_token": 7, "expires_in": 7200},
    {"access_token": "T1"},
    *({"access_token": "T1", "expires_in": seconds} for seconds in NO_LIFE),
]


@pytest.mark.parametrize("answer", UNUSABLE, ids=lambda answer: str(answer)[:60])
async def test_an_answer_without_a_usable_token_counts_as_unreachable_and_forces_nothing(
    make_clients: MakeClients, account: Account, answer: Any
) -> None:
    watching = Watching()
    async with serving(says({"errcode": 0})) as odd:
        odd.token = says(answer)
        clients = make_clients(odd.url, observer=watching)
        client = clients.for_account(sender_of(account))
        with pytest.raises(Unreachable, match="no credential"):
            await client.token()
        delivery = await WeChatMessenger(clients).deliver(sender_of(account), "o" * 28, TEXT)
        assert (delivery.outcome, delivery.retry_after) == (Outcome.RETRY, 5.0)
        assert (odd.paths, watching.refreshes) == ([], [])
        assert not any(b'"force_refresh": true' in body for body in odd.token_bodies)
        # And the next one counts.
        odd.token = says({"access_token": "T2", "expires_in": "7200"})
        assert (await WeChatMessenger(clients).deliver(sender_of(account), "o" * 28, TEXT)).outcome is Outcome.SENT
        assert odd.seen[0].query["access_token"] == "T2"


async def test_a_life_longer_than_any_ends_within_a_day(
    make_clients: MakeClients, account: Account, clock: ManualClock
) -> None:
    async with serving(says({"errcode": 0})) as odd:
        odd.token = says({"access_token": "T1", "expires_in": float("inf")}, {"access_token": "T2", "expires_in": 7200})
        client = make_clients(odd.url).for_account(sender_of(account))
        assert await client.token() == "T1"
        clock.advance(days=1)
        assert await client.token() == "T2"


async def test_a_token_is_renewed_before_its_end(
    wechat: SimulatorServer, account: Account, make_clients: MakeClients, clock: ManualClock
) -> None:
    client = make_clients(wechat.url).for_account(sender_of(account))
    await client.token()
    clock.advance(seconds=6890)
    await client.token()
    assert fetches(wechat, account) == [False]
    clock.advance(seconds=10)
    wechat.world.clock.advance(6900)
    await client.token()
    assert fetches(wechat, account) == [False, False]


@pytest.mark.parametrize(("expires_in", "used_for"), [(7200, 6900), (601, 301), (600, 300), (345, 172.5), (0, 0)])
def test_lifetime(expires_in: float, used_for: float) -> None:
    assert lifetime(expires_in) == used_for


async def test_a_ticket_is_kept_like_a_token(make_clients: MakeClients, account: Account) -> None:
    async with serving(says({"errcode": 0, "ticket": "a", "expires_in": 7200})) as odd:
        state = MemoryState()
        one, two = [make_clients(odd.url, state).for_account(sender_of(account)) for _ in range(2)]
        tickets = await asyncio.gather(*[client.jsapi.get_jsapi_ticket() for client in (one, two) for _ in range(20)])
        assert (set(tickets), odd.paths) == ({"a"}, ["/cgi-bin/ticket/getticket"])
        assert odd.seen[0].query["type"] == "jsapi"


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"ticket": None, "expires_in": 7200}, {"ticket": "", "expires_in": 7200}, {"ticket": "a"}],
    ids=str,
)
async def test_an_answer_without_a_usable_ticket_counts_as_unreachable(
    make_clients: MakeClients, account: Account, answer: Any
) -> None:
    async with serving(says(answer)) as odd:
        with pytest.raises(Unreachable, match="no credential"):
            await make_clients(odd.url).for_account(sender_of(account)).jsapi.get_jsapi_ticket()
