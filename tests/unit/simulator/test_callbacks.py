"""Pushes as an account's server receives them, and what its answers lead to."""

import asyncio
import hashlib
import time
import warnings

import aiohttp
import pytest
from aiohttp import web

from simulator import wire
from simulator.callbacks import OUT_OF_SERVICE
from simulator.server import SimulatorServer
from simulator.world import Account

from .conftest import Push, Receiver

with warnings.catch_warnings():
    # wechatpy's parents warn about their own imports; nothing of it is under test.
    warnings.simplefilter("ignore")
    from wechatpy.crypto import WeChatCrypto


def reply_text(account: Account, openid: str, text: str) -> bytes:
    return wire.to_xml(
        {
            "ToUserName": openid,
            "FromUserName": account.username,
            "CreateTime": 1700000000,
            "MsgType": "text",
            "Content": text,
        }
    )


def answering(data: bytes, status: int = 200) -> object:
    async def answer(_: Push) -> web.Response:
        return web.Response(body=data, status=status)

    return answer


def lines(server: SimulatorServer, account: Account) -> list[str]:
    (thread,) = [t for t in server.world.threads.values() if t.appid == account.appid]
    return [m.content["text"] for m in thread.messages if m.sender == "system"]


async def test_a_plain_push_is_signed_and_complete(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    followed = await fan.follow(account)
    assert (followed.outcome, followed.attempts, followed.status) == ("success", 1, 200)
    await fan.text(account, "a]]>b <&> 花")
    subscribe, text = receiver.pushes
    for push in (subscribe, text):
        parts = sorted([account.token, push.query["timestamp"], push.query["nonce"]])
        assert push.query["signature"] == hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
        assert push.query["openid"] == fan.openid(account)
        assert set(push.query) == {"signature", "timestamp", "nonce", "openid"}
        assert abs(int(push.query["timestamp"]) - time.time()) < 5
        assert push.headers["Content-Type"] == "text/xml"
    assert wire.from_xml(subscribe.raw) == {
        "ToUserName": account.username,
        "FromUserName": fan.openid(account),
        "CreateTime": wire.from_xml(subscribe.raw)["CreateTime"],
        "MsgType": "event",
        "Event": "subscribe",
        "EventKey": "",
    }
    body = wire.from_xml(text.raw)
    assert body["Content"] == "a]]>b <&> 花"
    assert body["MsgId"].isdigit()
    assert 2**53 < int(body["MsgId"]) < 2**63 or int(body["MsgId"]) > 10**16


@pytest.mark.parametrize("mode", ["safe", "compatible"])
async def test_wechatpy_reads_our_pushes_and_we_read_its_replies(
    server: SimulatorServer, receiver: Receiver, account: Account, mode: str
) -> None:
    account.mode = mode  # type: ignore[assignment]
    fan = server.fan()
    await fan.follow(account)
    crypto = WeChatCrypto(account.token, account.aes_key, account.appid)
    opened: list[str] = []

    async def answer(push: Push) -> web.Response:
        q = push.query
        assert q["encrypt_type"] == "aes"
        opened.append(crypto.decrypt_message(push.raw.decode(), q["msg_signature"], q["timestamp"], q["nonce"]))
        plain = reply_text(account, fan.openid(account), "收到，谢谢").decode()
        return web.Response(text=crypto.encrypt_message(plain, q["nonce"], q["timestamp"]))

    receiver.answer = answer
    done = await fan.text(account, "在吗")
    assert (done.outcome, done.detail) == ("replied", "")
    assert done.reply is not None
    assert done.reply["Content"] == "收到，谢谢"
    assert wire.from_xml(opened[0].encode())["Content"] == "在吗"
    clear = wire.from_xml(receiver.pushes[-1].raw)
    assert clear.get("Content") == ("在吗" if mode == "compatible" else None)
    assert [m.content for m in fan.inbox(account)] == [{"text": "收到，谢谢"}]


async def test_a_silent_server_is_asked_three_times_then_the_fan_is_told(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    server.wechat.callbacks.timing.attempt_timeout = 0.2
    receiver.pushes.clear()
    release = asyncio.Event()

    async def answer(_: Push) -> web.Response:
        await release.wait()
        return web.Response(text="success")

    receiver.answer = answer
    done = await fan.text(account, "喂")
    release.set()
    assert (done.outcome, done.attempts, done.status, done.detail) == ("failed", 3, None, "超时")
    assert done.ms >= 600
    ids = {wire.from_xml(p.raw)["MsgId"] for p in receiver.pushes}
    assert (len(receiver.pushes), len(ids)) == (3, 1)
    assert len({p.query["nonce"] for p in receiver.pushes}) == 3
    assert len({p.query["signature"] for p in receiver.pushes}) == 3
    assert lines(server, account) == ["你已关注", OUT_OF_SERVICE]


async def test_an_answer_to_the_second_attempt_counts(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    statuses = iter([500, 200])

    async def answer(_: Push) -> web.Response:
        return web.Response(status=next(statuses), text="")

    receiver.answer = answer
    done = await fan.text(account, "喂")
    assert (done.outcome, done.attempts, done.status, done.detail) == ("empty", 2, 200, "")
    assert [a.status for a in server.wechat.callbacks.log] == [200, 500, 200]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("<xml><a></xml>", "XML 格式不正确"),
        ('{"errcode":0}', "XML 格式不正确"),
        ('<!DOCTYPE xml [<!ENTITY a "b">]><xml><ToUserName>&a;</ToUserName></xml>', "XML 中不允许 DOCTYPE"),
        ("<xml><ToUserName>other</ToUserName></xml>", "ToUserName"),
        ("TEXT", "Content 不能为空"),
        ("LONG", "Content 超过 2048 字节"),
    ],
)
async def test_a_bad_reply_is_final(
    server: SimulatorServer, receiver: Receiver, account: Account, body: str, detail: str
) -> None:
    fan = server.fan()
    await fan.follow(account)
    openid = fan.openid(account)
    made = {"TEXT": reply_text(account, openid, ""), "LONG": reply_text(account, openid, "花" * 683)}
    receiver.answer = answering(made.get(body, body.encode()))  # type: ignore[assignment]
    done = await fan.text(account, "喂")
    assert (done.outcome, done.attempts) == ("failed", 1)
    assert done.detail.startswith(detail)
    assert lines(server, account) == ["你已关注", OUT_OF_SERVICE]


async def test_a_clear_reply_in_safe_mode_is_refused(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    account.mode = "safe"
    fan = server.fan()
    await fan.follow(account)
    receiver.answer = answering(reply_text(account, fan.openid(account), "hi"))  # type: ignore[assignment]
    done = await fan.text(account, "喂")
    assert (done.outcome, done.detail) == ("failed", "加密的答复缺少 Encrypt")


async def test_a_forged_msg_signature_is_refused(server: SimulatorServer, receiver: Receiver, account: Account) -> None:
    account.mode = "safe"
    fan = server.fan()
    await fan.follow(account)
    sealed = wire.encrypt(account.aes_key, account.appid, b"<xml></xml>", b"0" * 16)
    forged = {"Encrypt": sealed, "MsgSignature": "0" * 40, "TimeStamp": 1, "Nonce": "n"}
    receiver.answer = answering(wire.to_xml(forged))  # type: ignore[assignment]
    assert (await fan.text(account, "喂")).detail == "MsgSignature 不正确"


async def test_markfail_silences_pushes_for_a_minute(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    receiver.answer = answering(b"", 500)  # type: ignore[assignment]
    for _ in range(5):
        assert (await fan.text(account, "喂")).attempts == 3
    receiver.answer = None
    silenced = await fan.text(account, "还在吗")
    assert (silenced.outcome, silenced.attempts, silenced.detail) == ("failed", 0, "MarkFail")
    server.world.clock.advance(61)
    assert (await fan.text(account, "好了吗")).outcome == "success"
    assert lines(server, account) == ["你已关注", *[OUT_OF_SERVICE] * 5]


async def test_without_a_server_nothing_is_pushed(server: SimulatorServer) -> None:
    account = server.world.add_account("service", name="空")
    done = await server.fan().follow(account)
    assert (done.outcome, done.attempts) == ("not_connected", 0)


async def test_an_unreachable_server_is_tried_three_times(server: SimulatorServer) -> None:
    # Port 9 (discard) is closed on every machine that tests run on.
    account = server.world.add_account("service", name="关门", callback_url="http://127.0.0.1:9/wechat")
    done = await server.fan().follow(account)
    assert (done.outcome, done.attempts, done.status) == ("failed", 3, None)
    assert lines(server, account) == ["你已关注", OUT_OF_SERVICE]


async def test_json_pushes_and_replies(server: SimulatorServer, receiver: Receiver) -> None:
    mini = server.world.add_account("miniprogram", name="商城", callback_url=receiver.url, mode="safe", format="json")
    fan = server.fan()

    async def answer(push: Push) -> web.Response:
        body = wire.from_json(push.raw)
        assert set(body) == {"ToUserName", "Encrypt"}
        plain = wire.from_json(wire.decrypt(mini.aes_key, mini.appid, body["Encrypt"]))
        assert (plain["MsgType"], plain["Content"]) == ("text", "转人工")
        assert isinstance(plain["MsgId"], int)
        reply = {
            "ToUserName": plain["FromUserName"],
            "FromUserName": plain["ToUserName"],
            "CreateTime": 1,
            "MsgType": "transfer_customer_service",
        }
        sealed = wire.encrypt(mini.aes_key, mini.appid, wire.to_json(reply), b"1" * 16)
        sign = wire.signature(mini.token, "1", push.query["nonce"], sealed)
        envelope = {
            "Encrypt": sealed,
            "MsgSignature": sign,
            "TimeStamp": 1,
            "Nonce": push.query["nonce"],
        }
        return web.Response(body=wire.to_json(envelope))

    receiver.answer = answer
    done = await fan.text(mini, "转人工")
    assert (done.outcome, done.detail) == ("replied", "")
    assert lines(server, mini) == ["正在为你转接人工客服"]


async def test_faults_duplicate_a_push_and_throw_answers_away(
    server: SimulatorServer, receiver: Receiver, account: Account
) -> None:
    fan = server.fan()
    await fan.follow(account)
    receiver.pushes.clear()
    server.wechat.faults.add_callback(copies=(3, 3), urls=[receiver.url, receiver.url + "?second=1"])
    done = await fan.text(account, "三次")
    assert (done.outcome, len(done.copies), len(receiver.pushes)) == ("success", 3, 3)
    assert len({wire.from_xml(p.raw)["MsgId"] for p in receiver.pushes}) == 1
    server.wechat.faults.add_callback(drop_responses=1)
    again = await fan.text(account, "丢一次")
    assert (again.outcome, again.attempts) == ("success", 2)
    assert (await fan.text(account, "照常")).attempts == 1


async def test_a_fault_drops_a_push_altogether(
    server: SimulatorServer, receiver: Receiver, account: Account, session: aiohttp.ClientSession
) -> None:
    fan = server.fan()
    await fan.follow(account)
    receiver.pushes.clear()
    fault = {"kind": "callback", "copies": [0, 0], "times": 6}
    async with session.post(server.url + "/sim/faults", json=fault) as answer:
        assert (answer.status, (await answer.json())["copies"]) == (200, [0, 0])
    for _ in range(6):  # more than MarkFail allows: the server did nothing wrong
        done = await fan.text(account, "丢了")
        assert (done.outcome, done.attempts, done.detail) == ("failed", 0, "推送被丢弃")
    assert receiver.pushes == []
    assert (await fan.text(account, "照常")).outcome == "success"
    assert [wire.from_xml(p.raw)["Content"] for p in receiver.pushes] == ["照常"]
    assert lines(server, account) == ["你已关注"]
    for wrong in ([-1, 1], [2, 1], [0, 10**9], [0], "0"):
        async with session.post(server.url + "/sim/faults", json={"kind": "callback", "copies": wrong}) as answer:
            assert (answer.status, (await answer.json())["field"]) == (400, "copies")


async def test_a_fault_drops_some_pushes(server: SimulatorServer, receiver: Receiver, account: Account) -> None:
    fan = server.fan()
    await fan.follow(account)
    receiver.pushes.clear()
    server.world.rng.seed(7)
    server.wechat.faults.add_callback(copies=(0, 1), times=None)
    outcomes = [(await fan.text(account, "也许")).outcome for _ in range(20)]
    assert set(outcomes) == {"success", "failed"}
    assert len(receiver.pushes) == outcomes.count("success")


async def test_jitter_reorders_pushes(server: SimulatorServer, receiver: Receiver, account: Account) -> None:
    fan = server.fan()
    await fan.follow(account)
    server.world.rng.seed(7)
    server.wechat.faults.add_callback(jitter=0.2, times=None)
    await asyncio.gather(*(fan.text(account, str(i)) for i in range(8)))
    order = [wire.from_xml(p.raw)["Content"] for p in receiver.pushes[1:]]
    assert sorted(order) == [str(i) for i in range(8)]
    assert order != sorted(order)


async def test_server_verification(server: SimulatorServer, receiver: Receiver, account: Account) -> None:
    assert await server.wechat.callbacks.verify(account) is True
    receiver.echo = False
    assert await server.wechat.callbacks.verify(account) is False
