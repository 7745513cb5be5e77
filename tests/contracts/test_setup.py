"""The set-up repeats nothing that is done, says in a sentence what it lacks; CI's closing line is pytest's."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.contracts.repository import ROOT


@pytest.fixture
def setup(tmp_path: Path) -> ModuleType:
    """Return scripts/setup.py of a house of its own, so that its stamps and outputs land there."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv").mkdir()
    script = shutil.copy(ROOT / "scripts" / "setup.py", tmp_path / "scripts")
    spec = importlib.util.spec_from_file_location("house_setup", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_step_is_repeated_only_when_its_inputs_change_or_its_output_is_gone(
    setup: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_text("one")
    done: list[str] = []

    def build() -> None:
        output.write_text(source.read_text())
        done.append(output.read_text())

    def once() -> None:
        setup.step("pages", "building", [source, tmp_path / "not-there-yet"], output, build)

    once()
    once()
    assert done == ["one"]
    source.write_text("two")
    once()
    output.unlink()
    once()
    (tmp_path / "not-there-yet").write_text("now")
    once()
    assert done == ["one", "two", "two", "two"]
    assert capsys.readouterr().out.count("setup: building ... ") == 4


def test_a_failed_step_is_tried_again(setup: ModuleType, tmp_path: Path) -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        setup.run(sys.executable, "-c", "print('no space left'); raise SystemExit(3)")

    for _ in range(2):
        with pytest.raises(setup.SetupError, match=r"no space left(?s:.*)failed \(exit 3\)"):
            setup.step("pages", "building", [], tmp_path, fail)
    assert len(tried) == 2


def test_an_unknown_part_is_named() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "setup", "pages", "kitchen"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "setup: unknown: kitchen; parts are code, frontend, pages, browser\n",
    )


def test_without_a_recent_python_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "grep"):
        (tools / name).symlink_to(str(shutil.which(name)))
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # what a Python 3.9 answers when asked whether it is recent
    old.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts" / "setup"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Fensi needs Python 3.11 or newer and found none. ")


@pytest.mark.parametrize(
    ("check", "test", "code", "closing"),
    [
        ("true", "true", 0, "=== 3 passed in 0.01s ==="),
        ("true", "false", 1, "=== 3 passed in 0.01s ==="),
        ("false", "true", 1, "=== 3 passed in 0.01s ==="),
    ],
)
def test_ci_ends_with_the_closing_line_and_the_right_code(
    tmp_path: Path, check: str, test: str, code: int, closing: str
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    makefile = f"check:\n\t@{check}\ntest:\n\t@echo '{closing}'; echo afterwards; {test}\n"
    (tmp_path / "Makefile").write_text(makefile)
    done = subprocess.run(
        ["bash", ".ci/run"],  # noqa: S607  # CI calls it so
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "CI": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == closing
