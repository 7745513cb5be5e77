"""A purchase: so much per 10 元, 15 natural days after the receipt, for what was not returned (mission A065, A072).

The amount is floored per order. A return leaves what an order of the remaining amount would have earned: so a partial
return costs its share, returns in any order and number come to the same, and 10.00 元 is the first that earns. An
open return puts the payment off until it is closed or done (ruling 1 of mission A23).
"""

from pydantic import Field

from kit.workdays import natural_days_after
from scrm.errors import Invalid
from scrm.points.plans import Earned, Facts, Give, Hold, Keep, Kind, Revised, Rule, Settings, register


class PurchaseSettings(Settings):
    """`fen_per_unit` earns the rule's points and growth once; `days` pass between receipt and payment."""

    fen_per_unit: int = Field(1000, gt=0, le=1_000_000_000)
    days: int = Field(15, ge=0, le=365)


def _subject(facts: Facts) -> str:
    return f"order:{facts.text('order')}"


def _worth(rule: Rule, fen: int) -> dict[str, int]:
    units = fen // PurchaseSettings.model_validate(rule.settings).fen_per_unit
    return {asset: units * amount for asset, amount in rule.worth.items()}


def _plan(facts: Facts, rule: Rule) -> list[Earned]:
    due_at = natural_days_after(facts.occurred_at, PurchaseSettings.model_validate(rule.settings).days)
    return [
        Give(facts.member_id, asset, amount, _subject(facts), due_at=due_at)
        for asset, amount in _worth(rule, facts.whole("amount")).items()
    ]


def _revise(facts: Facts) -> list[Revised]:
    match facts.kind:
        case "order.return_opened":
            return [Hold(_subject(facts), True, "return_open")]
        case "order.return_closed":
            return [Hold(_subject(facts), False, "return_closed")]
    amount, returned = facts.whole("amount"), facts.whole("returned")
    if returned > amount:
        raise Invalid("退货金额不能大于订单金额", field="payload.returned")
    return [Keep(_subject(facts), amount - returned, "returned"), Hold(_subject(facts), False, "return_closed")]


def _when(rule: Rule) -> str:
    yuan = f"{PurchaseSettings.model_validate(rule.settings).fen_per_unit / 100:.2f}".removesuffix(".00")
    return f"每笔订单每满 {yuan} 元"


def _then(rule: Rule) -> str:
    days = PurchaseSettings.model_validate(rule.settings).days
    return f"{f'收货 {days} 个自然日后' if days else '收货后即时'}到账，退货的部分扣回"


register(
    Kind(
        "purchase",
        "购物",
        _plan,
        events=("order.received",),
        revisions=("order.returned", "order.return_opened", "order.return_closed"),
        revise=_revise,
        worth=_worth,
        settings=PurchaseSettings,
        when=_when,
        then=_then,
    )
)
