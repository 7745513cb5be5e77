"""Trouble on request: rules that make API answers or callback pushes go wrong."""

from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.errors import TEXTS
from simulator.world import World

REQUEST = "wx.request"  # the path that stands for a mini-program's requests to its own server


@dataclass
class ApiFault:
    """How calls of one API go wrong. Unset parts do nothing, so parts combine.

    `path` "*" means every API, "wx.request" what mini-programs ask their own servers; `times` None means
    until removed; `delay` seconds; `drop` closes the connection before or after the call took effect: to the
    caller both look the same.
    """

    path: str = "*"
    appid: str | None = None
    times: int | None = 1
    probability: float = 1.0
    delay: float = 0.0
    errcode: int | None = None
    errmsg: str | None = None
    drop: Literal["before", "after"] | None = None
    status: int | None = None  # an HTTP status such as 500
    say: str | None = None  # what the language model says instead, see simulator.llm

    @property
    def text(self) -> str:
        """The errmsg that goes with the errcode."""
        return self.errmsg or TEXTS.get(self.errcode or 0, "error")


@dataclass
class CallbackFault:
    """How pushes go wrong.

    `delay` and `jitter` in seconds (`jitter` waits a random part of it, which reorders pushes sent
    together); `copies` deliveries of the same push, drawn between min and max: 0 never delivers it; `urls`
    to spread copies and attempts over; `drop_responses` attempts whose answer is thrown away, as if it had
    never come.
    """

    appid: str | None = None
    times: int | None = 1
    probability: float = 1.0
    delay: float = 0.0
    jitter: float = 0.0
    copies: tuple[int, int] = (1, 1)
    concurrent: bool = True
    urls: list[str] = field(default_factory=list)
    drop_responses: int = 0


@dataclass
class Faults:
    """The rules in force; the first that matches is applied and counted down."""

    world: World
    api: list[ApiFault] = field(default_factory=list)
    callback: list[CallbackFault] = field(default_factory=list)

    def add_api(self, **fields: Any) -> ApiFault:
        """Add a rule for API calls."""
        fault = ApiFault(**fields)
        self.api.append(fault)
        return fault

    def add_callback(self, **fields: Any) -> CallbackFault:
        """Add a rule for pushes."""
        fault = CallbackFault(**fields)
        self.callback.append(fault)
        return fault

    def clear(self) -> None:
        """Remove every rule."""
        self.api.clear()
        self.callback.clear()

    def for_api(self, path: str, appid: str) -> ApiFault | None:
        """Return the rule for this call, if any, and count it down."""
        for fault in self.api:
            if fault.path in ("*", path) and fault.appid in (None, appid) and self._strikes(fault):
                return fault
        return None

    def for_request(self, appid: str) -> ApiFault | None:
        """Return the rule for a mini-program's request to its own server, if any, and count it down."""
        for fault in self.api:
            if fault.path == REQUEST and fault.appid in (None, appid) and self._strikes(fault):
                return fault
        return None

    def for_callback(self, appid: str) -> CallbackFault:
        """Return the rule for this push; without one, a rule that changes nothing."""
        for fault in self.callback:
            if fault.appid in (None, appid) and self._strikes(fault):
                return fault
        return CallbackFault()

    def _strikes(self, fault: ApiFault | CallbackFault) -> bool:
        if fault.times == 0 or self.world.rng.random() >= fault.probability:
            return False
        if fault.times is not None:
            fault.times -= 1
        return True
