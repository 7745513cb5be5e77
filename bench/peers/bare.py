"""The ceiling: an aiohttp server that answers a constant. `python -m bench.peers.bare PORT`, once per process."""

import asyncio
import sys

import uvloop
from aiohttp import web


async def answer(_request: web.Request) -> web.Response:
    """Say success, whatever came."""
    return web.Response(body=b"success", content_type="text/plain")


async def serve(port: int) -> None:
    """Serve until killed, set up as in app.server, whose door it has not: this is aiohttp's own speed."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post(r"/wechat/{account:\d{1,18}}", answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1])))
