"""What belongs to the repository: the files that are, or are about to be, tracked."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = {".venv", ".tools", ".git", "var", "node_modules", "static", "__pycache__", "dist"}


def repository_files() -> list[str]:
    """Return their paths relative to the root, sorted; without git, or unpacked from an archive, all but `MADE`."""
    if shutil.which("git"):
        ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        if listed.returncode == 0:
            return sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    kept = (path for path in files if not MADE.intersection(path.parts) and not path.parts[0].endswith("_cache"))
    return sorted(path.as_posix() for path in kept)
