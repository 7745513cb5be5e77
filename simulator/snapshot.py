"""Keeps the world in a JSON file, so that a second start finds its fans, threads, menus and QR codes.

Bytes of media lie in a folder beside it, one file each. Tokens, faults and call records are not kept.
A lock beside the file keeps two simulators from overwriting each other's world.
"""

import asyncio
import fcntl
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from simulator import wire
from simulator.world import Account, Fan, Grant, MassJob, Media, Message, QrCode, Thread, World

DEBOUNCE = 1.0  # seconds between a change and its saving
VERSION = 1


class Snapshot:
    """Loads and saves one world; `mark` starts a debounced save. From `load` to `close` the file is ours."""

    def __init__(self, world: World, path: Path, *, debounce: float = DEBOUNCE) -> None:
        self.world = world
        self.path = path
        self.media_folder = path.with_name(path.name + ".media")
        self._debounce = debounce
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._dirty = False
        self._lock: int | None = None

    def load(self) -> bool:
        """Fill the world from the file; returns False where there is none yet.

        Raises ValueError, naming the file, when it cannot be read as a snapshot or another simulator uses it,
        and OSError when its folder cannot be used.
        """
        self._take()
        if not self.path.exists():
            return False
        try:
            restore(self.world, json.loads(self.path.read_bytes()), self.media_folder)
        except (ValueError, KeyError, TypeError) as error:
            self._release()
            raise ValueError(f"{self.path} 不是可用的模拟器状态文件：{error!r}") from error
        return True

    def _take(self) -> None:
        # Not the file itself: every save puts a new one in its place. The lock ends with the process, however it ends.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._release()
            sentence = f"状态文件 {self.path} 正由另一个模拟器使用；用 --state 换一个，或先停止那一个"
            raise ValueError(sentence) from error

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def mark(self) -> None:
        """Note a change; it is saved a little later, together with what follows."""
        self._dirty = True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._debounce, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._saving is not None and not self._saving.done():
            self._timer = asyncio.get_running_loop().call_later(self._debounce, self._begin)
            return
        self._saving = asyncio.create_task(self._save())

    async def _save(self) -> None:
        self._dirty = False
        state = dump(self.world)
        fresh = {m.id: m.data for m in self.world.media.values()}
        await asyncio.to_thread(self._write, state, fresh)

    def _write(self, state: dict[str, Any], media: dict[str, bytes]) -> None:
        self.media_folder.mkdir(exist_ok=True)
        for name, data in media.items():
            target = self.media_folder / name
            if not target.exists():
                target.write_bytes(data)
        part = self.path.with_name(self.path.name + ".part")
        part.write_bytes(wire.to_json(state))
        part.replace(self.path)

    async def close(self) -> None:
        """Save what is not saved yet, and leave the file to others."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if self._saving is not None:
                await self._saving
            if self._dirty:
                await self._save()
        finally:
            self._release()


def dump(world: World) -> dict[str, Any]:
    """Return the world as plain JSON values."""
    media = [{f.name: getattr(m, f.name) for f in fields(m) if f.name != "data"} for m in world.media.values()]
    return {
        "version": VERSION,
        "clock_offset": world.clock.offset,
        "last_id": world.last_id,
        "accounts": [asdict(a) for a in world.accounts.values()],
        "fans": [asdict(f) for f in world.fans.values()],
        "threads": [asdict(t) for t in world.threads.values()],
        "qrcodes": [asdict(q) for q in world.qrcodes.values()],
        "media": media,
        "mass_jobs": [asdict(j) for j in world.mass_jobs.values()],
    }


def restore(world: World, state: dict[str, Any], media_folder: Path) -> None:
    """Put a dumped world back into an empty one."""
    if state["version"] != VERSION:
        raise ValueError(f"version {state['version']}")
    world.clock.offset = state["clock_offset"]
    world.last_id = state["last_id"]
    world.accounts |= {a["appid"]: Account(**a) for a in state["accounts"]}
    world.fans |= {f["id"]: Fan(**f) for f in state["fans"]}
    for t in state["threads"]:
        t["messages"] = [Message(**m) for m in t["messages"]]
        t["grants"] = {scene: Grant(**g) for scene, g in t["grants"].items()}
        world.adopt(Thread(**t))
    world.qrcodes |= {q["ticket"]: QrCode(**q) for q in state["qrcodes"]}
    for m in state["media"]:
        path = media_folder / m["id"]
        world.media[m["id"]] = Media(**m, data=path.read_bytes() if path.exists() else b"")
    world.mass_jobs |= {j["msg_id"]: MassJob(**j) for j in state["mass_jobs"]}
