"""A fan deletes their account while the model is still writing: what it writes is neither kept nor said."""

import asyncio

import pytest
from tortoise.context import TortoiseContext

from kit.ids import key_of
from kit.seal import Sealer
from scrm import db as scrm_db
from scrm.access.leaving import delete_account
from scrm.assistant import answers, interest_questions, interests
from scrm.assistant.answers import Record
from scrm.assistant.interest_rules import Noticed
from scrm.errors import Conflict
from tests.assistant.conftest import Shop
from tests.bot.house import SECRET_KEY
from tests.factories import TEXT, at, happens, make_account, make_fan, value

SEALER = Sealer(SECRET_KEY)
RETURNS = "签收后 7 天内可以退货，商品需保持完好。运费由本店承担。"
WORD = "银针寿眉"


@pytest.mark.parametrize("budget", [4.5, 1.0], ids=["in time", "late"])
async def test_the_model_is_still_writing(shop: Shop, budget: float, capsys: pytest.CaptureFixture[str]) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", RETURNS)
    await shop.serve(budget=budget)
    shop.fault(delay=2.0)
    fan = await shop.fan()
    known = await shop.house.fan(shop.account, fan.openid(shop.at))
    assert known is not None
    before = len(fan.inbox(shop.at))
    asking = asyncio.create_task(fan.text(shop.at, "几天内可以退货"))
    async with asyncio.timeout(5):
        while not shop.calls():  # noqa: ASYNC110  # the model tells nobody
            await asyncio.sleep(0.02)
    assert await delete_account(SEALER, member_id=known.member_id, now=shop.clock.now()) is True
    assert (await asking).reply is None
    await shop.server.idle(30)
    assert await shop.records() == []
    assert len(fan.inbox(shop.at)) == before
    assert await shop.house.rows("SELECT 1 FROM outbox") == []
    # The brand pays for it all the same, and nobody is called to look for a fault.
    assert len(await shop.house.rows("SELECT 1 FROM assistant_call WHERE settled AND cost_micro > 0")) == 1
    assert "handler failed" not in capsys.readouterr().out


@pytest.mark.parametrize("head_start", [0, 3])
async def test_an_answer_and_the_erasure_at_once(db: TortoiseContext, head_start: int) -> None:
    """Whoever is first: an answer kept before is emptied, one that comes after is refused."""
    account = await make_account()
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", account)
    fans = [await make_fan(account) for _ in range(8)]

    async def answered(n: int) -> bool:
        await asyncio.sleep(0.001 * head_start * (n % 3))
        fan = fans[n]
        record = Record(
            key_of("push", n), row["brand_id"], account, fan.id, fan.member_id, "answered", WORD, at(5), written=WORD
        )
        try:
            await answers.keep(record)
        except Conflict:
            return False
        return True

    async def left(n: int) -> bool:
        await asyncio.sleep(0.001 * head_start * (n % 2))
        return await delete_account(SEALER, member_id=fans[n].member_id, now=at(5))

    ended = await asyncio.gather(*(work(n) for n in range(8) for work in (answered, left)))
    assert list(ended[1::2]) == [True] * 8
    assert await value("SELECT count(*) FROM assistant_answer") == ended[::2].count(True)
    assert await value("SELECT count(*) FROM assistant_answer WHERE said || written <> ''") == 0


async def test_an_answer_waits_for_an_erasure_that_is_under_way(db: TortoiseContext) -> None:
    account = await make_account()
    fan = await make_fan(account)
    (row,) = await scrm_db.fetch("SELECT brand_id FROM account WHERE id = $1", account)
    record = Record(key_of("p"), row["brand_id"], account, fan.id, fan.member_id, "answered", WORD, at(5))
    written = asyncio.Event()

    async def keep() -> None:
        await written.wait()
        await answers.keep(record)

    keeping = asyncio.create_task(keep())  # before the transaction begins, so that it has no part in it
    async with scrm_db.transaction():
        assert await delete_account(SEALER, member_id=fan.member_id, now=at(5)) is True
        written.set()
        await asyncio.sleep(0.2)
        assert not keeping.done()
    with pytest.raises(Conflict, match="账号已注销"):
        await keeping
    assert await value("SELECT count(*) FROM assistant_answer") == 0


async def test_what_the_model_found_in_a_text(db: TortoiseContext) -> None:
    account = await make_account()
    fans = [await make_fan(account) for _ in range(2)]
    for fan in fans:
        await happens(fan, TEXT, at(0), {"content": "有没有那种小小一壶的套装"})
    assert await interests.read_on(now=at(300), ask_model=True) is not None
    claimed = await interest_questions.claim(now=at(300))
    assert len(claimed) == 2
    await delete_account(SEALER, member_id=fans[0].member_id, now=at(301))
    for question, heard, _ in claimed:
        await interest_questions.conclude(question, heard, [Noticed("interest", "茶具", 0.5, "")], now=at(302))
    rows = await scrm_db.fetch("SELECT fan_id FROM event WHERE kind = $1", interests.INTEREST)
    assert [row["fan_id"] for row in rows] == [fans[1].id]
    assert await value("SELECT count(*) FROM interest_question") == 0
