"""What the commands say, in one sentence and an exit code, about an installation that is not right."""

import asyncio
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext

from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.processes import ROOT, Fensi, open_shop

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_database_that_was_not_migrated(
    command: str, tmp_path: Path, empty_database_url: str, wechat: SimulatorServer
) -> None:
    fensi = Fensi(tmp_path, empty_database_url, wechat.url, port="0")
    try:
        code, said = await fensi.run(command)
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
    assert (code, said) == (1, "FENSI_DATABASE_URL: the database does not answer or refuses (ConnectionRefusedError)\n")


async def test_doctor_when_all_is_well_wrong_and_unreachable(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    server = await fensi.serve()
    name = f"account {shop.id} “花店”"
    fine = [
        "ok  FENSI_SECRET_KEY is set",
        "ok  no FENSI_REDIS_URL: shared state is kept in each process (fine on one machine)",
        f"ok  {name}: WeChat's API answers",
        f"ok  {name}: callback {server.url}{shop.path} is there",
        f"ok  {name}: the menu on phones is ours",
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
    code, said = well
    lines = said.splitlines()
    # The phone page is built by the set-up; where it is not, that is the one thing doctor finds.
    assert code == (0 if "ok  pages are built" in lines else 1), said
    assert [line for line in lines if not any(word in line for word in ("Python", "pages", "PostgreSQL"))] == fine

    sealed = "!!  FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut"
    refused = "ClientConnectorError"
    token = f"no access token from http://127.0.0.1:{nowhere}: /cgi-bin/stable_token: {refused}"
    away = "!!  FENSI_DATABASE_URL: PostgreSQL does not answer (ConnectionRefusedError)"
    redis = "!!  FENSI_REDIS_URL: Redis does not answer; tokens and rate limits fall back to each process"
    assert (other_key[0], other_key[1].splitlines()[-1]) == (1, sealed)
    assert (no_wechat[0], no_wechat[1].splitlines()[-1]) == (1, f"!!  {name}: {token}")
    assert (no_database[0], no_database[1].splitlines()[-1]) == (1, away)
    assert no_redis[0] == 1
    assert redis in no_redis[1].splitlines()
    assert (bad_setting[0], len(bad_setting[1].splitlines())) == (2, 1)
    assert bad_setting[1].startswith("FENSI_LOG_LEVEL: ")
