"""Lints for what a running process must not do: read the wall clock, lose tasks, reset WeChat's quotas."""

import ast
from collections.abc import Iterator

from tests.contracts.lint import Rule, Source, dotted

WALL_CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "datetime.datetime.utcnow",
    "datetime.datetime.today", "date.today", "datetime.date.today", "dt.datetime.now", "timezone.now",
    "time.time", "time.time_ns",
}  # fmt: skip
STARTERS = {"create_task", "ensure_future"}


def _wall_clock(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.Attribute() if dotted(node) in WALL_CLOCKS:
                yield node.lineno
            case ast.ImportFrom(module="time", names=names) if {name.name for name in names} & {"time", "time_ns"}:
                yield node.lineno


def _stray_task(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.ImportFrom(module="asyncio", names=names) if {name.name for name in names} & STARTERS:
                yield node.lineno
            # A TaskGroup's create_task is fine: the group awaits it.
            case ast.Attribute(attr=attr) if attr in STARTERS and dotted(node.value).endswith(("asyncio", "loop")):
                yield node.lineno


def _clear_quota(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr="clear_quota")):
                yield node.lineno
            case ast.Constant(value=str(text)) if "cgi-bin/clear_quota" in text:
                yield node.lineno


RULES = [
    Rule(
        "wall-clock",
        "wall-clock",
        "take a Clock; only kit/clock.py reads the wall",
        _wall_clock,
        exempt=("app/", "simulator/", "kit/clock.py"),
    ),
    Rule(
        "stray-task",
        "stray-task",
        "start tasks through kit.tasks: nobody holds or drains this one, and it inherits an open transaction",
        _stray_task,
        exempt=("app/", "simulator/", "worker/", "bot/isolation.py", "kit/tasks.py"),
    ),
    Rule(
        "clear-quota",
        "clear-quota",
        "clear_quota spends a monthly allowance and hides the real fault",
        _clear_quota,
        exempt=("simulator/",),
    ),
]
