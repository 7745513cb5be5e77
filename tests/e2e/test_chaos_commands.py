"""What the commands say, in one sentence and an exit code, about an installation that is not right."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from tortoise.context import TortoiseContext

from scrm import db as scrm_db
from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.processes import ROOT, Fensi, open_shop, until

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("command", ["serve", "serve --workers 2", "worker"])
async def test_a_database_that_was_not_migrated(
    command: str, tmp_path: Path, empty_database_url: str, wechat: SimulatorServer
) -> None:
    fensi = Fensi(tmp_path, empty_database_url, wechat.url, port=str(free_port()))
    try:
        code, said = await fensi.run(*command.split())
    finally:
        await fensi.remove()
    missing = len(list((ROOT / "migrations").glob("[0-9]*.py")))
    assert (code, said) == (1, f"the database lacks {missing} migrations: run `fensi migrate`\n")


@pytest.mark.parametrize("command", ["serve", "worker", "accounts list", "migrate"])
async def test_a_database_that_is_not_there(command: str, tmp_path: Path, wechat: SimulatorServer) -> None:
    fensi = Fensi(tmp_path, f"postgresql://postgres@127.0.0.1:{free_port()}/fensi", wechat.url, port="0")
    try:
        code, said = await fensi.run(*command.split())
    finally:
        await fensi.remove()
    assert (code, said) == (1, "FENSI_DATABASE_URL: PostgreSQL does not answer: connection refused\n")


async def test_several_processes_listen_on_ipv6_too(db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = await fensi.serve(workers=2, host="::")
    async with aiohttp.ClientSession() as http, http.get(f"http://[::1]:{server.port}/readyz") as answer:
        assert answer.status == 200
    code, said = await fensi.run("serve", "--workers", "2", host="no.such.host.invalid")
    assert (code, said.startswith("cannot listen on no.such.host.invalid:")) == (1, True)
    assert "running" not in said


async def test_doctor_when_all_is_well_wrong_and_unreachable(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    server = await fensi.serve(workers=2)
    name = f"account {shop.id} “花店”"
    fine = [
        "ok  FENSI_SECRET_KEY is set",
        "ok  no FENSI_REDIS_URL: shared state is kept in each process (fine on one machine)",
        f"ok  {name}: WeChat's API answers",
        f"ok  {name}: callback {server.url}{shop.path} is there",
        f"ok  {name}: no menu is defined here; phones show no buttons",
    ]
    nowhere = free_port()
    well, other_key, no_wechat, no_database, no_redis, bad_setting = await asyncio.gather(
        fensi.run("doctor", public_url=server.url),
        fensi.run("doctor", public_url=server.url, secret_key="another key of ours, not the same"),
        fensi.run("doctor", public_url=server.url, wechat_url=f"http://127.0.0.1:{nowhere}"),
        fensi.run("doctor", public_url=server.url, database_url=f"postgresql://postgres@127.0.0.1:{nowhere}/fensi"),
        fensi.run("doctor", public_url=server.url, redis_url=f"redis://127.0.0.1:{nowhere}/0"),
        fensi.run("doctor", log_level="loud"),
    )
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/metrics") as metrics:
        shown = (await metrics.text()).splitlines()
    assert [line for line in shown if line.startswith("fensi_push_refused_total{")] == [], (
        "whoever looks is not refused"
    )
    assert "fensi_outbox_oldest_seconds 0.0" in shown, "measured by the processes that serve; there is no worker"
    code, said = well
    lines = said.splitlines()
    assert set(fine) <= set(lines), said
    assert all(line[:4] in {"ok  ", "!!  "} for line in lines), said
    # What else doctor may find here is no matter of this installation: pages that the set-up has not built yet.
    assert code == any(line.startswith("!!") for line in lines), said

    sealed = "!!  FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut"
    refused = "ClientConnectorError"
    token = f"no access token from http://127.0.0.1:{nowhere}: /cgi-bin/stable_token: {refused}"
    away = "!!  FENSI_DATABASE_URL: PostgreSQL does not answer: connection refused"
    redis = "!!  FENSI_REDIS_URL: Redis does not answer; tokens and rate limits fall back to each process"
    assert (other_key[0], other_key[1].splitlines()[-1]) == (1, sealed)
    assert (no_wechat[0], no_wechat[1].splitlines()[-1]) == (1, f"!!  {name}: {token}")
    assert (no_database[0], no_database[1].splitlines()[-1]) == (1, away)
    assert no_redis[0] == 1
    assert redis in no_redis[1].splitlines()
    assert (bad_setting[0], len(bad_setting[1].splitlines())) == (2, 1)
    assert bad_setting[1].startswith("FENSI_LOG_LEVEL: ")


async def test_a_demo_killed_while_it_is_made_is_made_whole_and_then_found(
    db: TortoiseContext, tmp_path: Path, database_url: str
) -> None:
    fensi = Fensi(tmp_path, None, "http://127.0.0.1:9", demo_database_url=database_url)

    async def counts() -> dict[str, int]:
        tables = ("account", "channel", "welcome", "member", "fan", "event", "push")
        rows = await scrm_db.fetch(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in tables))  # noqa: S608  # the names above
        return {row[0]: row[1] for row in rows}

    async def half_made() -> bool:
        rows = await scrm_db.fetch("SELECT FROM pg_locks WHERE relation = 'member'::regclass AND NOT granted")
        return len(rows) > 0

    async with scrm_db.connection() as raw, raw.transaction():
        # The demo's past cannot be written, so it waits there to be killed.
        await raw.execute("LOCK TABLE member IN ACCESS EXCLUSIVE MODE")
        killed = await fensi.start("demo", "--no-wait", settings={})
        await until(half_made, what="the demo is half made")
        await killed.kill()

    assert (await fensi.run("demo", "--no-wait"))[0] == 0
    made = await counts()
    # Two hundred people, every third of whom also uses the mini-program, and the three whose past with the club is
    # told (app/demo_club.py).
    assert (made["account"], made["fan"]) == (2, 270)
    assert await fensi.run("demo", "--no-wait") == (0, "沿用已有的演示数据\n")
    assert await counts() == made
