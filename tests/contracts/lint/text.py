"""Lints over plain text: how long a module may be, and what says where it was written."""

import re
from collections.abc import Iterator

from tests.contracts.lint import PACKAGES, Rule, Source

MAX_LINES = 500
# Folders of one machine, and hosts that serve packages. Addresses of documentation are fine.
TRACES = re.compile(
    r"(?<![\w.\-/])/(?:work|root|tmp|Users|home/\w+)/"
    r"|\b(?:files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org|npmmirror\.com|registry\.yarnpkg\.com"
    r"|mirrors?\.[\w.-]+/(?:pypi|npm|simple))"
)


def _too_long(source: Source) -> Iterator[int]:
    if source.path.endswith(".py") and len(source.lines) > MAX_LINES:
        yield MAX_LINES + 1


def _traces(source: Source) -> Iterator[int]:
    yield from (number for number, line in enumerate(source.lines, 1) if TRACES.search(line))


RULES = [
    Rule(
        "too-long",
        "too-long",
        f"a module has at most {MAX_LINES} lines: split it by what changes together",
        _too_long,
        where=(*PACKAGES, "bench/", "scripts/", "tests/"),
    ),
    Rule(
        "machine-trace",
        "machine-trace",
        "no folders of one machine and no package hosts in the repository",
        _traces,
        where=(),
    ),
]
