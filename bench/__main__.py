"""`python -m bench [names] [--quick]`: run the benchmarks named, all by default."""

import argparse
from collections.abc import Callable
from typing import Final

from bench import callback, inbox, ledger, reads, retrieval, vectors

BENCHMARKS: Final[dict[str, Callable[..., None]]] = {
    "callback": callback.main,
    "inbox": inbox.main,
    "ledger": ledger.main,
    "reads": reads.main,
    "retrieval": retrieval.main,
    "vectors": vectors.main,
}


def main() -> None:
    """Run what was asked for. A goal that was missed is printed, not an error: machines differ."""
    parser = argparse.ArgumentParser(prog="bench", description="benchmarks; each ends with its verdicts")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="a quarter of the load: to see that it runs")
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in given.names or BENCHMARKS:
        BENCHMARKS[name](quick=given.quick)


if __name__ == "__main__":
    main()
