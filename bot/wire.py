"""What a push is once read: the base of all messages and events, their fields and their registers.

A type of push is one frozen dataclass whose attributes name where they stand on the wire::

    @event("CLICK")
    @dataclass(frozen=True, slots=True)
    class ClickEvent(Event):
        key: str = text("EventKey")

Reading is tolerant: an attribute that is missing or is no number is `""`, `None` or `()`, because half a
message is better than none; the raw `fields` stay beside it. What a fan wrote or is stays out of `repr`,
so that no log line or trace can show it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, TypeVar

_PATH: Final = "path"
_READ: Final = "read"
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?")


def text(path: str) -> str:
    """Declare a text attribute, `""` when missing. `path` is dotted, also for the fields below."""
    return field(default="", repr=False, metadata={_PATH: path, _READ: _text})


def optional(path: str) -> str | None:
    """Declare a text attribute, `None` when missing or empty."""
    return field(default=None, repr=False, metadata={_PATH: path, _READ: lambda value: _text(value) or None})


def integer(path: str) -> int | None:
    """Declare a whole number, `None` when missing or not one."""
    return field(default=None, repr=False, metadata={_PATH: path, _READ: read_integer})


def decimal(path: str) -> float | None:
    """Declare a finite number, `None` when missing or not one."""
    return field(default=None, repr=False, metadata={_PATH: path, _READ: _decimal})


def texts(path: str, name: str = "") -> tuple[str, ...]:
    """Declare a list of texts; with `name`, of that field of each of its rows."""

    def read(value: Any) -> tuple[str, ...]:
        if name:
            return tuple(_text(row.get(name)) for row in _rows(value))
        return tuple(_text(item) for item in value) if isinstance(value, list) else ()

    return field(default=(), repr=False, metadata={_PATH: path, _READ: read})


def rows(path: str, row: type[_T]) -> tuple[_T, ...]:
    """Declare a list of records, each a dataclass declared like a message."""

    def read(value: Any) -> tuple[_T, ...]:
        return tuple(build(row, item) for item in _rows(value))

    return field(default=(), repr=False, metadata={_PATH: path, _READ: read})


def read_integer(value: Any) -> int | None:
    """Return the whole number that a field's text is, `None` when it is none (or over 20 digits)."""
    # int() alone would take spaces, underscores and other scripts' digits.
    if isinstance(value, str) and value.isascii() and len(value) <= 20 and value.removeprefix("-").isdigit():
        return int(value)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decimal(value: Any) -> float | None:
    # float() alone would take all that int() takes, and nan and inf.
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def _rows(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Message:
    """A push of any kind: who wrote, to which account, when (Unix seconds), and every field as it came.

    `fields` has the shape of `bot.normalise`; treat it as read-only.
    """

    kind: ClassVar[str] = "wechat.unknown"
    """What the timeline calls it."""

    to_user: str
    openid: str = field(repr=False)
    created_at: int
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def msg_type(self) -> str:
        """MsgType as it came."""
        return str(self.fields["MsgType"])

    @property
    def dedupe_key(self) -> str:
        """Equal for the deliveries of one push, different for different pushes of one account.

        Without an id of WeChat's only the whole content tells. At most 200 characters.
        """
        return content_key(self)


def content_key(push: Message) -> str:
    """Return the `dedupe_key` of a push that has nothing but its content to tell it by."""
    return f"{push.openid}:{push.created_at}:{_digest(repr(sorted(push.fields.items())))}"


@dataclass(frozen=True, slots=True)
class UserMessage(Message):
    """Something a fan sent; WeChat gives it an id, 64 bits of digits or, from mini-programs, a string.

    Whoever writes from an article is told by `msg_data_id`, and which one of a mass send's by `article_index`.
    """

    msg_data_id: str | None = optional("MsgDataId")
    article_index: int | None = integer("Idx")

    @property
    def msg_id(self) -> str:
        """MsgId, `""` when there is none."""
        return _text(self.fields.get("MsgId")) or _text(self.fields.get("MsgID"))

    @property
    def dedupe_key(self) -> str:
        """MsgId and openid: two fans may well have the same MsgId (wechat.md §2.3)."""
        msg_id = self.msg_id
        if not msg_id:
            return content_key(self)
        return f"{self.openid}:{msg_id if len(msg_id) <= 64 else _digest(msg_id)}"


@dataclass(frozen=True, slots=True)
class Event(Message):
    """Something that happened; events have no id."""

    @property
    def event(self) -> str:
        """The event's name as it came, `""` when there is none."""
        return _text(self.fields.get("Event"))

    @property
    def dedupe_key(self) -> str:
        """The openid, CreateTime, Event, EventKey and Ticket of wechat.md §2.3, and the ids of reports.

        The ids (of a template message, a publication, a checked picture, an order …) keep two reports of
        one second apart.
        """
        get = self.fields.get
        parts = [_text(get(name)) for name in _IDENTITY]
        for row in _rows(get("List")):
            parts += [_text(row.get(name)) for name in _LIST_IDENTITY]
        parts.append(_text(_at(self.fields, ("PublishEventInfo", "publish_id"))))
        # The normaliser lets no NUL through, so joining by it is unambiguous.
        return f"{self.openid}:{self.created_at}:{_digest(chr(0).join(parts))}"


_IDENTITY: Final = (
    "Event",
    "EventKey",
    "Ticket",
    "MsgID",
    "trace_id",
    "punish_id",
    "transaction_id",
    "merchant_trade_no",
    "OpenID",
    "RevokeInfo",
)
_LIST_IDENTITY: Final = ("TemplateId", "MsgID", "SubscribeStatusString")

MESSAGES: Final[dict[str, type[UserMessage]]] = {}
"""Message types by MsgType, in lower case."""

EVENTS: Final[dict[str, type[Event]]] = {}
"""Event types by Event, in lower case: WeChat itself writes some names either way."""

_M = TypeVar("_M", bound=UserMessage)
_E = TypeVar("_E", bound=Event)
_T = TypeVar("_T")
# Where a field stands (its name at the top, the path below it), how it is read, and what it is when missing.
_Spec = tuple[str, tuple[str, ...], Callable[[Any], Any], Any]
_SPECS: Final[dict[type, tuple[_Spec, ...]]] = {}


def message(msg_type: str) -> Callable[[type[_M]], type[_M]]:
    """Register the class of one MsgType and give it its `kind`."""

    def register(cls: type[_M]) -> type[_M]:
        cls.kind = f"wechat.{msg_type.lower()}"
        MESSAGES[_unused(MESSAGES, msg_type)] = cls
        return cls

    return register


def event(name: str) -> Callable[[type[_E]], type[_E]]:
    """Register the class of one Event and give it its `kind`."""

    def register(cls: type[_E]) -> type[_E]:
        cls.kind = f"wechat.event.{name.lower()}"
        EVENTS[_unused(EVENTS, name)] = cls
        return cls

    return register


def _unused(registry: Mapping[str, object], name: str) -> str:
    if name.lower() in registry:
        raise ValueError(f"{name}: registered twice")
    return name.lower()


def build(cls: type[_T], source: Mapping[str, Any], *head: Any) -> _T:
    """Construct a declared class from the fields it names; `head` are its undeclared first attributes."""
    specs = _SPECS.get(cls)
    if specs is None:
        specs = _SPECS[cls] = tuple(
            (top, tuple(below), f.metadata[_READ], f.default)
            for f in fields(cls)  # type: ignore[arg-type]  # every class that comes here is a dataclass
            if _PATH in f.metadata
            for top, *below in [f.metadata[_PATH].split(".")]
        )
    values = []
    for top, below, read, default in specs:
        value = source.get(top)
        if below:
            value = _at(value, below)
        values.append(default if value is None else read(value))
    return cls(*head, *values)


def _at(source: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        source = source.get(name) if isinstance(source, dict) else None
    return source


def _digest(identity: str) -> str:
    return hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()
