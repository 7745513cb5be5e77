"""Fixtures of the engine's tests: a house on a database that a worker's tests share, each with accounts of its own."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from kit.clock import ManualClock
from scrm import db as scrm_db
from tests.bot.desk import Desk
from tests.bot.house import House
from tests.conftest import _copy


@pytest.fixture(scope="session")
def shared_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database that tests fill side by side: none looks at another's accounts."""
    yield from _copy(server_url, template)


@pytest.fixture
async def house(shared_database_url: str, clock: ManualClock) -> AsyncIterator[House]:
    """A house without servers yet; what is started in it is stopped after the test."""
    async with scrm_db.database(shared_database_url, pool=3), aiohttp.ClientSession() as http:
        house = House(shared_database_url, clock, http)
        try:
            yield house
        finally:
            await house.close()


@pytest.fixture
async def own_house(database_url: str, clock: ManualClock) -> AsyncIterator[House]:
    """A house whose database nobody else uses: for what looks at all accounts at once."""
    async with scrm_db.database(database_url, pool=3), aiohttp.ClientSession() as http:
        house = House(database_url, clock, http)
        try:
            yield house
        finally:
            await house.close()


@pytest.fixture
def desk() -> Desk:
    """Handlers that the test steers."""
    return Desk()
