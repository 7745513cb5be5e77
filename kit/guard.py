"""Law 4 made mechanical: while a transaction is open in this task, a network call is a bug and raises."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_open_transaction: ContextVar[bool] = ContextVar("fensi_open_transaction", default=False)


class NetworkInTransactionError(RuntimeError):
    """A gateway was called while a database transaction was open."""


@contextmanager
def no_network() -> Iterator[None]:
    """Mark the present task as being inside a transaction."""
    token = _open_transaction.set(True)
    try:
        yield
    finally:
        _open_transaction.reset(token)


def check_network_allowed(what: str) -> None:
    """Raise NetworkInTransactionError when called inside a transaction; gateways call this first."""
    if _open_transaction.get():
        raise NetworkInTransactionError(f"{what}: called inside a database transaction")
