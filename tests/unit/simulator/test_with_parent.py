"""A simulator that was started for a demo ends with it, also when the demo is killed."""

import asyncio
import sys
import urllib.request

from tests.conftest import free_port

# Starts a simulator with its parent, tells when it is there, and waits to be killed.
PARENT = """
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-m", "simulator", "--port", sys.argv[1], "--with-parent"], stdout=subprocess.PIPE
)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/sim/accounts", timeout=2).close()  # our own
    except OSError:  # nobody is there, or died while we asked
        return False
    return True


async def test_it_ends_with_who_started_it() -> None:
    port = free_port()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(port), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert int(await parent.stdout.readline()) > 0
    assert await asyncio.to_thread(_answers, port)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(20):
        while await asyncio.to_thread(_answers, port):  # noqa: ASYNC110  # another process's port
            await asyncio.sleep(0.1)
