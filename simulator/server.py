"""The simulator as a server: puts the world, WeChat's APIs, the phone and the controls behind one address."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from aiohttp import web

from simulator import admin, api, endpoints, llm, mini, phone
from simulator.actions import Actions
from simulator.callbacks import Timing
from simulator.fan import ScriptedFan
from simulator.snapshot import Snapshot
from simulator.wechat import WeChat
from simulator.world import World

__all__ = ["SimulatorServer", "api", "create_app"]


def create_app(
    world: World | None = None,
    *,
    pages: Path | None = None,
    state: Path | None = None,
    timing: Timing | None = None,
) -> web.Application:
    """Build the application. `pages`: folder of the built phone page; `state`: the snapshot file.

    Raises ValueError when the snapshot cannot be read.
    """
    world = world or World()
    wechat = WeChat(world, timing=timing)
    app = web.Application(client_max_size=endpoints.FORM_MOST, middlewares=[admin.loopback_only, phone.errors])
    app[endpoints.WECHAT] = wechat
    app[phone.ACTIONS] = Actions(wechat)
    app[phone.PAGES] = phone.Pages(pages)
    client = app[mini.CLIENT] = mini.MiniClient(wechat, timeout=wechat.callbacks.timing.request_timeout)
    app.add_routes([*endpoints.routes(), *llm.routes(), *phone.routes(), *mini.routes(), *admin.routes()])
    snapshot = Snapshot(world, state) if state is not None else None
    if snapshot is not None:
        snapshot.load()

    async def run(_: web.Application) -> AsyncIterator[None]:
        if snapshot is not None:
            world.on_change = snapshot.mark
        await wechat.start()
        await client.start()
        yield
        await client.stop()
        await wechat.stop()
        if snapshot is not None:
            world.on_change = lambda: None
            await snapshot.close()

    async def end_streams(_: web.Application) -> None:
        world.end_watches()

    app.cleanup_ctx.append(run)
    app.on_shutdown.append(end_streams)
    return app


class SimulatorServer:
    """A running simulator: `async with SimulatorServer() as wechat: … wechat.url …`."""

    def __init__(
        self,
        world: World | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pages: Path | None = None,
        state: Path | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.world = world or World()
        self._app = create_app(self.world, pages=pages, state=state, timing=timing)
        self.wechat: WeChat = self._app[endpoints.WECHAT]
        self.actions: Actions = self._app[phone.ACTIONS]
        self._host, self._port = host, port
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        self.url = ""

    async def start(self) -> Self:
        """Listen; afterwards `url` is known. Raises OSError when the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.url = self.wechat.base_url = f"http://{self._host}:{site.port}"
        return self

    async def stop(self) -> None:
        """Stop listening, end pushes, save the snapshot."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def fan(self, nickname: str = "小粉", **fields: str) -> ScriptedFan:
        """Add a scripted fan; `unionid` and `phone` may be given."""
        return ScriptedFan(self.actions, self.world.add_fan(nickname, **fields))
