"""A database that goes away: a forwarder between the pool and the server, which can be shut and opened again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from scrm.db import credentials


class Gate:
    """Forwards one TCP port to a server; while shut it cuts what is open and refuses what is new."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The same database through the gate."""
        parts = urlsplit(self._target)
        return urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{self.port}", query=""))

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = credentials(self._target)
        if str(where["host"]).startswith("/"):
            up = await asyncio.open_unix_connection(f"{where['host']}/.s.PGSQL.{where['port']}")
        else:
            up = await asyncio.open_connection(where["host"], where["port"])
        self._writers |= {writer, up[1]}
        await asyncio.gather(self._pump(reader, up[1]), self._pump(up[0], writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)


@asynccontextmanager
async def gate(target: str) -> AsyncIterator[Gate]:
    """Stand a gate, opened, before a database."""
    made = Gate(target)
    await made.open()
    try:
        yield made
    finally:
        await made.shut()
