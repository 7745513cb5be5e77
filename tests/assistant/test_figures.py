"""Figures: what counts as one, which spellings are the same, and that an answer cannot bring its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrm.assistant.figures import figures, invented


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("签收后 7 天内可退，运费 12.5 元，满 1,000 元包邮", {"7天", "12.5元", "1000元"}),
        ("七天内，七个工作日，两年，三十天", {"7天", "7工作日", "2年", "30天"}),
        ("营业时间 9:30–22:00", {"time:9:30", "time:22:00"}),
        ("上午九点半开门，晚上十点关门，下午2点15分", {"time:9:30", "time:22:00", "time:14:15"}),
        ("12月31日截止，十二月三十一号", {"date:12-31"}),
        ("2026年3月9日，2026-03-09", {"date:3-9", "2026年"}),
        (
            "电话 400-888-1234，手机 13912345678，０５７１－８８８８６６６６",
            {"number:4008881234", "number:13912345678", "number:057188886666"},
        ),
        ("八五折，85 折，8.5折", {"8.5折"}),
        ("百分之二十，20%，２０％", {"20%"}),
        ("￥99，99 块钱，九十九元", {"99元"}),
        ("1.5 万积分", {"15000积分"}),
        (
            "见 https://a.cn/x 或 shop.example.com/y，写信 a@b.com",
            {"url:https://a.cn/x", "url:shop.example.com/y", "mail:a@b.com"},
        ),
        ("编号 B12", {"count:12"}),
        ("十分感谢，一定尽快，统一发货，万一坏了，有一个礼物，第一时间处理", set()),
        ("", set()),
    ],
)
def test_what_a_text_states(text: str, expected: set[str]) -> None:
    assert figures(text) == expected


@pytest.mark.parametrize(
    ("answer", "evidence", "made_up"),
    [
        ("七天内可退", "签收后 7 天内可退", []),
        ("可退 15 天", "签收后 7 天内可退", ["15天"]),
        ("运费 7 元", "签收后 7 天内可退", ["7元"]),  # the number is there, but of something else
        ("您有 120 积分", '{"可用积分": "120 积分"}', []),
        ("您有 121 积分", '{"可用积分": "120 积分"}', ["121积分"]),
        ("9点半开门", "营业时间 9:30–22:00", []),
        ("10点开门", "营业时间 9:30–22:00", ["time:10:00"]),
        ("请拨 13900000000", "请拨 13911111111", ["number:13900000000"]),
        ("打开 http://evil.example", "打开 https://qingyu.example", ["url:http://evil.example"]),
        ("全场 1 折", "银牌会员：全场 9 折", ["1折"]),
        ("展台 12 号", "展台 B12", []),
    ],
)
def test_what_an_answer_made_up(answer: str, evidence: str, made_up: list[str]) -> None:
    assert invented(answer, evidence) == made_up


@given(st.text())
def test_a_quote_invents_nothing(text: str) -> None:
    assert invented(text, text) == []


@given(
    st.integers(0, 9999), st.sampled_from(["元", "天", "积分", "%", "折"]), st.text(alphabet="茶好店，。", max_size=8)
)
def test_whatever_number_was_not_given_is_seen(number: int, unit: str, words: str) -> None:
    evidence = "满 12345 元送 1 份"
    assert invented(f"{words}{number}{unit}", evidence) != [] or f"{number}{unit}" in evidence


_NUMERALS = "零一二三四五六七八九"


@given(st.integers(1, 99))
def test_chinese_numerals_are_numbers(number: int) -> None:
    tens, ones = divmod(number, 10)
    spoken = (("" if tens == 1 else _NUMERALS[tens]) + "十" if tens else "") + (
        _NUMERALS[ones] if ones or not tens else ""
    )
    assert figures(f"{spoken}天") == {f"{number}天"}
