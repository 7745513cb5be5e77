"""Reading the metrics of this process around a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY


def reading(name: str, **labels: str) -> float:
    """Return the present value of a metric; 0 when nobody has counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def counted(name: str, *, by: float, **labels: str) -> AsyncIterator[None]:
    """Expect a counter to grow by so much while the block runs."""
    before = reading(name, **labels)
    yield
    assert reading(name, **labels) - before == by, (name, labels)
