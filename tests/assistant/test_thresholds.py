"""What a score is worth, on the evaluation set: low direct answers are as right as high ones, nothing is made up."""

import pytest

from bench.retrieval import ASSETS, Ranked, by_grams, entries, noise, questions
from scrm.assistant.files import read_synonyms
from scrm.assistant.grams import Synonyms
from scrm.assistant.index import Index
from scrm.assistant.retrieval import ANSWER, MENU, judge, nearness


def right(answered: list[tuple[int | None, Ranked]]) -> tuple[int, int]:
    return sum(ranked[0][0] == entry for entry, ranked in answered), len(answered)


@pytest.mark.parametrize(
    ("distractors", "low", "high"), [(False, (37, 39), (82, 88)), (True, (28, 29), (75, 81))], ids=["alone", "among"]
)
def test_a_direct_answer_at_a_fifth_is_as_right_as_the_others(
    distractors: bool, low: tuple[int, int], high: tuple[int, int]
) -> None:
    texts, numbers = entries()
    texts = texts + noise(len(numbers) + 1) if distractors else texts
    search = by_grams(Index(texts, Synonyms(read_synonyms((ASSETS / "synonyms.txt").read_bytes()))))
    said = [(question.entry, search(question.text)) for question in questions(numbers)]
    direct = [(entry, ranked) for entry, ranked in said if judge([one[1:] for one in ranked]) == "answer"]
    assert [entry for entry, _ in direct if entry is None] == []
    # Why there is no floor above ANSWER: it would take away as many right answers of a hundred as it would leave.
    assert right([(entry, ranked) for entry, ranked in direct if ranked[0][1] < 0.25]) == low
    assert right([(entry, ranked) for entry, ranked in direct if ranked[0][1] >= 0.25]) == high


def test_what_a_score_is_worth() -> None:
    scores = [1.0, ANSWER, ANSWER - 0.001, MENU, MENU - 0.001, 0.0]
    assert [nearness(score) for score in scores] == ["near", "near", "related", "related", "far", "far"]
