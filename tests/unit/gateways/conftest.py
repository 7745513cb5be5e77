"""Names for the shared state that no other test run uses."""

from uuid import uuid4

import pytest


@pytest.fixture
def unique() -> str:
    """A word that makes this test's keys its own, for a Redis shared with other runs."""
    return uuid4().hex
