"""What fans are told in a brand's own words, or an account's, and which texts are refused."""

from typing import Any

import pytest

from scrm.conversations import closing, desk, own_words, rota, service
from scrm.conversations.shifts import ShiftView
from scrm.conversations.words import DEFAULTS
from scrm.db import Transaction
from scrm.errors import Invalid, NotFound
from tests.conversations.office import Office, open_office, outbox
from tests.factories import at, make_account

HOUR = 3600


async def test_an_accounts_words_go_before_its_brands_and_those_before_the_usual(tx_db: Transaction) -> None:
    office = await open_office()
    second = Office(office.brand, await make_account(brand=await office.name()))
    await own_words.set_words(
        brand_id=office.brand, account_id=None, texts={"next": "稍等，茶马上来。", "queue": "前面还有{人数}位茶友。"}
    )
    for _ in range(2):
        await own_words.set_words(brand_id=office.brand, account_id=second.account, texts={"next": "二号店马上来。"})
    assert await rota.brand_texts(office.brand) == {"next": "稍等，茶马上来。", "queue": "前面还有{人数}位茶友。"}
    assert [one.texts for one in await rota.accounts(office.brand)] == [{}, {"next": "二号店马上来。"}]

    assert (await second.asks(await second.fan("人工"))).says == "二号店马上来。"
    assert (await office.asks(await office.fan("人工"), 1)).says == "前面还有1位茶友。"
    elsewhere = await open_office()
    assert (await elsewhere.asks(await elsewhere.fan("人工"))).says == DEFAULTS["next"]

    # What is empty is said as usual again.
    await own_words.set_words(brand_id=office.brand, account_id=None, texts={"queue": " "})
    assert await rota.brand_texts(office.brand) == {}
    assert (await office.asks(await office.fan("人工"), 2)).says == (
        "正在为您转接人工客服，前面还有 2 位，请稍候，您可以先描述问题。"
    )


async def test_outside_hours_and_at_the_end(tx_db: Transaction) -> None:
    office = await open_office()
    staff = await office.seat(0)
    await desk.set_shifts(brand_id=office.brand, staff_id=staff, shifts=[ShiftView(staff, "daily", 9 * 60, 18 * 60)])
    await own_words.set_words(
        brand_id=office.brand,
        account_id=None,
        texts={"outside": "打烊啦，{时间}前回复您。", "rating": "打个分吧，1 到 5。", "by_fan": "回到小茶。"},
    )
    # 19:00 in Shanghai.
    fan = await office.fan("人工", when=7 * HOUR)
    asked = await office.asks(fan, 7 * HOUR)
    assert asked.says == "打烊啦，明天 09:30 前回复您。"
    leaving = await office.fan("人工", when=7 * HOUR)
    await office.asks(leaving, 7 * HOUR)
    assert await closing.leave_queue(fan_id=leaving.id, now=at(7 * HOUR + 5))
    assert await outbox(leaving.id) == ["回到小茶。"]

    given: dict[str, Any] = {"conversation_id": asked.conversation_id, "brand_id": office.brand, "staff_id": staff}
    await service.pull(**given, now=at(8 * HOUR))
    assert (await office.says(asked.conversation_id, staff, when=8 * HOUR)).allowed
    await closing.close(**given, now=at(9 * HOUR))
    assert await outbox(fan.id) == ["您好", "打个分吧，1 到 5。"]


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"outside": "打烊啦"}, "texts.outside"),
        ({"queue": "请等一等"}, "texts.queue"),
        ({"connected": "您前面有{人数}位"}, "texts.connected"),
        ({"outside": "{时间}见，{昵称}"}, "texts.outside"),
        ({"closing": "再" * 601}, "texts.closing"),
        ({"hello": "您好"}, "texts"),
    ],
)
async def test_a_text_that_would_mislead_is_refused(tx_db: Transaction, texts: dict[str, str], field: str) -> None:
    office = await open_office()
    with pytest.raises(Invalid) as refused:
        await own_words.set_words(brand_id=office.brand, account_id=None, texts=texts)
    assert refused.value.field == field
    assert await rota.brand_texts(office.brand) == {}


async def test_another_brands_account_is_not_found(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    with pytest.raises(NotFound):
        await own_words.set_words(brand_id=office.brand, account_id=other.account, texts={"next": "马上"})
    assert [one.texts for one in await rota.accounts(other.brand)] == [{}]
