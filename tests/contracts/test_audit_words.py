"""The audit page knows every action and permission by a Chinese name."""

import ast
import re

from scrm.staff.permissions import PERMISSIONS
from tests.contracts.repository import ROOT

WORDS = (ROOT / "frontend/console/src/audit.ts").read_text()
# What makes a line of the trail, its action first.
MAKERS = {"Entry", "entry", "_entry", "_tagged"}


def actions() -> set[str]:
    """Return the actions that the code writes by name."""
    found = set()
    for path in [file for folder in ("scrm/staff", "console", "app") for file in (ROOT / folder).glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_action_has_its_name() -> None:
    named = set(re.findall(r"^  '([a-z_]+\.[a-z_]+)': '[^']+',$", WORDS, re.MULTILINE))
    assert len(actions()) >= 35
    assert actions() - named == set()


def test_permissions_are_called_as_where_roles_are_edited() -> None:
    block = WORDS.partition("const PERMISSIONS")[2].partition("}\n")[0]
    assert dict(re.findall(r"'([\w.]+)': '([^']+)'", block)) == {one.code: one.title for one in PERMISSIONS}
