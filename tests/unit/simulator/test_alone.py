"""The simulator as its own process: whose state it is, and a sentence for what keeps it from starting."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.conftest import free_port


async def start(*arguments: str, module: str = "simulator", **environment: str) -> Process:
    own = {name: value for name, value in os.environ.items() if not name.startswith("FENSI_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=PIPE, stderr=PIPE, env=own | environment
    )


async def greeting(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


async def refusal(*arguments: str, module: str = "simulator", **environment: str) -> tuple[int | None, str]:
    """Return the exit code and the last line on standard error of one that does not start."""
    process = await start(*arguments, module=module, **environment)
    _, said = await process.communicate()
    assert b"Traceback" not in said, said.decode()
    return process.returncode, said.decode().splitlines()[-1]


async def test_a_state_file_has_one_simulator(tmp_path: Path) -> None:
    state = tmp_path / "wechat.json"
    first = await start("--port", str(free_port()), "--state", str(state))
    try:
        assert (await greeting(first)).startswith("模拟微信已启动")
        code, sentence = await refusal("--port", str(free_port()), "--state", str(state))
        assert code == 1
        assert sentence == f"模拟微信无法启动：状态文件 {state} 正由另一个模拟器使用；用 --state 换一个，或先停止那一个"
        # `fensi simulate` beside it shares the folder, but may be given a file of its own.
        var = tmp_path / "var"
        again = ("simulate", "--port", str(free_port()), "--state", str(state))
        assert await refusal(*again, module="app", FENSI_VAR=str(var)) == (1, sentence)
        # Killed, it leaves nothing behind that would have to be cleared away.
        first.kill()
        await first.wait()
        first = await start("--port", str(free_port()), "--state", str(state))
        assert (await greeting(first)).startswith("模拟微信已启动")
    finally:
        first.kill()
        await first.communicate()


async def test_the_command_keeps_its_state_where_local_data_is(tmp_path: Path) -> None:
    process = await start("simulate", "--port", str(free_port()), module="app", FENSI_VAR=str(tmp_path / "var"))
    try:
        assert (await greeting(process)).startswith("模拟微信已启动")
        assert (tmp_path / "var" / "simulator.json.lock").exists()
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("port", ["99999", "-1", "no"])
async def test_a_wrong_port_is_a_sentence(tmp_path: Path, port: str) -> None:
    sentence = "python -m simulator: error: argument --port: 应为 0 到 65535 的端口号"
    assert await refusal(f"--port={port}") == (2, sentence)


async def test_folders_that_cannot_be_used_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state = tmp_path / "file" / "wechat.json"
    code, sentence = await refusal("--port", str(free_port()), "--state", str(state))
    assert (code, sentence.startswith("模拟微信无法启动："), str(tmp_path / "file") in sentence) == (1, True, True)
    assert await refusal("simulate", module="app", FENSI_VAR=str(tmp_path / "file")) == (
        2,
        f"FENSI_VAR: {tmp_path / 'file'} cannot be used for data: it is no folder",
    )
