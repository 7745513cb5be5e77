"""The demo as `make demo` starts it: its people reach each other, and each text is answered by whom it is due to."""

import csv
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tortoise.context import TortoiseContext

from app import demo_data
from handlers.preferences import ASK_INTEREST
from kit.clock import SystemClock
from kit.ids import key_of
from scrm import db as scrm_db
from scrm.assistant import phrases
from scrm.conversations import closing, desk, lines, words
from scrm.replies import service as replies
from scrm.staff.queries import staff_by_login
from tests.conftest import free_port
from tests.e2e.processes import Fensi, until

pytestmark = pytest.mark.e2e


@dataclass
class Demo:
    """A running demo, and its phone."""

    fensi: Fensi
    ports: dict[str, str]
    http: aiohttp.ClientSession

    async def start(self) -> None:
        process = await self.fensi.start("demo", settings=self.ports)
        await process.said("按 Ctrl-C 停止")

    async def stop(self) -> None:
        """Ctrl-C."""
        demo = self.fensi.processes[-1]
        demo.tell(signal.SIGINT)
        assert await demo.ended() == 0

    async def call(self, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.ports['simulator_port']}/{path}"
        async with self.http.request("GET" if body is None else "POST", url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def people(self) -> dict[str, str]:
        return {one["nickname"]: one["id"] for one in await self.call("sim/fans")}


@dataclass
class Phone:
    """One of the demo's people at the tea house's chat."""

    demo: Demo
    thread: str

    async def says(self, text: str) -> str:
        """Write, and return the one answer, whether it came at once or later."""
        before = len(await self.heard())
        done = await self.demo.call(f"{self.thread}/text", {"content": text})
        assert done["push"]["outcome"] in {"replied", "success"}

        async def told() -> bool:
            return len(await self.heard()) > before

        await until(told, what=f"an answer to {text}")
        (answer,) = (await self.heard())[before:]
        return answer

    async def tells(self, text: str) -> None:
        """Write something that only a person is to answer."""
        before = await self.heard()
        done = await self.demo.call(f"{self.thread}/text", {"content": text})
        assert done["push"]["outcome"] == "success"
        assert await self.heard() == before

    async def heard(self) -> list[str]:
        """Return what the account said, oldest first; pictures and cards as empty texts."""
        found = await self.demo.call(self.thread)
        said = [one for one in found["messages"] if one["from"] == "account"]
        return [one["content"].get("text", "") for one in said]


@pytest.fixture
async def demo(db: TortoiseContext, tmp_path: Path, database_url: str) -> AsyncIterator[Demo]:
    # What `serve` would use is of no use to the demo: neither this database nor this Redis answers.
    nowhere = free_port()
    fensi = Fensi(
        tmp_path,
        f"postgresql://postgres@127.0.0.1:{nowhere}/fensi",
        "http://127.0.0.1:9",
        redis_url=f"redis://127.0.0.1:{nowhere}/0",
        demo_database_url=database_url,
    )
    ports = {name: str(free_port()) for name in ("port", "worker_port", "simulator_port")}
    async with aiohttp.ClientSession() as http:
        try:
            yield Demo(fensi, ports, http)
        finally:
            await fensi.remove()


async def desk_rows() -> list[tuple[str, str, str, bool, int]]:
    """Return (who asked last, state, queue, whether put off, notes) of the open conversations, oldest first."""
    rows = await scrm_db.fetch(
        """
        SELECT c.last_line, c.state, c.skill, c.snoozed_until IS NOT NULL AS later,
               (SELECT count(*) FROM conversation_change k WHERE k.conversation_id = c.id AND k.kind = 'noted') AS notes
        FROM conversation c WHERE c.state <> 'closed' ORDER BY c.id
        """
    )
    return [(row["last_line"], row["state"], row["skill"], row["later"], row["notes"]) for row in rows]


async def nobody_waits() -> bool:
    return all(state != "waiting" for _, state, *_ in await desk_rows())


async def test_the_demo_its_desk_and_the_order_of_answers(demo: Demo) -> None:
    await demo.start()
    story = demo_data.read()
    appid = story["accounts"]["service"]["appid"]
    callers = story["desk"]["callers"]
    waiting = [
        (callers[0]["answered"], "staff", "", True, 1),
        (callers[1]["says"][-1], "waiting", "售后", False, 0),
        (callers[2]["says"][-1], "waiting", "", False, 0),
    ]
    assert await desk_rows() == waiting
    shifts = await scrm_db.fetch(
        "SELECT p.login, s.capacity, h.pattern, h.starts, h.ends FROM seat s JOIN staff p ON p.id = s.staff_id "
        "JOIN shift h ON h.staff_id = p.id ORDER BY p.login"
    )
    assert [tuple(row) for row in shifts] == [
        ("chen.qing", 0, "workdays", 540, 1080),
        ("li.na", 5, "daily", 0, 1440),
        ("wang.qiang", 3, "workdays", 540, 1080),
    ]
    people = await demo.people()
    answered = Phone(demo, f"phone/api/threads/{appid}/{people['何先生']}")
    await until(lambda: said(answered, callers[0]["answered"]), what="the answer of the staff arrives")

    assert await addresses(demo) == {f"http://127.0.0.1:{demo.ports['port']}"}
    await demo.stop()
    demo.ports["port"] = str(free_port())
    await demo.start()
    assert await addresses(demo) == {f"http://127.0.0.1:{demo.ports['port']}"}, "it moved, and all that names it"
    assert await demo.people() == people
    assert await desk_rows() == waiting, "a second start adds nothing"
    await answers_in_order(Phone(demo, f"phone/api/threads/{appid}/{people['小明']}"))


async def addresses(demo: Demo) -> set[str]:
    """Return every address of a server that the menu at the platform and the rules name."""
    rules = await scrm_db.fetch("SELECT reply::text FROM reply_rule")
    spoken = json.dumps([one["menu"] for one in await demo.call("sim/accounts")]) + "".join(
        one["reply"] for one in rules
    )
    return set(re.findall(r"http://[\w.]+:\d+", spoken))


async def said(phone: Phone, text: str) -> bool:
    return text in await phone.heard()


async def answers_in_order(ming: Phone) -> None:
    """A dialogue, a person, a rule, the knowledge, the model, a person: each stands before all that come after it."""
    await ming.demo.call(f"{ming.thread}/follow", {})
    known, asked, unknown = "会员等级有有效期吗？", "铜牌会员全场打几折", "宇宙到底有多大呀"
    # Each by whom it falls to when nobody stands before them. The first needs no model, and is not marked as one's.
    assert await ming.says(known) == f"{await answer_to(known)}\n\n来源：{known}"
    assert await ming.says(asked) == f"铜牌会员：全场 95 折，另享生日礼。\n\n来源：各等级会员权益\n{phrases.AI_MARK}"
    assert await ming.says(unknown) == phrases.UNSURE
    # A rule stands before knowledge and model.
    for text in (known, asked):
        await rule(text, "按规则回答")
        await until(partial(says_at_last, ming, text, "按规则回答"), what="the rule is in force")
    # A dialogue that is running takes what a rule would have answered; left, it takes nothing.
    assert await ming.says("兴趣") == ASK_INTEREST
    assert await ming.says(known) == "请回复 1 到 4 的数字，或回复“退出”。"
    assert await ming.says("取消") == "好的，已结束。想继续时回复“兴趣”即可。"
    assert await ming.says(known) == "按规则回答"
    # A person is asked for and there: nobody else says anything, whatever is written.
    li_na = await staff_by_login("li.na")
    assert li_na is not None
    await desk.heartbeat(staff_id=li_na.id, now=SystemClock().now())
    await until(nobody_waits, what="who came before is given to her")
    assert await ming.says("人工") == words.DEFAULTS["connected"]
    for text in (known, asked, unknown, "兴趣", "帮助"):
        await ming.tells(text)
    (row,) = await scrm_db.fetch("SELECT id, brand_id FROM conversation ORDER BY id DESC LIMIT 1")
    here: dict[str, Any] = {"conversation_id": row["id"], "brand_id": row["brand_id"], "staff_id": li_na.id}
    content = {"type": "text", "content": "我来看一下"}
    verdict = await lines.send_message(**here, key=key_of("answer"), content=content, now=SystemClock().now())
    assert verdict.allowed, verdict.reason
    await until(lambda: said(ming, "我来看一下"), what="the words of the staff arrive")
    assert await closing.close(**here, now=SystemClock().now())
    await until(lambda: said(ming, words.closing(asks_score=True, by_fan=False)), what="the closing words arrive")
    # Afterwards everybody answers again; whom the model leaves at a loss twice a person is given to.
    assert await ming.says("5") == words.thanks(5)
    assert await ming.says(known) == "按规则回答"
    assert await ming.says(unknown) == phrases.UNSURE
    await desk.leave(staff_id=li_na.id, now=SystemClock().now())
    assert (await ming.says(unknown)).startswith("正在为您转接人工客服")
    await ming.tells(known)


async def says_at_last(phone: Phone, text: str, wanted: str) -> bool:
    return await phone.says(text) == wanted


async def rule(text: str, answer: str) -> None:
    (account,) = await scrm_db.fetch("SELECT id FROM account WHERE kind = 'service'")
    reply = {"type": "text", "content": answer}
    await replies.set_rule(account_id=account["id"], match="exact", pattern=text, reply=reply, now=SystemClock().now())


async def answer_to(question: str) -> str:
    """Return what the demo's knowledge says to a question of its own."""
    with (demo_data.KNOWLEDGE / "faq.csv").open(newline="") as file:
        (answer,) = [row["answer"] for row in csv.DictReader(file) if row["question"] == question]
    return answer


async def test_a_demo_beside_a_simulator_of_its_folder_says_so_and_ends(demo: Demo) -> None:
    beside = await demo.fensi.start("demo", "simulate", "--port", str(free_port()), settings={})
    await beside.said("模拟微信已启动")
    code, said = await demo.fensi.run("demo", **demo.ports)
    assert code == 1
    assert "simulator.json 正由另一个模拟器使用" in said
    assert said.splitlines()[-1] == "the simulator did not start; it says why above"
    assert beside.alive
