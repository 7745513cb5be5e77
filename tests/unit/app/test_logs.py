"""What the log looks like, set up as a process sets it up: in a process of its own, for the set-up is global."""

import json
import subprocess
import sys

import pytest

from tests.contracts.repository import ROOT

SAY = """
import logging, sys
import structlog
from app.logs import configure
from app.settings import Settings

log = structlog.get_logger("house")
configure(Settings(_env_file=None, log_level=sys.argv[1], log_format=sys.argv[2]))
log.debug("quiet")
structlog.contextvars.bind_contextvars(request_id="r1")
log.info("说了", account=7)
try:
    raise RuntimeError("13812345678")
except RuntimeError:
    logging.getLogger("library").exception("it broke")
    logging.getLogger("library").info("chatter")
"""


def lines(level: str, style: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SAY, level, style], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_json_is_one_object_a_line_without_traces() -> None:
    said = [json.loads(line) for line in lines("info", "json")]
    for line in said:
        assert line.pop("timestamp").endswith("Z")
    assert said == [
        {"event": "说了", "account": 7, "level": "info", "request_id": "r1"},
        # A library's trace may carry what a person wrote: only its type is kept.
        {"event": "it broke", "level": "error", "logger": "library", "error": "RuntimeError", "request_id": "r1"},
    ]


def test_text_is_for_people_and_has_no_colours_in_a_file() -> None:
    first, second = lines("info", "text")
    assert "说了" in first
    assert "account=7" in first
    assert "it broke" in second
    assert "error=RuntimeError" in second
    assert "\x1b" not in first + second
    assert "13812345678" not in first + second


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("warning", 1), ("error", 1)])
def test_the_level_is_kept_and_libraries_speak_from_warning_on(level: str, count: int) -> None:
    assert len(lines(level, "json")) == count
