"""What the log says of refused pushes: enough to find one by its id, and no more lines for a flood of them."""

import asyncio

import structlog

log = structlog.get_logger(__name__)


class Refusals:
    """Of an account's refusals for one reason tells the first with its id, and a minute later how many more."""

    def __init__(self, seconds: float = 60) -> None:
        self._seconds = seconds
        self._more: dict[tuple[int | None, str], int] = {}

    def tell(self, account: int | None, status: int, reason: str, request_id: str | None) -> None:
        """Log a refusal, or count it; `account` is None for one that is not served here."""
        kind = (account, reason)
        if kind in self._more:
            self._more[kind] += 1
            return
        self._more[kind] = 0
        log.warning("push refused", account=account, status=status, reason=reason, request_id=request_id)
        asyncio.get_running_loop().call_later(self._seconds, self._sum_up, kind)

    def _sum_up(self, kind: tuple[int | None, str]) -> None:
        account, reason = kind
        if more := self._more.pop(kind):
            log.warning("more pushes refused", account=account, reason=reason, count=more, seconds=self._seconds)
