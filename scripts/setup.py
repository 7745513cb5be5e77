"""Prepare a fresh clone, step by step, and skip each step while nothing it depends on has changed.

Standard library only: this runs before anything is installed. `scripts/setup` starts it, with the Python of
a usable `.venv` or, when there is none, with one from PATH.
"""
# ruff: noqa: S603, T201  # starting the tools and telling a person about it is all this file does

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / ".stamps"
TOOLS = ROOT / ".tools"
NODE = TOOLS / "node"
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "web" / "static"

PARTS = ("code", "frontend", "pages", "browser")
NODE_MIN = (20, 19)  # what Vite asks for
COMMAND_SECONDS = 1800
NOT_INHERITED = {
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONPATH",
}  # another environment's; they would mislead uv and pip
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_CHROMIUM = (
    "Chromium is not here and could not be installed, so the browser tests will be skipped. "
    "Install it (Debian: apt install chromium fonts-noto-cjk) or set FENSI_CHROMIUM to its path."
)


class SetupError(Exception):
    """A step failed; the message is a sentence for the person at the keyboard."""


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a command quietly; when it fails or hangs, SetupError carries the end of its output."""
    surroundings = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=surroundings | {"NO_COLOR": "1"} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]}: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise SetupError(f"{tail}\n\n`{' '.join(map(str, command))}` failed (exit {done.returncode}).")


def succeeds(*command: str | Path, env: Mapping[str, str] | None = None) -> bool:
    """Run a command that is allowed to fail, and say whether it succeeded."""
    try:
        run(*command, env=env)
    except SetupError:
        return False
    return True


def fingerprint(inputs: Iterable[Path]) -> str:
    """Hash names and contents; the root counts too, since what is installed holds absolute paths."""
    digest = hashlib.sha256(f"{ROOT}\n".encode())
    for path in inputs:
        content = path.read_bytes() if path.exists() else b""
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def step(name: str, doing: str, inputs: Iterable[Path], output: Path, action: Callable[[], None]) -> None:
    """Do `action` and print a line with its seconds, unless `output` is there and made of these inputs."""
    stamp, key = STAMPS / name, fingerprint(inputs)
    if output.exists() and stamp.exists() and stamp.read_text() == key:
        return
    print(f"setup: {doing} ... ", end="", flush=True)
    started = time.monotonic()
    try:
        action()
    except SetupError:
        print("failed")
        raise
    STAMPS.mkdir(exist_ok=True)
    stamp.write_text(key)
    print(f"{time.monotonic() - started:.1f} s")


def can_apt() -> bool:
    """Whether system packages can be installed here: Debian or a relative, as root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(*packages: str) -> bool:
    """Install Debian packages and say whether it worked."""
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    return succeeds("apt-get", "update", env=env) and succeeds(
        "apt-get", "install", "--yes", "--no-install-recommends", *packages, env=env
    )


def create_environment() -> None:
    """Make .venv anew; Debian ships Python without ensurepip, hence the other ways."""
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"

    def make(module: str, *options: str) -> bool:
        shutil.rmtree(VENV, ignore_errors=True)
        return succeeds(sys.executable, "-m", module, *options, VENV)

    if make("venv") or make("virtualenv"):
        return
    if succeeds(sys.executable, "-m", "pip", "--version") and make("venv", "--without-pip"):
        return
    if can_apt() and (apt_install(f"{minor}-venv") or apt_install("python3-venv")) and make("venv"):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    raise SetupError(
        f"{sys.executable} cannot create a virtual environment. On Debian or Ubuntu: apt install {minor}-venv"
    )


def install_code() -> None:
    """Install the pinned uv, exactly the locked packages, and Fensi itself in place."""
    pip: list[str | Path] = [PYTHON, "-m", "pip"]
    if not succeeds(*pip, "--version"):
        pip = [sys.executable, "-m", "pip", "--python", PYTHON]
    run(*pip, "install", "--quiet", "--require-hashes", "-r", "scripts/tools.lock")
    uv = VENV / "bin" / "uv"
    run(uv, "pip", "sync", "--python", PYTHON, "--require-hashes", "requirements.lock")
    run(uv, "pip", "install", "--python", PYTHON, "--no-deps", "--no-build-isolation", "--editable", ".")


def machine_has_node() -> bool:
    """Whether PATH offers npm and a Node that is recent enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False)
    version = re.match(r"v(\d+)\.(\d+)", asked.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= NODE_MIN


def install_node() -> None:
    """Put Node from its wheel under .tools/node, where scripts/npm finds it."""
    uv = VENV / "bin" / "uv"
    run(uv, "venv", "--clear", "--python", PYTHON, NODE)
    run(uv, "pip", "sync", "--python", NODE / "bin" / "python", "--require-hashes", "scripts/node.lock")


def install_modules() -> None:
    """Install exactly the locked packages of frontend/."""
    run(ROOT / "scripts" / "npm", "ci", "--no-audit", "--no-fund")


def build_pages() -> None:
    """Build every page into the folder that the server serves."""
    run(ROOT / "scripts" / "npm", "run", "build")


def find_chromium() -> bool:
    """Look where the browser tests look: FENSI_CHROMIUM, PATH, playwright's own folder."""
    named = os.environ.get("FENSI_CHROMIUM")
    if named:
        return Path(named).exists()
    if any(shutil.which(name) for name in CHROMIUM_NAMES):
        return True
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    return any(Path(cache).glob("chromium*/*/chrome*"))


def install_chromium() -> None:
    """Debian's package as root on Debian, else playwright's build; where neither works, say so and go on."""
    distribution = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    if can_apt() and "ID=debian" in distribution and apt_install("chromium", "fonts-noto-cjk"):
        return
    system = ["--with-deps"] if can_apt() else []
    succeeds(PYTHON, "-m", "playwright", "install", *system, "chromium")


def source_files() -> list[Path]:
    """Every file the pages are built from; their types come from the OpenAPI documents."""
    listed: list[Path] = list((ROOT / "docs" / "openapi").glob("*.json"))
    for folder, names, files in os.walk(FRONTEND):
        names[:] = [name for name in names if name not in {"node_modules", "dist", "generated"}]
        listed += [Path(folder) / file for file in files if not file.endswith(".tsbuildinfo")]
    return sorted(listed)


def prepare(parts: set[str]) -> None:
    """Do the steps that these parts need, in their order."""
    if Path(sys.prefix).resolve() != VENV.resolve():  # scripts/setup found no usable .venv to start us with
        (STAMPS / "environment").unlink(missing_ok=True)
        step("environment", "creating .venv", [], PYTHON, create_environment)
    locks = [ROOT / "scripts" / "tools.lock", ROOT / "requirements.lock", ROOT / "pyproject.toml"]
    step("code", "installing the locked Python packages", locks, VENV / "bin" / "fensi", install_code)

    if parts & {"frontend", "pages"} and (FRONTEND / "package.json").exists():
        if not machine_has_node():
            step("node", "fetching Node", [ROOT / "scripts" / "node.lock"], NODE / "bin" / "node", install_node)
        manifests = [FRONTEND / name for name in ("package.json", "package-lock.json", ".npmrc")]
        step("modules", "installing the pages' packages", manifests, FRONTEND / "node_modules", install_modules)
        if "pages" in parts:
            step("pages", "building the pages", source_files(), STATIC, build_pages)

    if "browser" in parts and not find_chromium():
        tried = STAMPS / "chromium"
        step("chromium", "looking for a Chromium to install", [], tried, install_chromium)
        if not find_chromium():
            print(f"setup: {NO_CHROMIUM} (To try again: rm {tried.relative_to(ROOT)})")


def main(words: list[str]) -> int:
    """Prepare the named parts, all of them when none is named; two set-ups at once wait for each other."""
    unknown = set(words) - set(PARTS)
    if unknown:
        print(f"setup: unknown: {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            prepare(set(words or PARTS))
        except SetupError as error:
            print(f"\n{error}\nsetup: stopped here; what was done before stays done.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
