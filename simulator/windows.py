"""Customer-service windows: which action of a fan lets an account send how many messages for how long.

Source: the platform's table of customer-service quotas, 5 messages in 48 hours since 2023-06-12.
Allowances are not cumulative: a sent message counts against every open one, so the largest decides.
"""

from simulator.errors import RefusedError
from simulator.world import Grant, Kind, Thread

HOUR = 3600
UNLIMITED = 9999  # what the phone page is told for "any number"

# scene -> (messages, seconds); None: any number
OFFICIAL: dict[str, tuple[int | None, int]] = {
    "message": (5, 48 * HOUR),
    "menu": (3, 60),
    "subscribe": (3, 60),
    "scan": (3, 60),
}
WINDOWS: dict[Kind, dict[str, tuple[int | None, int]]] = {
    "service": OFFICIAL | {"pay": (None, 48 * HOUR)},
    "subscription": OFFICIAL,
    "miniprogram": {"message": (5, 48 * HOUR), "enter": (2, 60)},
}


def grant(thread: Thread, kind: Kind, scene: str, now: float) -> None:
    """Open or renew the allowance that this action gives; actions without one change nothing."""
    if scene in WINDOWS[kind]:
        count, seconds = WINDOWS[kind][scene]
        thread.grants[scene] = Grant(now + seconds, count)


def check(thread: Thread, now: float) -> None:
    """Raise RefusedError 45015 when no window is open, 45047 when every open one is used up."""
    open_grants = [g for g in thread.grants.values() if g.expires_at > now]
    if not open_grants:
        raise RefusedError(45015)
    if not any(g.left is None or g.left > 0 for g in open_grants):
        raise RefusedError(45047)


def spend(thread: Thread, now: float) -> None:
    """Count one sent message; raises as `check`."""
    check(thread, now)
    for g in thread.grants.values():
        if g.expires_at > now and g.left:
            g.left -= 1


def summary(thread: Thread, now: float) -> tuple[float | None, int]:
    """Return (when the best open window ends, messages left in it)."""
    live = [g for g in thread.grants.values() if g.expires_at > now]
    if not live:
        return None, 0
    best = max(live, key=lambda g: (UNLIMITED if g.left is None else g.left, g.expires_at))
    return best.expires_at, UNLIMITED if best.left is None else best.left
