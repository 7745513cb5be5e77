"""Describing an error for a log without its message: messages and locals may hold what a person wrote."""

import traceback
from pathlib import Path


def describe(error: BaseException, frames: int = 4) -> str:
    """Return the error's type and the innermost places it passed through, such as `KeyError at a.py:3 < b.py:9`."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ is not None else ""
    return f"{type(error).__name__}{cause} at {' < '.join(reversed(places[-frames:])) or 'nowhere'}"
