"""WeChat's customer-service windows and the gate: the platform's table, row by row."""

from datetime import timedelta
from typing import Any

import pytest

from scrm.outreach.gate import CAPABILITIES, Facts, Verdict, decide
from scrm.outreach.windows import OPENS, SCENES, Window, open_windows
from tests.factories import at

HOURS_48 = 48 * 3600

# kind, scene, seconds it lasts, messages: 客服消息, the platform's page as of 2026.
GOLDEN = [
    *((kind, "message", HOURS_48, 5) for kind in ("service", "subscription", "miniprogram")),
    *((kind, scene, 60, 3) for kind in ("service", "subscription") for scene in ("menu", "follow", "scan")),
    ("miniprogram", "enter", 60, 2),
]


def test_the_table_has_exactly_these_rows() -> None:
    assert {
        (table, scene, row.lasts.total_seconds(), row.limit) for table in SCENES for scene, row in SCENES[table].items()
    } == {
        ("miniprogram" if kind == "miniprogram" else "official", scene, lasts, limit)
        for kind, scene, lasts, limit in GOLDEN
    }


@pytest.mark.parametrize(("kind", "scene", "lasts", "limit"), GOLDEN)
def test_a_window_opens_lasts_and_counts(kind: str, scene: str, lasts: int, limit: int) -> None:
    def windows(now: float, sent: list[float] = [], margin: float = 0) -> list[Window]:  # noqa: B006  # only read
        return open_windows(kind, {scene: at(0)}, [at(n) for n in sent], at(now), timedelta(seconds=margin))

    assert windows(0) == [Window(scene, at(lasts), limit)]
    assert windows(lasts - 1) == [Window(scene, at(lasts), limit)]
    assert windows(lasts) == []
    assert windows(lasts - 3, margin=2) == [Window(scene, at(lasts), limit)]
    assert windows(lasts - 2, margin=2) == []
    # What was sent before the act belongs to an older grant; at its very second it counts.
    assert windows(1, sent=[-1, 0, 1]) == [Window(scene, at(lasts), limit - 2)]


def test_quotas_are_not_added_up_over_scenes() -> None:
    acts = {"message": at(0), "menu": at(10), "scan": at(20)}
    assert open_windows("service", acts, [at(5), at(15), at(25)], at(30)) == [
        Window("message", at(HOURS_48), 2),
        Window("menu", at(70), 1),
        Window("scan", at(80), 2),
    ]


def test_a_new_act_renews_its_window() -> None:
    sent = [at(n) for n in range(1, 6)]
    assert open_windows("service", {"message": at(0)}, sent, at(10))[0].left == 0
    assert open_windows("service", {"message": at(9)}, sent, at(10))[0].left == 5


@pytest.mark.parametrize(("kind", "scene"), [("miniprogram", "menu"), ("miniprogram", "follow"), ("service", "enter")])
def test_a_scene_of_the_other_kind_of_account_opens_nothing(kind: str, scene: str) -> None:
    assert open_windows(kind, {scene: at(0)}, [], at(1)) == []


def test_of_the_menu_only_three_kinds_of_buttons_open_a_window() -> None:
    assert {kind for kind, scene in OPENS.items() if scene == "menu"} == {
        "wechat.event.click",
        "wechat.event.scancode_push",
        "wechat.event.scancode_waitmsg",
    }
    assert "wechat.event.view" not in OPENS


def facts(**changes: Any) -> Facts:
    given: dict[str, Any] = {
        "account_kind": "service",
        "verified": True,
        "enabled": True,
        "following": True,
        "windows": (Window("message", at(100), 1),),
        "now": at(0),
    }
    return Facts(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "window:message"),
        ({"windows": (Window("menu", at(60), 1), Window("message", at(100), 1))}, "window:message"),
        ({"windows": (Window("menu", at(60), 1), Window("message", at(100), 0))}, "window:menu"),
        ({"enabled": False}, "account_disabled"),
        ({"verified": False}, "no_capability"),
        ({"account_kind": "subscription"}, "window:message"),
        ({"account_kind": "subscription", "verified": False}, "no_capability"),
        ({"account_kind": "miniprogram", "verified": False, "following": False}, "window:message"),
        ({"following": False}, "not_following"),
        ({"windows": ()}, "window_closed"),
        ({"refused": 45047}, "refused:45047"),
        ({"refused": 43004, "following": False}, "not_following"),
        ({"refused": 48002, "windows": ()}, "refused:48002"),
        ({"silenced": True}, "with_person"),
        ({"silenced": True, "enabled": False}, "with_person"),
        ({"windows": (Window("message", at(100), 0), Window("menu", at(60), -1))}, "count_exhausted"),
        # The first that applies is the one that is told.
        ({"enabled": False, "verified": False, "following": False, "windows": ()}, "account_disabled"),
        ({"verified": False, "following": False, "windows": ()}, "no_capability"),
        ({"following": False, "windows": ()}, "not_following"),
    ],
)
def test_the_gate_says_why(changes: dict[str, Any], reason: str) -> None:
    assert decide(facts(**changes)) == Verdict(reason.startswith("window:"), reason)


def test_every_kind_of_account_has_its_capabilities() -> None:
    assert set(CAPABILITIES) == {
        (kind, verified) for kind in ("service", "subscription", "miniprogram") for verified in (True, False)
    }
