"""A call that was turned away costs nothing: a rush of questions must not spend the brand's day on none of them."""

import asyncio

from gateways.llm.client import Endpoint, LLMClient
from kit.chat import Completion, ModelBusy, Turn
from kit.clock import natural_day
from scrm.assistant.budgets import Usage, used
from scrm.assistant.charging import charged
from scrm.assistant.settings import DEFAULTS
from scrm.assistant.tools import Asker
from tests.assistant.conftest import KEY, Shop

ASKED = [Turn("system", "只回复“我不确定”"), Turn("user", "<question>几天内可以退货</question>")]


async def ask(shop: Shop, model: LLMClient, member_id: int = 7) -> Completion:
    asker = Asker(shop.brand_id, shop.account.id, 1, member_id, DEFAULTS, shop.clock.now())
    return await charged(model, ASKED, offers=(), seconds=10, purpose="answers", asker=asker, tokens_out=600)


async def test_by_the_provider(shop: Shop) -> None:
    shop.fault(status=429)
    outcomes = await asyncio.gather(ask(shop, shop.model), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelBusy]
    assert await used(shop.brand_id, natural_day(shop.clock.now())) == Usage(calls=1)


async def test_by_ourselves_before_anything_was_sent(shop: Shop) -> None:
    shop.fault(delay=0.3)
    model = LLMClient(Endpoint(f"{shop.wechat.url}/v1", "a-model", KEY), concurrency=1)
    await model.open()
    outcomes = await asyncio.gather(*(ask(shop, model, n) for n in range(1, 7)), return_exceptions=True)
    await model.close()
    answered = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    assert [type(outcome) for outcome in outcomes if outcome not in answered] == [ModelBusy] * 4
    tokens = sum(one.tokens_in + one.tokens_out for one in answered)
    assert await used(shop.brand_id, natural_day(shop.clock.now())) == Usage(calls=6, tokens=tokens)
