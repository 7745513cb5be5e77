"""Pictures in the inbox: given to WeChat and taken from it, also when its answer lacks what it must have."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from console.surface import COOKIE, CSRF_HEADER
from kit.clock import ManualClock
from simulator import world as sim
from simulator.clock import Clock
from simulator.faults import Faults
from simulator.testing import running
from tests.bot.house import AES_KEY, TOKEN
from tests.console.conftest import Answer, Browser
from tests.console.shop import Shop
from tests.console.test_accounts import office_at

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@dataclass
class Chat:
    """A conversation that an agent has, at an account that WeChat knows."""

    agent: Browser
    path: str
    faults: Faults

    async def upload(self, picture: bytes = PNG) -> Answer:
        headers = {CSRF_HEADER: self.agent.csrf, "Cookie": f"{COOKIE}={self.agent.cookie}"}
        url = f"{self.agent.office.address}{self.path}/images"
        async with self.agent.office.http.post(url, data=picture, headers=headers) as answer:
            return Answer(answer.status, await answer.json(), answer.headers)


@pytest.fixture
async def chat(database_url: str, clock: ManualClock) -> AsyncIterator[Chat]:
    world = sim.World(clock=Clock(lambda: clock.now().timestamp()))
    async with running(world) as wechat, office_at(database_url, clock, wechat.url) as (office, account):
        world.add_account("service", appid=account.appid, secret="appsecret", token=TOKEN, aes_key=AES_KEY)
        (row,) = await office.rows("SELECT brand_id FROM account WHERE id = $1", account.id)
        shop = Shop(office, account.id, row["brand_id"])
        agent = await shop.agent()
        _, conversation = await shop.waiting()
        await agent.post("/inbox/presence", {"brand": shop.brand})
        yield Chat(agent, f"/inbox/{conversation}", wechat.wechat.faults)


async def test_a_picture_is_kept_by_wechat_and_shown(chat: Chat) -> None:
    uploaded = await chat.upload()
    assert uploaded.status == 200, uploaded
    shown = await chat.agent.get(f"{chat.path}/media?media_id={uploaded.body['media_id']}")
    assert (shown.status, base64.b64decode(shown.body["data"])) == (200, PNG)
    assert (await chat.upload(b"GIF7")).said == (422, "invalid")


async def test_an_answer_without_a_picture_is_a_sentence_and_may_be_tried_again(chat: Chat) -> None:
    chat.faults.add_api(path="/cgi-bin/media/upload", errcode=0)
    answer = await chat.upload()
    assert (answer.status, answer.body["title"]) == (503, "图片没有传到微信，请重试")
    media_id = (await chat.upload()).body["media_id"]
    chat.faults.add_api(path="/cgi-bin/media/get", errcode=0)
    url = f"{chat.agent.office.address}{chat.path}/media?media_id={media_id}"
    async with chat.agent.office.http.get(url, headers={"Cookie": f"{COOKIE}={chat.agent.cookie}"}) as shown:
        assert (shown.status, (await shown.json())["title"]) == (503, "暂时取不到图片，请重试")
    assert (await chat.agent.get(f"{chat.path}/media?media_id={media_id}")).status == 200
