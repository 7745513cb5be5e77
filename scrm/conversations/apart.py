"""Rows that the clock works through stand alone: one that cannot be changed keeps nobody from the others."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeVar

import structlog

from kit.faults import describe
from scrm.conversations.changes import Row
from scrm.errors import Unavailable

log = structlog.get_logger(__name__)
R = TypeVar("R")


async def each(
    what: Literal["conversation", "brand"], rows: Iterable[Row], step: Callable[[Row], Awaitable[R]]
) -> list[R]:
    """Take a step for each row and return what came of those that went well; `id` names the row in the log.

    The step is a command, so that one that fails leaves nothing behind, and what its row is about is done in the next
    sweep, if it can be done then. Raises Unavailable when the database is away: then no row can be changed.
    """
    done = []
    for row in rows:
        try:
            done.append(await step(row))
        except Exception as error:  # whatever is wrong with it, it is this row's
            if isinstance(error, Unavailable) and error.code != "busy":
                raise
            log.warning("left for the next sweep", **{what: row["id"]}, error=describe(error))
    return done
