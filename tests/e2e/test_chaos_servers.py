"""Servers and workers that are killed or stopped under load: what was accepted is answered once, by whom ever."""

import asyncio
import random
import signal
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from tortoise.context import TortoiseContext

from handlers.preferences import ASK_INTEREST
from scrm import db as scrm_db
from simulator.fan import Pushed, ScriptedFan
from simulator.server import SimulatorServer
from simulator.wire import Json
from simulator.world import QrCode
from tests.e2e.processes import HOURS, MANUAL, SCENE, WELCOME, Fensi, open_shop, until

pytestmark = pytest.mark.e2e


async def count(sql: str, *args: object) -> int:
    rows = await scrm_db.fetch(f"SELECT count(*) FROM {sql}", *args)  # noqa: S608  # written below
    return int(rows[0][0])


async def nothing_open() -> bool:
    """Whether every accepted push and every message has come to its end."""
    running = await count("push WHERE state = 'running'")
    return running + await count("outbox WHERE state IN ('pending', 'claimed', 'sending')") == 0
