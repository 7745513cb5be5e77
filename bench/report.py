"""How a benchmark ends: one line per goal, the same for all benchmarks of the project."""


def verdict(name: str, ratio: float, goal: float, *, limit: bool = False) -> str:
    """Return `bench <name> ratio=<measured> goal=<goal> ok|short`; with `limit` lower is better."""
    good = ratio <= goal if limit else ratio >= goal
    return f"bench {name} ratio={ratio:.3g} goal={goal:g} {'ok' if good else 'short'}"
