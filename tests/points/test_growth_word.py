"""What a brand calls growth: one word, given by the preset that its rules begin with, in members' and staff's sight."""

import pytest

from scrm import db
from scrm.accounts.queries import growth_word, growth_word_of
from scrm.assistant.tools import Asker
from scrm.db import Transaction
from scrm.errors import NotFound
from scrm.points import rulebook, summary
from scrm.selfservice.tools import my_level
from tests.assistant.test_tools import asker  # noqa: F401  # the fixture
from tests.points.books import make_members
from tests.points.house import LATE, LONG_AGO, open_house


@pytest.mark.parametrize(
    ("presets", "word"),
    [
        ((), "成长值"),
        (("zippo",), "成长值"),
        (("qingyu",), "成长值"),
        (("a095",), "成长值"),
        (("a039",), "经验"),
        # What is there stays.
        (("zippo", "a039"), "成长值"),
        (("a039", "zippo"), "经验"),
    ],
)
async def test_the_first_preset_says_the_word(tx_db: Transaction, presets: tuple[str, ...], word: str) -> None:
    house = await open_house(*presets)
    (ann,) = await make_members(1)
    assert await growth_word(tx_db.connection, house.brand) == word
    assert (await summary.of(tx_db.connection, ann, house.brand, LATE)).growth_word == word


async def test_brands_that_differ_have_the_usual_word(tx_db: Transaction) -> None:
    one, other, third = await open_house("a039"), await open_house("a039"), await open_house("zippo")
    assert await growth_word_of([one.brand]) == "经验"
    assert await growth_word_of([one.brand, other.brand]) == "经验"
    assert await growth_word_of([one.brand, third.brand]) == "成长值"
    assert await growth_word_of(None) == "成长值"
    with pytest.raises(NotFound):
        await growth_word(tx_db.connection, 999_999)


async def test_a_rule_that_was_there_keeps_the_word(tx_db: Transaction) -> None:
    house = await open_house()
    draft = rulebook.check({"code": "own.one", "kind": "daily_checkin", "module": "a", "name": "b", "points": 1,
                            "growth": 1, "frequency": "once_daily"})  # fmt: skip
    await rulebook.define(brand_id=house.brand, draft=draft, now=LONG_AGO)
    await rulebook.install_preset(house.brand, "a039", LONG_AGO)
    assert await growth_word(tx_db.connection, house.brand) == "成长值"


async def test_the_assistant_says_it(asker: Asker) -> None:  # noqa: F811
    await db.fetch("UPDATE brand SET growth_word = '经验' WHERE id = $1", asker.brand_id)
    told = await my_level(asker, {})
    assert (told["经验"], told["升级还差"]) == ("0 经验", "100 经验")
    assert "成长值" not in told
