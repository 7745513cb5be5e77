"""What the commands say, in one sentence and an exit code, about an installation that is not right."""

from pathlib import Path

import pytest
from tortoise.context import TortoiseContext

from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.processes import Fensi, open_shop

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
    assert (code, said) == (1, "the database lacks 2 migrations: run `fensi migrate`\n")


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
    code, said = await fensi.run("doctor", public_url=server.url)
    lines = said.splitlines()
    assert code == (0 if "ok  pages are built" in lines else 1), said
    assert [line for line in lines if "Python" not in line and "pages" not in line and "PostgreSQL" not in line] == fine

    code, said = await fensi.run("doctor", public_url=server.url, secret_key="another key of ours, not the same")
    assert code == 1
    assert said.splitlines()[-1] == (
        "!!  FENSI_SECRET_KEY is not the one the accounts were added with: their secrets stay shut"
    )

    code, said = await fensi.run(
        "doctor", public_url=f"http://127.0.0.1:{free_port()}", wechat_url=f"http://127.0.0.1:{free_port()}"
    )
    assert code == 1
    assert [line[:2] for line in said.splitlines() if name in line] == ["!!"], said
    assert "no access token" in said.splitlines()[-1]

    gone = f"postgresql://postgres@127.0.0.1:{free_port()}/fensi"
    code, said = await fensi.run("doctor", public_url=server.url, database_url=gone)
    assert code == 1
    assert said.splitlines()[-1].startswith("!!  FENSI_DATABASE_URL: PostgreSQL does not answer"), said

    code, said = await fensi.run("doctor", public_url=server.url, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert code == 1
    assert "!!  FENSI_REDIS_URL: Redis does not answer; tokens and rate limits fall back to each process" in said

    code, said = await fensi.run("doctor", log_level="loud")
    assert (code, len(said.splitlines())) == (2, 1)
    assert said.startswith("FENSI_LOG_LEVEL: ")
