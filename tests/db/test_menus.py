"""Menus: what the platform will take, and where its effective menu differs from ours."""

from typing import Any

import pytest

from scrm.db import Transaction
from scrm.errors import Invalid
from scrm.menus import service
from scrm.menus.models import Menu
from scrm.menus.service import NEEDS, check, differences
from tests.conftest import START
from tests.factories import at, make_account

CLICK = {"type": "click", "name": "签到", "key": "SIGN"}
VIEW = {"type": "view", "name": "商城", "url": "https://example.com"}
MENU: list[dict[str, Any]] = [CLICK, {"name": "更多", "sub_button": [VIEW, {**CLICK, "name": "客服"}]}]


@pytest.mark.parametrize("kind", sorted(NEEDS))
def test_every_type_needs_its_own_fields_and_keeps_no_others(kind: str) -> None:
    button = {"type": kind, "name": "钮"} | dict.fromkeys(NEEDS[kind], "x")
    assert check([{**button, "sub_button": [], "noise": 1}]) == [button]
    for need in NEEDS[kind]:
        with pytest.raises(Invalid) as caught:
            check([CLICK, {"name": "更多", "sub_button": [{**button, need: ""}]}])
        assert caught.value.field == f"button[1].sub_button[0].{need}"


@pytest.mark.parametrize(
    ("buttons", "field"),
    [
        ("x", "button"),
        ([], "button"),
        ([CLICK] * 4, "button"),
        ([1], "button[0]"),
        ([{**CLICK, "name": ""}], "button[0].name"),
        ([{**CLICK, "name": "五个半汉字啊"}], "button[0].name"),  # 18 bytes, 16 are allowed
        ([{**CLICK, "key": "k" * 129}], "button[0].key"),
        ([{**VIEW, "url": "u" * 1025}], "button[0].url"),
        ([{**CLICK, "type": "magic"}], "button[0].type"),
        ([{"name": "空"}], "button[0].type"),
        ([{"name": "多", "sub_button": [CLICK] * 6}], "button[0].sub_button"),
        ([{"name": "多", "sub_button": {"list": [CLICK]}}], "button[0].sub_button"),
        ([{"name": "多", "sub_button": [{**CLICK, "name": "名" * 21}]}], "button[0].sub_button[0].name"),
        ([{"name": "多", "sub_button": [{"name": "再", "sub_button": [CLICK]}]}], "button[0].sub_button[0].type"),
    ],
)
def test_what_the_platform_would_refuse_is_named(buttons: object, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(buttons)
    assert caught.value.field == field


def test_limits_are_bytes_and_inclusive() -> None:
    widest = [
        {"type": "click", "name": "五个汉字啊a", "key": "k" * 128},
        {"name": "多", "sub_button": [{"type": "view", "name": "名" * 20, "url": "u" * 1024}] * 5},
    ]
    assert check(widest) == widest


async def test_a_menu_is_defined_published_and_defined_anew(tx_db: Transaction) -> None:
    account = await make_account()
    assert await service.wanted(account) is None
    await service.define(account_id=account, buttons=MENU, now=START)
    assert await service.wanted(account) == MENU
    await service.record_published(account_id=account, now=at(1))
    assert await Menu.get(account_id=account).values("published_at", "updated_at") == {
        "published_at": at(1),
        "updated_at": START,
    }
    await service.define(account_id=account, buttons=[CLICK], now=at(2))
    assert await Menu.filter(account_id=account).values("buttons", "published_at", "updated_at") == [
        {"buttons": [CLICK], "published_at": None, "updated_at": at(2)}
    ]


async def test_a_wrong_menu_changes_nothing(tx_db: Transaction) -> None:
    account = await make_account()
    await service.define(account_id=account, buttons=MENU, now=START)
    with pytest.raises(Invalid):
        await service.define(account_id=account, buttons=[], now=at(1))
    assert await service.wanted(account) == MENU


def effective(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The shape of get_current_selfmenu_info: children are wrapped in a list object."""
    return [{**b, "sub_button": {"list": b["sub_button"]}} if "sub_button" in b else b for b in buttons]


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (MENU, []),
        ([CLICK], ["“更多 / 商城”缺失", "“更多 / 客服”缺失"]),
        ([*MENU, {**VIEW, "name": "新"}], ["“新”多余"]),
        ([{**CLICK, "key": "OTHER"}, MENU[1]], ["“签到”内容不同"]),
        ([{"type": "view", "name": "签到", "url": "https://example.com"}, MENU[1]], ["“签到”内容不同"]),
        ([], ["“签到”缺失", "“更多 / 商城”缺失", "“更多 / 客服”缺失"]),
    ],
)
def test_differences_are_told_in_words(theirs: list[dict[str, Any]], expected: list[str]) -> None:
    assert differences(MENU, effective(theirs)) == expected
    assert differences(MENU, theirs) == expected
