"""Documents keep their promises: links lead somewhere, subsystem pages name their tests, two commands come first."""

import re
from pathlib import Path

import pytest

from tests.contracts.repository import ROOT, repository_files

DOCUMENTS = [name for name in repository_files() if name.endswith(".md")]
SUBSYSTEMS = [name for name in DOCUMENTS if name.startswith("docs/subsystems/")]
DECISIONS = [name for name in DOCUMENTS if re.fullmatch(r"docs/decisions/\d{4}-[\w-]+\.md", name)]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
TEST = re.compile(r"\btests/[\w/.-]+\.py\b")


def anchors(document: Path) -> set[str]:
    """Return the fragments a page offers: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(name: str) -> list[str]:
    document = ROOT / name
    broken = []
    for found in LINK.finditer(FENCE.sub("", document.read_text())):
        path, _, fragment = found["target"].partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (document.parent / path).resolve() if path else document
        lands_inside = target.exists() and target.is_relative_to(ROOT)
        if not lands_inside or (fragment and target.suffix == ".md" and fragment not in anchors(target)):
            broken.append(found["target"])
    return broken


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert broken_links(name) == []


@pytest.mark.parametrize("name", SUBSYSTEMS)
def test_a_subsystem_page_names_the_tests_that_prove_it(name: str) -> None:
    named = set(TEST.findall((ROOT / name).read_text()))
    assert named, "name at least one test file"
    assert {test for test in named if not (ROOT / test).is_file()} == set()


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_has_the_parts_of_the_template(name: str) -> None:
    def parts(page: str) -> list[str]:
        return re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)

    assert parts(name) == parts("docs/decisions/template.md")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(Path(name).name[:4]) for name in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_readme_begins_with_the_two_commands() -> None:
    fences = FENCE.findall((ROOT / "README.md").read_text())
    lines = [line.strip() for fence in fences for line in fence.splitlines()[1:-1] if line.strip()]
    commands = [line.removeprefix("$ ").partition("#")[0].strip() for line in lines]
    typed = [line for line in commands if line and not line.startswith(("git clone", "cd "))]
    assert typed[:2] == ["make demo", "make test"]


def test_the_makefile_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE) == phony[1].split()
