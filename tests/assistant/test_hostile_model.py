"""What a broken or hostile model may write never costs the fan the answer, nor us the record of it."""

from typing import Any

import pytest

from gateways.llm.answers import read_completion
from scrm.assistant import phrases
from tests.assistant.conftest import Shop

TERMS = "签收后 7 天内可以退货，商品需保持完好。运费由本店承担。"
# More citations than there is room for their list.
EVERY_CITATION = "签收后可以退货" + "".join(f"[{n}]" for n in range(700, 990))


class Free:
    name = "a-model"

    def price(self, tokens_in: int, tokens_out: int) -> int:
        return tokens_in + tokens_out


@pytest.mark.parametrize(
    ("said", "doubt"),
    [
        ("签收后 15 天\ud800内可以退货[1]", "figure"),
        ("签收后 15 天\x00内可以退货[1]", "figure"),
        (EVERY_CITATION, "citation"),
    ],
)
async def test_what_no_table_holds_is_a_doubt_like_any_other(shop: Shop, said: str, doubt: str) -> None:
    shop.shelf.put(shop.brand_id, "article", "售后服务", TERMS)
    fan = await shop.fan()
    shop.fault(say=said)
    assert await shop.ask(fan, "几天内可以退货") == phrases.UNSURE
    (record,) = await shop.records()
    assert (record["outcome"], record["reason"]) == ("doubt", doubt)
    assert len(record["detail"]) <= 256


def completion(message: dict[str, Any], **more: Any) -> Any:
    return read_completion({"choices": [{"message": message}], **more}, Free())


def test_nothing_that_cannot_be_stored_is_read() -> None:
    call = {"id": "c\x00", "function": {"name": "my_\ud800points", "arguments": '{"城市": "\x00\udfff"}'}}
    read = completion({"content": "好\x00的\ud83d", "tool_calls": [call]}, model="m\x00\ud800odel")
    assert (read.text, read.model) == ("好的", "model")
    assert [(one.id, one.name, one.arguments) for one in read.calls] == [("c", "my_points", '{"城市": ""}')]


def test_three_rounds_of_absurd_counts_still_fit() -> None:
    read = completion({"content": "好"}, usage={"prompt_tokens": 999_999_999, "completion_tokens": 999_999_999})
    assert 3 * read.tokens_in < 2**31
    assert 3 * read.tokens_out < 2**31
