"""How each ending of a customer-service send is told to the door out, and what keeps sends apart."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from gateways.redis_state import RedisState
from gateways.wechat import WeChatClients, WeChatMessenger
from gateways.wechat.messenger import until_midnight
from kit.clock import ManualClock
from kit.delivery import Delivery, Outcome, Sender
from kit.memory_state import MemoryState
from scrm.outreach.ports import Messenger
from simulator.server import SimulatorServer
from simulator.world import Account, Grant, Thread
from tests.unit.gateways.conftest import (
    CUSTOM_SEND,
    FOREVER,
    STABLE_TOKEN,
    MakeClients,
    Naps,
    OddServer,
    Watching,
    hang_up,
    says,
    sender_of,
    serving,
)

TEXT = {"msgtype": "text", "text": {"content": "您好，您的积分到账了"}}
SENDER = Sender(1, "service", "wx0123456789abcdef", "5ec3e7")
OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
HALF_A_DAY = 12 * 3600.0  # the clock of the tests stands at noon in Shanghai


def messenger_of(clients: WeChatClients) -> Messenger:
    return WeChatMessenger(clients)


class TestWithTheSimulator:
    @pytest.fixture
    async def messenger(self, wechat: SimulatorServer, make_clients: MakeClients) -> Messenger:
        return messenger_of(make_clients(wechat.url))

    async def test_sent(self, wechat: SimulatorServer, account: Account, fan: Thread, messenger: Messenger) -> None:
        body = {**TEXT, "touser": "somebody else"}
        assert await messenger.deliver(sender_of(account), fan.openid, body) == Delivery(Outcome.SENT, code=0)
        assert [message.content for message in fan.messages] == [{"text": "您好，您的积分到账了"}]

    async def test_refusals_that_concern_the_fan(
        self, wechat: SimulatorServer, account: Account, fan: Thread, messenger: Messenger
    ) -> None:
        async def told() -> tuple[Outcome, int | None]:
            delivery = await messenger.deliver(sender_of(account), fan.openid, TEXT)
            assert fan.openid not in delivery.detail
            assert delivery.retry_after is None
            return delivery.outcome, delivery.code

        fan.grants = {"message": Grant(FOREVER, 1)}
        assert await told() == (Outcome.SENT, 0)
        assert await told() == (Outcome.REFUSED, 45047)
        fan.grants = {}
        assert await told() == (Outcome.REFUSED, 45015)
        fan.blocked = True
        assert await told() == (Outcome.REFUSED, 48002)
        stranger = await messenger.deliver(sender_of(account), OPENID, TEXT)
        assert (stranger.outcome, stranger.code) == (Outcome.REFUSED, 40003)

    async def test_refusals_that_a_person_must_mend(
        self, wechat: SimulatorServer, account: Account, fan: Thread, messenger: Messenger
    ) -> None:
        account.verified = False
        delivery = await messenger.deliver(sender_of(account), fan.openid, TEXT)
        assert (delivery.outcome, delivery.code, delivery.retry_after) == (Outcome.RETRY, 48001, 30)
        account.secret = "renewed"
        wrong = Sender(2, "service", account.appid, "the old secret")
        delivery = await messenger.deliver(wrong, fan.openid, TEXT)
        assert (delivery.outcome, delivery.code, delivery.whole_account) == (Outcome.RETRY, 40125, True)
        assert "the old secret" not in repr(delivery)

    async def test_a_spent_daily_quota_stops_the_api_until_midnight(
        self, wechat: SimulatorServer, account: Account, fan: Thread, messenger: Messenger, clock: ManualClock
    ) -> None:
        wechat.wechat.quotas.limits[account.appid, CUSTOM_SEND] = 1
        assert (await messenger.deliver(sender_of(account), fan.openid, TEXT)).outcome is Outcome.SENT
        refused = await messenger.deliver(sender_of(account), fan.openid, TEXT)
        assert (refused.outcome, refused.code, refused.retry_after) == (Outcome.RETRY, 45009, HALF_A_DAY)
        clock.advance(hours=1)
        assert await messenger.admit(sender_of(account)) == HALF_A_DAY - 3600
        assert len(list(wechat.wechat.quotas.made(CUSTOM_SEND))) == 2

        other = wechat.world.add_account("service", verified=True)
        thread = wechat.fan().thread(other)
        thread.following, thread.grants["pay"] = True, Grant(FOREVER, None)
        assert await messenger.admit(sender_of(other, 2)) == 0
        assert (await messenger.deliver(sender_of(other, 2), thread.openid, TEXT)).outcome is Outcome.SENT

    async def test_a_dropped_connection_leaves_it_unknown_whether_or_not_it_arrived(
        self, wechat: SimulatorServer, account: Account, fan: Thread, messenger: Messenger
    ) -> None:
        for when, arrived in (("before", 0), ("after", 1)):
            wechat.wechat.faults.add_api(path=CUSTOM_SEND, drop=when, times=1)
            delivery = await messenger.deliver(sender_of(account), fan.openid, TEXT)
            assert (delivery.outcome, delivery.code, delivery.retry_after) == (Outcome.UNKNOWN, None, None)
            assert len(fan.messages) == arrived
        assert len(list(wechat.wechat.quotas.made(CUSTOM_SEND))) == 2


class TestWithOddServers:
    @pytest.fixture
    async def odd(self) -> AsyncIterator[OddServer]:
        async with serving(says({"errcode": 0})) as server:
            yield server

    @pytest.mark.parametrize(
        ("errcode", "outcome", "retry_after"),
        [
            (-1, Outcome.RETRY, 5.0),
            (45011, Outcome.RETRY, 60.0),
            (44991, Outcome.RETRY, 60.0),
            (45028, Outcome.RETRY, HALF_A_DAY),
            (40001, Outcome.RETRY, 60.0),
            (45065, Outcome.SENT, None),
            (45002, Outcome.FAILED, None),
            (99999, Outcome.FAILED, None),
        ],
    )
    async def test_errcodes(
        self, odd: OddServer, make_clients: MakeClients, errcode: int, outcome: Outcome, retry_after: float | None
    ) -> None:
        odd.answer = says({"errcode": errcode, "errmsg": "no"})
        delivery = await messenger_of(make_clients(odd.url)).deliver(SENDER, OPENID, TEXT)
        assert delivery == Delivery(outcome, errcode, "no", retry_after)

    @pytest.mark.parametrize("answer", [{"code": 502, "message": "bad gateway"}, {}, {"errcode": None}])
    async def test_an_answer_that_is_not_the_platforms_is_not_taken_for_its_yes(
        self, odd: OddServer, make_clients: MakeClients, answer: dict[str, object]
    ) -> None:
        odd.answer = says(answer)
        delivery = await messenger_of(make_clients(odd.url)).deliver(SENDER, OPENID, TEXT)
        assert (delivery.outcome, delivery.code, delivery.retry_after) == (Outcome.UNKNOWN, None, None)

    async def test_an_answer_that_never_comes_is_unknown_and_no_second_request_is_made(
        self, odd: OddServer, make_clients: MakeClients, naps: Naps
    ) -> None:
        release = asyncio.Event()

        async def wait(_: web.Request) -> web.StreamResponse:
            await release.wait()
            return web.json_response({"errcode": 0})

        odd.answer = wait
        messenger = messenger_of(make_clients(odd.url, total=0.2))
        assert (await messenger.deliver(SENDER, OPENID, TEXT)).outcome is Outcome.UNKNOWN
        release.set()
        assert (odd.paths, naps.taken) == ([CUSTOM_SEND], [])

    @pytest.mark.parametrize("errcode", [45011, 44990, 44991])
    async def test_a_spent_minute_stops_the_account_for_all_processes_until_it_is_over(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock, errcode: int
    ) -> None:
        odd.answer = says({"errcode": errcode, "errmsg": "no"}, {"errcode": 0})
        state = MemoryState()
        here, there = [messenger_of(make_clients(odd.url, state)) for _ in range(2)]
        assert await here.admit(SENDER) == 0
        assert (await here.deliver(SENDER, OPENID, TEXT)).retry_after == 60
        assert [await one.admit(SENDER) for one in (here, there)] == [60, 60]
        assert await here.admit(Sender(2, "service", "wx2", "s")) == 0
        clock.advance(seconds=45)
        assert [await one.admit(SENDER) for one in (here, there)] == [15, 15]
        clock.advance(seconds=15)
        assert [await one.admit(SENDER) for one in (here, there)] == [0, 0]
        assert odd.paths == [CUSTOM_SEND]

    async def test_an_account_that_somebody_must_mend_rests_in_all_processes_and_is_tried_again(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock
    ) -> None:
        odd.answer = says({"errcode": 40164, "errmsg": "no"}, {"errcode": 0})
        state = MemoryState()
        here, there = [messenger_of(make_clients(odd.url, state)) for _ in range(2)]
        assert await here.deliver(SENDER, OPENID, TEXT) == Delivery(Outcome.RETRY, 40164, "no", 30, whole_account=True)
        assert [await one.admit(SENDER) for one in (here, there)] == [30, 30]
        assert await here.admit(Sender(2, "service", "wx2", "s")) == 0
        clock.advance(seconds=30)
        assert [await one.admit(SENDER) for one in (there, here)] == [0, 1]
        assert (await there.deliver(SENDER, OPENID, TEXT)).outcome is Outcome.SENT
        assert [await one.admit(SENDER) for one in (here, there, here)] == [0, 0, 0]

    async def test_a_rested_account_is_probed_by_one_message_of_all_processes_until_it_went_through(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock
    ) -> None:
        refused = {"errcode": 40164, "errmsg": "no"}
        odd.answer = says(refused, refused, {"errcode": -1}, {"errcode": 45015, "errmsg": "about the fan"})
        state = MemoryState()
        here, there = [messenger_of(make_clients(odd.url, state)) for _ in range(2)]
        await here.deliver(SENDER, OPENID, TEXT)
        # Refused again, and trouble that says nothing about the account: it rests, and is probed by one again.
        for rest in (30, 5):
            assert [await one.admit(SENDER) for one in (here, there)][1] > 1
            clock.advance(seconds=30)
            assert [await one.admit(SENDER) for one in (here, there, here)] == [0, 1, 1]
            delivery = await here.deliver(SENDER, OPENID, TEXT)
            assert (delivery.outcome, delivery.retry_after) == (Outcome.RETRY, rest)
            assert [await one.admit(SENDER) for one in (here, there)] == [rest, rest]
        clock.advance(seconds=30)
        assert await there.admit(SENDER) == 0
        # What the platform says of a fan or a message it says for an account that it lets through.
        assert (await there.deliver(SENDER, OPENID, TEXT)).outcome is Outcome.REFUSED
        assert [await one.admit(SENDER) for one in (here, there, here)] == [0, 0, 0]
        assert odd.paths == [CUSTOM_SEND] * 4

    async def test_a_probe_that_is_never_answered_gives_way_to_the_next(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock
    ) -> None:
        odd.answer = says({"errcode": 40164, "errmsg": "no"}, {"errcode": 0})
        state = MemoryState(lambda: clock.now().timestamp())
        dead, alive = [messenger_of(make_clients(odd.url, state)) for _ in range(2)]
        await dead.deliver(SENDER, OPENID, TEXT)
        clock.advance(seconds=30)
        assert [await one.admit(SENDER) for one in (dead, alive)] == [0, 1]
        clock.advance(seconds=19)
        assert await alive.admit(SENDER) == 1
        clock.advance(seconds=1)
        assert [await one.admit(SENDER) for one in (alive, alive)] == [0, 1]
        assert (await alive.deliver(SENDER, OPENID, TEXT)).outcome is Outcome.SENT
        assert [await alive.admit(SENDER) for _ in range(3)] == [0, 0, 0]

    async def test_without_redis_each_process_probes_for_itself(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock, unused_tcp_port: int
    ) -> None:
        odd.answer = says({"errcode": 40164, "errmsg": "no"}, {"errcode": 0})
        state = RedisState(f"redis://127.0.0.1:{unused_tcp_port}/0")
        messenger = messenger_of(make_clients(odd.url, state))
        await messenger.deliver(SENDER, OPENID, TEXT)
        assert await messenger.admit(SENDER) == 30
        clock.advance(seconds=30)
        assert [await messenger.admit(SENDER) for _ in range(2)] == [0, 1]
        await messenger.deliver(SENDER, OPENID, TEXT)
        assert [await messenger.admit(SENDER) for _ in range(2)] == [0, 0]
        await state.close()

    async def test_a_spent_minute_does_not_shorten_a_spent_day(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock
    ) -> None:
        odd.answer = says({"errcode": 45009, "errmsg": "day"}, {"errcode": 45011, "errmsg": "minute"})
        messenger = messenger_of(make_clients(odd.url))
        for _ in range(2):  # under way at the same time
            await messenger.deliver(SENDER, OPENID, TEXT)
        clock.advance(minutes=1)
        assert await messenger.admit(SENDER) == HALF_A_DAY - 60

    async def test_without_redis_a_spent_minute_stops_this_process(
        self, odd: OddServer, make_clients: MakeClients, unused_tcp_port: int
    ) -> None:
        odd.answer = says({"errcode": 45011, "errmsg": "no"})
        state = RedisState(f"redis://127.0.0.1:{unused_tcp_port}/0")
        messenger = messenger_of(make_clients(odd.url, state))
        await messenger.deliver(SENDER, OPENID, TEXT)
        assert await messenger.admit(SENDER) == 60
        await state.close()

    async def test_a_refusal_that_a_person_must_mend_is_told_once_in_ten_minutes_and_counted_each_time(
        self, odd: OddServer, make_clients: MakeClients, clock: ManualClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        watching = Watching()
        messenger = messenger_of(make_clients(odd.url, observer=watching))
        other = Sender(2, "service", "wx2", "5ec3e7")

        async def told(errcode: int, sender: Sender = SENDER) -> list[str]:
            odd.answer = says({"errcode": errcode, "errmsg": f"not for {OPENID} of 192.0.2.7"})
            await messenger.deliver(sender, OPENID, TEXT)
            lines = capsys.readouterr().out.splitlines()
            assert all("error" in line and "WeChat refuses until somebody acts" in line for line in lines)
            assert not any(word in line for line in lines for word in (OPENID, "192.0.2.7", "积分", SENDER.secret))
            return [" ".join(re.findall(r"\w+=\w+", line)) for line in lines]

        assert await told(40164) == ["account=1 errcode=40164"]
        assert await told(40164) == []
        assert await told(48001) == ["account=1 errcode=48001"]
        assert await told(40164, other) == ["account=2 errcode=40164"]
        assert [await told(errcode) for errcode in (45015, 45002, 45011, 99999)] == [[]] * 4
        clock.advance(minutes=10, seconds=-1)
        assert await told(40164) == []
        clock.advance(seconds=1)
        assert await told(40164) == ["account=1 errcode=40164"]
        assert watching.alerts == [(1, 40164), (1, 40164), (1, 48001), (2, 40164), (1, 40164), (1, 40164)]

    async def test_a_message_id_is_kept(self, odd: OddServer, make_clients: MakeClients) -> None:
        odd.answer = says({"errcode": 0, "msgid": 4_000_000_000})
        delivery = await messenger_of(make_clients(odd.url)).deliver(SENDER, OPENID, TEXT)
        assert delivery == Delivery(Outcome.SENT, 0, platform_id="4000000000")

    async def test_nobody_there_is_a_retry(self, make_clients: MakeClients, unused_tcp_port: int) -> None:
        messenger = messenger_of(make_clients(f"http://127.0.0.1:{unused_tcp_port}"))
        delivery = await messenger.deliver(SENDER, OPENID, TEXT)
        assert (delivery.outcome, delivery.code, delivery.retry_after) == (Outcome.RETRY, None, 5.0)

    async def test_a_token_that_cannot_be_had_means_nothing_was_sent(
        self, wechat: SimulatorServer, account: Account, fan: Thread, make_clients: MakeClients
    ) -> None:
        wechat.wechat.faults.add_api(path=STABLE_TOKEN, drop="after", times=None)
        delivery = await messenger_of(make_clients(wechat.url)).deliver(sender_of(account), fan.openid, TEXT)
        assert (delivery.outcome, delivery.retry_after) == (Outcome.RETRY, 5.0)
        assert fan.messages == []

    async def test_a_wrong_address_is_a_retry(self, odd: OddServer, make_clients: MakeClients) -> None:
        async def not_found(_: web.Request) -> web.StreamResponse:
            return web.Response(status=404)

        odd.answer = not_found
        delivery = await messenger_of(make_clients(odd.url)).deliver(SENDER, OPENID, TEXT)
        assert (delivery.outcome, delivery.retry_after) == (Outcome.RETRY, 60.0)

    async def test_sends_of_an_account_keep_to_its_rate(
        self, odd: OddServer, make_clients: MakeClients, naps: Naps
    ) -> None:
        clients = make_clients(odd.url)
        messenger = WeChatMessenger(clients, rate=0.1, burst=2, patience=15, sleep=naps)
        places = [await messenger.admit(SENDER) for _ in range(4)]
        assert places == [0, 0, 0, pytest.approx(20, abs=1)]
        assert naps.taken == [pytest.approx(10, abs=1)]
        assert await messenger.admit(Sender(2, "service", "wx2", "s")) == 0

    async def test_without_redis_messages_go_out_at_the_rate_of_this_process(
        self, odd: OddServer, make_clients: MakeClients, unused_tcp_port: int
    ) -> None:
        state = RedisState(f"redis://127.0.0.1:{unused_tcp_port}/0")
        messenger = WeChatMessenger(make_clients(odd.url, state), rate=0.1, burst=1, patience=0)
        assert await messenger.admit(SENDER) == 0
        assert await messenger.admit(SENDER) == pytest.approx(10, abs=1)
        odd.answer = hang_up
        await state.close()


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (datetime(2026, 3, 9, 4, 0, tzinfo=UTC), 12 * 3600),
        (datetime(2026, 3, 9, 15, 59, 59, tzinfo=UTC), 1),
        (datetime(2026, 3, 9, 16, 0, tzinfo=UTC), 24 * 3600),
    ],
)
def test_until_midnight_in_shanghai(now: datetime, seconds: float) -> None:
    assert until_midnight(now) == seconds
