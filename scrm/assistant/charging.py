"""Asking the model at a brand's expense: reserved before, asked outside of any transaction, settled after."""

from collections.abc import Sequence

from kit.chat import ChatModel, Completion, ModelAway, ModelBusy, ModelRefused, Offer, Turn, tokens_at_most
from scrm.assistant import budgets
from scrm.assistant.tools import Asker


async def charged(
    model: ChatModel,
    turns: Sequence[Turn],
    *,
    offers: Sequence[Offer],
    seconds: float,
    purpose: budgets.Purpose,
    asker: Asker,
    tokens_out: int,
) -> Completion:
    """Ask the model at the brand's expense: reserved before, settled after. Raises OverBudget and ModelFailure."""
    most_in = tokens_at_most(*(turn.content for turn in turns), *(f"{offer}" for offer in offers))
    reserved = await budgets.reserve(
        brand_id=asker.brand_id,
        member_id=asker.member_id,
        purpose=purpose,
        tokens=most_in + tokens_out,
        cost_micro=model.price(most_in, tokens_out),
        budgets=asker.settings.budgets,
        now=asker.now,
    )
    try:
        said = await model.chat(turns, tools=offers, max_tokens=tokens_out, seconds=seconds)
    except (ModelAway, ModelBusy, ModelRefused):
        # Surely nothing was written. After any other failure nobody knows what is on the bill.
        await budgets.settle(reserved, tokens=0, cost_micro=0)
        raise
    await budgets.settle(reserved, tokens=said.tokens_in + said.tokens_out, cost_micro=said.cost_micro)
    return said
