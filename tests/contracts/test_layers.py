"""The import order holds, and the contracts that say so fail when somebody breaks them."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contracts.lint import PACKAGES
from tests.contracts.repository import ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


class Break(NamedTuple):
    """An import that must not be written into `module`, and the contract it breaks."""

    contract: str
    module: str
    imported: str


BREAKS = [
    Break("down", "kit/__init__.py", "scrm.db"),
    Break("down", "scrm/errors.py", "web"),
    Break("down", "scrm/errors.py", "gateways"),
    Break("down", "gateways/__init__.py", "scrm.errors"),
    Break("down", "gateways/__init__.py", "bot"),
    Break("down", "web/__init__.py", "bot"),
    Break("down", "bot/__init__.py", "handlers"),
    Break("down", "handlers/__init__.py", "miniprogram_api"),
    Break("down", "miniprogram_api/__init__.py", "console"),
    Break("down", "console/__init__.py", "worker"),
    Break("down", "worker/__init__.py", "app"),
    Break("business", "scrm/errors.py", "aiohttp"),
    Break("business", "scrm/members/__init__.py", "wechatpy.crypto"),
    Break("business", "scrm/members/__init__.py", "openai"),
    Break("business", "scrm/members/__init__.py", "redis.asyncio"),
    Break("business", "kit/guard.py", "aiohttp"),  # nothing of scrm says aiohttp, but scrm imports kit
    Break("simulator-alone", "simulator/__init__.py", "kit.clock"),
    Break("simulator-alone", "simulator/__init__.py", "app"),
    Break("simulator-unknown", "bot/__init__.py", "simulator"),
    Break("simulator-unknown", "worker/__init__.py", "simulator"),
    Break("nouns", "scrm/members/__init__.py", "scrm.outreach"),
    Break("nouns", "scrm/events/__init__.py", "scrm.channels"),
    Break("nouns", "scrm/db.py", "scrm.members"),
]


def lint_imports(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run import-linter as `make check` does, on the packages in `folder`."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo", *arguments],
        cwd=folder,
        env={"COLUMNS": "200", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def copy_of_the_house(folder: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "static"))


def test_the_house_keeps_its_import_order() -> None:
    code, said = lint_imports(ROOT)
    assert code == 0, said


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case.module} imports {case.imported}")
def test_a_forbidden_import_breaks_its_contract(case: Break, tmp_path: Path) -> None:
    copy_of_the_house(tmp_path)
    with (tmp_path / case.module).open("a") as module:
        module.write(f"\nimport {case.imported}\n")
    code, said = lint_imports(tmp_path, "--contract", case.contract)
    assert code == 1, said
    assert "Contracts: 0 kept, 1 broken." in said
    importer = case.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert f"{importer} -> {case.imported.partition('.')[0]}" in said  # it is this import that is reported


def test_a_new_noun_must_be_given_its_height(tmp_path: Path) -> None:
    copy_of_the_house(tmp_path)
    (tmp_path / "scrm" / "novelty").mkdir()
    (tmp_path / "scrm" / "novelty" / "__init__.py").write_text('"""A noun nobody has placed yet."""\n')
    code, said = lint_imports(tmp_path, "--contract", "nouns")
    assert code == 1
    assert "novelty" in said


def test_every_package_of_the_house_is_covered() -> None:
    found = {f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")} - {"tests/", "bench/", "migrations/"}
    assert found == set(PACKAGES)
