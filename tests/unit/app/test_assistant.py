"""The assistant as a process composes it: the model of the settings, WeChat's moderation, doctor's word on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from app.assistant import Moderation, endpoint_of
from app.doctor import examine
from app.services import Services, services
from app.settings import Settings
from gateways.wechat.errors import WeChatError
from kit.clock import SystemClock
from kit.ids import key_of
from kit.seal import Sealer
from scrm.accounts.service import add
from scrm.assistant.answering import Question
from scrm.db import transaction
from scrm.members import queries as members
from scrm.members.service import ENSURE_FANS
from simulator.llm import CHAT, EMBEDDINGS
from simulator.server import SimulatorServer
from simulator.testing import running

KEY = "the key of the assistant's tests"
NONE: dict[str, Any] = {"_env_file": None, "secret_key": KEY}


@dataclass
class Place:
    """An installation beside a simulator, which also has the model."""

    url: str
    wechat: SimulatorServer
    folder: Path

    def settings(self, **given: Any) -> Settings:
        model = {"llm_base_url": f"{self.wechat.url}/v1", "llm_model": "a-model", "llm_api_key": "sk-of-this-place"}
        base = {"var": self.folder, "database_url": self.url, "wechat_url": self.wechat.url}
        return Settings(**(NONE | base | model | given))

    @asynccontextmanager
    async def opened(self, **given: Any) -> AsyncIterator[Services]:
        async with services(self.settings(**given), self.url) as opened:
            yield opened

    async def said(self, **given: Any) -> tuple[bool, str]:
        """Return doctor's line about the model."""
        found = await examine(self.settings(**given), self.url)
        (line,) = [one for one in found if "language model" in one.text or "FENSI_LLM" in one.text]
        return line.fine, line.text


@pytest.fixture
async def place(db: TortoiseContext, database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with running() as wechat:
        yield Place(database_url, wechat, tmp_path)


def test_a_model_needs_an_address_and_a_name() -> None:
    assert endpoint_of(Settings(**NONE)) is None
    assert endpoint_of(Settings(**NONE, llm_base_url="http://x/v1")) is None
    assert endpoint_of(Settings(**NONE, llm_base_url="", llm_model="")) is None
    endpoint = endpoint_of(Settings(**NONE, llm_base_url="http://x/v1/", llm_model="m", llm_api_key="sk-1"))
    assert endpoint is not None
    assert (endpoint.base_url, endpoint.model, endpoint.embedding_model) == ("http://x/v1", "m", None)
    assert "sk-1" not in repr(endpoint)
    assert "sk-1" not in repr(Settings(**NONE, llm_api_key="sk-1"))


async def test_without_a_model_and_knowledge_nobody_is_served(place: Place) -> None:
    async with place.opened(llm_base_url=None) as opened:
        assert opened.model is None
        assert opened.parts.assistant is not None
        assert not opened.parts.assistant.serves(1)


async def test_with_a_model_every_brand_is_served(place: Place) -> None:
    async with place.opened() as opened:
        assert opened.parts.assistant is not None
        assert opened.parts.assistant.serves(1)
        assert opened.model is not None
        assert (opened.model.name, opened.model.embeds) == ("a-model", False)


async def test_what_doctor_says(place: Place) -> None:
    assert await place.said() == (True, "the language model a-model answers")
    assert await place.said(llm_embedding_model="vectors") == (True, "the language model a-model answers")
    assert len(list(place.wechat.wechat.quotas.made(EMBEDDINGS))) == 1
    place.wechat.wechat.faults.add_api(path=CHAT, status=401, times=None)
    fine, line = await place.said()
    assert (fine, line) == (False, "FENSI_LLM_BASE_URL: the language model does not answer: refused, HTTP 401")
    assert (await place.said(llm_model=None))[0] is False
    assert (await place.said(llm_base_url=None, llm_model=None))[0] is True


@pytest.mark.parametrize(
    ("kind", "text", "judged"),
    [
        ("service", "赌博", True),  # the interface knows no followers: banned words have to do
        ("miniprogram", "您好", True),
        ("miniprogram", "来赌博吧", False),
        ("miniprogram", "加微信", False),
    ],
)
async def test_wechat_judges_what_goes_to_a_mini_programs_user(
    place: Place, kind: str, text: str, judged: bool
) -> None:
    async with place.opened() as opened:
        question, moderate = await _question(place, opened, kind)
        assert await moderate(question, text) is judged


async def test_somebody_who_was_not_there_lately_cannot_be_judged_and_trouble_is_told(place: Place) -> None:
    async with place.opened() as opened:
        question, moderate = await _question(place, opened, "miniprogram")
        place.wechat.world.clock.advance(3 * 3600)
        assert await moderate(question, "来赌博吧")
        place.wechat.wechat.faults.add_api(path="/wxa/msg_sec_check", errcode=48001)
        with pytest.raises(WeChatError):
            await moderate(question, "您好")


async def _question(place: Place, opened: Services, kind: str) -> tuple[Question, Moderation]:
    now = SystemClock().now()
    at = place.wechat.world.add_account(kind, appid="wxm", secret="s3cr3t0fours")  # type: ignore[arg-type]  # the cases
    account_id = await add(
        Sealer(KEY),
        kind=kind,
        name="号",
        appid="wxm",
        secret="s3cr3t0fours",
        token="callbacktoken",
        aes_key=None,
        now=now,
    )
    person = place.wechat.fan()
    thread = person.thread(at)
    thread.last_seen = place.wechat.world.clock.time()
    async with transaction() as tx:
        await tx.connection.execute(ENSURE_FANS, [account_id], [thread.openid], now)
    fan = await members.fan_of(account_id, thread.openid)
    assert fan is not None
    await opened.directory.refresh()
    moderate = Moderation(opened.clients, lambda wanted: opened.directory.accounts().get(wanted))
    return Question(key_of("q"), 1, "号", account_id, fan.id, fan.member_id, "问", now), moderate
