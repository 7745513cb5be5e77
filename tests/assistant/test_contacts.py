"""A name to write to elsewhere, behind a true sentence, is what an impostor would have the bot say."""

import pytest

from tests.assistant.test_checking import RETURNS, said

TRUE = "签收后 7 天内可以退货，商品需保持完好，运费由本店承担"


@pytest.mark.parametrize(
    "handle", ["goodshop", "wx_tea2026", "ｇｏｏｄｓｈｏｐ", "good-shop-vip", "GoodShop", "tea_refund"]
)
@pytest.mark.parametrize("way", ["{}，加微信{}办理[1]", "{}（客服{}）[1]", "{}，请关注{}[1]"])
def test_is_withheld(handle: str, way: str) -> None:
    assert said(way.format(TRUE, handle)).doubt in {"contact", "figure"}


def test_what_the_evidence_names_may_be_named() -> None:
    shown = said("您可以加微信GOODshop_1办理。", results=('{"客服": "加微信goodshop_1办理"}',))
    assert shown.doubt == ""


def test_short_words_are_nobodys_name() -> None:
    assert RETURNS.startswith("退货政策")
    assert said(f"{TRUE}，APP 里也可以退货[1]").doubt == ""
