"""The house's own lints: what a rule is, where it looks, and how a line may ask to be skipped.

A rule yields the numbers of the lines it objects to. A line is skipped by `# lint: <skip_code> <reason>`, on it or
just above it; a skip without a reason, of an unknown code, or that skips nothing is itself reported.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

PACKAGES = tuple(
    f"{name}/"
    for name in (
        "app", "bot", "console", "gateways", "handlers", "kit", "miniprogram_api", "scrm", "simulator", "web", "worker"
    )
)  # fmt: skip
SKIP = re.compile(r"#\s*lint:\s*(?P<code>[\w-]+)(?P<reason>.*)")


@dataclass(frozen=True)
class Source:
    """One file: its path relative to the root, with forward slashes, and its text."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the Python syntax tree; empty for other files."""
        return list(ast.walk(ast.parse(self.text))) if self.path.endswith(".py") else []

    @property
    def calls(self) -> Iterator[ast.Call]:
        """Every call."""
        return (node for node in self.nodes if isinstance(node, ast.Call))


@dataclass(frozen=True)
class Rule:
    """One thing the house does not do; `where` and `exempt` are path prefixes, and an empty `where` is everywhere."""

    name: str
    skip_code: str
    summary: str
    check: Callable[[Source], Iterable[int]]
    where: tuple[str, ...] = PACKAGES
    exempt: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether the rule looks at this file."""
        return path.startswith(self.where or "") and not path.startswith(self.exempt)


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for such an expression; calls and subscripts on the way count as their name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}".removeprefix(".")
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return dotted(inner)
    return ""


def keywords(call: ast.Call) -> set[str]:
    """Return the names of the keyword arguments; `**` counts as every name, so it contains "**"."""
    return {keyword.arg or "**" for keyword in call.keywords}


def lint(source: Source, rules: Iterable[Rule]) -> list[str]:
    """Return one `path:line: what is wrong` for each objection that no skip comment answers, in line order."""
    skips = {n: found for n, line in enumerate(source.lines, 1) if (found := SKIP.search(line))}
    used: set[int] = set()
    objections: list[tuple[int, str]] = []
    codes = set()
    for rule in (rule for rule in rules if rule.covers(source.path)):
        codes.add(rule.skip_code)
        for line in rule.check(source):
            asked = next((n for n in (line, line - 1) if n in skips and skips[n]["code"] == rule.skip_code), None)
            if asked is None:
                objections.append((line, f"{rule.summary} [{rule.skip_code}]"))
            else:
                used.add(asked)
    if source.path.startswith(PACKAGES):
        for line, found in skips.items():
            if found["code"] not in codes:
                objections.append((line, f"there is no lint called {found['code']} here"))
            elif not found["reason"].strip():
                objections.append((line, "a skip needs a reason: # lint: <code> <reason>"))
            elif line not in used:
                objections.append((line, f"this skip of {found['code']} skips nothing"))
    return [f"{source.path}:{line}: {message}" for line, message in sorted(objections)]
