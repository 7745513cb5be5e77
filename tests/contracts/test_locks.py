"""What gets installed is pinned, hashed and free of addresses, so it comes from whichever registry a machine uses."""

import json
import re
import tomllib

import pytest

from tests.contracts.repository import ROOT

LOCKS = ["requirements.lock", "scripts/tools.lock", "scripts/node.lock"]
REQUIREMENT = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[\w.+!-]+)(?: ; [^\\]+)? \\\n"
    r"(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+",
    re.MULTILINE,
)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert REQUIREMENT.sub("", lock) == ""  # nothing stands between the well-formed requirements
    assert REQUIREMENT.search(lock) is not None


@pytest.mark.parametrize("name", [*LOCKS, "frontend/package-lock.json"])
def test_no_lock_holds_an_address(name: str) -> None:
    assert re.findall(r"\w+://\S+", (ROOT / name).read_text()) == []


def test_every_package_of_the_pages_is_pinned_with_its_integrity() -> None:
    lock = json.loads((ROOT / "frontend/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    loose = [name for name, entry in packages.items() if not entry.get("link") and "integrity" not in entry]
    assert packages
    assert loose == []


def test_every_direct_dependency_is_locked_at_a_version_it_allows() -> None:
    from packaging.requirements import Requirement  # here, since only this test needs it

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {
        "requirements.lock": [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]],
        "scripts/tools.lock": project["dependency-groups"]["tools"],
        "scripts/node.lock": project["dependency-groups"]["node"],
    }
    for name, asked in groups.items():
        locked: dict[str, set[str]] = {}
        for found in REQUIREMENT.finditer((ROOT / name).read_text()):
            locked.setdefault(found["name"], set()).add(found["version"])
        for requirement in map(Requirement, asked):
            versions = locked.get(requirement.name.lower().replace("_", "-"), set())
            assert versions, f"{name}: {requirement.name} is missing; run `make lock`"
            wrong = {version for version in versions if not requirement.specifier.contains(version, prereleases=True)}
            assert not wrong, f"{name}: {requirement} does not allow {wrong}; run `make lock`"
