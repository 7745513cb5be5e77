"""A worker process of test_jobs_port.py: runs its jobs until SIGTERM, and writes down what it did."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import Any

from scrm import db
from worker.jobs import JobRunner, Registry

RAN = """
CREATE TABLE ran (
    id bigserial PRIMARY KEY, label text, what text, pid int, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ran', new.label || ' ' || new.what);
    RETURN new;
END $$;
CREATE TRIGGER tell AFTER INSERT ON ran FOR EACH ROW EXECUTE FUNCTION tell();
"""

registry: Registry[None] = Registry()


async def write_down(label: str, what: str) -> None:
    """Record a step of a job, through the pool that the process has opened."""
    async with db.connection() as raw:
        await raw.execute("INSERT INTO ran (label, what, pid) VALUES ($1, $2, $3)", label, what, os.getpid())


@registry.job("slow", timeout=60)
async def slow(payload: dict[str, Any], _services: None) -> None:
    """Take `seconds` the first time, no time when redelivered."""
    label = payload["label"]
    await write_down(label, "began")
    begun = await db.fetch("SELECT FROM ran WHERE label = $1 AND what = 'began'", label)
    if len(begun) == 1:
        await asyncio.sleep(payload["seconds"])
    await write_down(label, "ended")


@registry.job("tick", timeout=5)
async def tick(_payload: dict[str, Any], _services: None) -> None:
    """Run by the clock."""
    await write_down("tick", "ended")


async def main(url: str, lease: float, grace: float, cron: str) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if cron:
        registry.schedule(cron, "tick")
    async with db.database(url, pool=2):
        await write_down(f"process {os.getpid()}", "up")
        await JobRunner(
            url, None, registry, lease=timedelta(seconds=lease), grace=timedelta(seconds=grace), concurrency=4
        ).run(stop)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
