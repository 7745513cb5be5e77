"""The demo and what `serve` uses never meet: neither does the demo write there, nor are its staff let in there."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext

from app import demo_staff
from kit.clock import SystemClock
from scrm import db as scrm_db
from scrm.staff import service
from scrm.staff.audit import COMMAND_LINE
from scrm.staff.passwords import Passwords
from scrm.staff.queries import staff_by_login
from simulator.server import SimulatorServer
from tests.conftest import free_port
from tests.e2e.processes import Fensi, open_shop

pytestmark = pytest.mark.e2e

MADE = "演示数据已生成：200 位会员，一个月的互动记录\n"
FOUND = "沿用已有的演示数据\n"
NONE = "no accounts yet: fensi accounts add --help\n"
OPEN = (
    "staff of the demo can sign in here with a password that everybody knows: chen.qing, li.na, wang.qiang; "
    "give each another (`fensi staff reset LOGIN`), or use another database"
)


async def written() -> list[int]:
    rows = await scrm_db.fetch("SELECT (SELECT count(*) FROM account) AS a, (SELECT count(*) FROM staff) AS s")
    return [rows[0]["a"], rows[0]["s"]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside pytest's own, which the embedded PostgreSQL's user cannot enter."""
    with tempfile.TemporaryDirectory(prefix="fensi_test_") as made:
        yield Path(made)


async def test_the_demo_leaves_a_configured_database_alone(
    db: TortoiseContext, folder: Path, database_url: str
) -> None:
    fensi = Fensi(folder, database_url, "http://127.0.0.1:9")
    assert await fensi.run("demo", "--no-wait") == (0, MADE)
    assert await written() == [0, 0]
    assert await fensi.run("accounts", "list") == (0, NONE)
    # A second start finds its data, and a command at the demo does, too; whatever key is set.
    assert await fensi.run("demo", "--no-wait", secret_key="another key than at the first start") == (0, FOUND)
    code, said = await fensi.run("demo", "accounts", "list")
    assert (code, [line.split()[1] for line in said.splitlines()]) == (0, ["service", "miniprogram"])
    assert [path.name for path in (folder / "var").iterdir()] == ["demo"]
    # Without a database configured, `serve` has an embedded one that is not the demo's either; doctor tells so.
    code, said = await fensi.run("doctor", database_url="", secret_key="")
    assert "!!  the embedded PostgreSQL runs and has no data yet: `fensi accounts add --help`" in said.splitlines()
    assert f"ok  no FENSI_SECRET_KEY: a key will be made in {folder}/var/secret.key" in said.splitlines()
    assert await fensi.run("accounts", "list", database_url="") == (0, NONE)
    assert (await fensi.run("staff", "list", database_url=""))[1] == "nobody yet: fensi staff add --help\n"


async def test_the_demo_refuses_the_database_of_somebody_else(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer, database_url: str
) -> None:
    said = "FENSI_DEMO_DATABASE_URL: must be another database than FENSI_DATABASE_URL\n"
    assert await fensi.run("demo", "--no-wait", demo_database_url=database_url) == (2, said)
    await open_shop(wechat)
    said = "FENSI_DEMO_DATABASE_URL: holds accounts or staff that are not the demo's\n"
    assert await fensi.run("demo", "--no-wait", demo_database_url=database_url, database_url="") == (1, said)
    assert await written() == [1, 0]


async def test_a_demo_database_that_was_not_migrated(tmp_path: Path, empty_database_url: str) -> None:
    fensi = Fensi(tmp_path, None, "http://127.0.0.1:9", demo_database_url=empty_database_url)
    code, said = await fensi.run("demo", "--no-wait")
    assert (code, said.endswith("migrations: run `fensi demo migrate`\n")) == (1, True)
    assert (await fensi.run("demo", "migrate"))[0] == 0
    assert await fensi.run("demo", "--no-wait") == (0, MADE)


async def test_the_demos_staff_are_let_in_nowhere_else(db: TortoiseContext, fensi: Fensi, database_url: str) -> None:
    now = SystemClock().now()
    await demo_staff.ensure(now)
    for command in ("serve", "worker"):
        assert await fensi.run(command, port="0", worker_port="0") == (1, f"{OPEN}\n")
    code, said = await fensi.run("serve", "--workers", "2", port=str(free_port()))
    assert (code, said) == (1, f"{OPEN}\n")
    code, said = await fensi.run("doctor")
    assert (code, f"!!  {OPEN}" in said.splitlines()) == (1, True)

    # In the demo they are as they should be.
    serving = await fensi.start(
        "demo",
        "serve",
        settings={"demo_database_url": database_url, "database_url": "", "port": "0", "log_level": "info"},
    )
    await serving.said('"serving"')
    assert (
        "password that everybody knows"
        not in (await fensi.run("demo", "doctor", demo_database_url=database_url, database_url=""))[1]
    )

    # Whoever is called like one of them, with a password of their own, is nobody's business.
    for login in ("chen.qing", "li.na", "wang.qiang"):
        who = await staff_by_login(login)
        assert who is not None
        await service.reset_password(
            Passwords(), COMMAND_LINE, by=None, staff_id=who.id, password="a-word-of-our-own-7", now=now
        )
    assert "password that everybody knows" not in (await fensi.run("doctor"))[1]
    await fensi.serve()
