"""What fans send: every message type of wechat.md §2.5, and the one function that reads a push.

Events are in `bot.push_events`. Adding a type is one class; what has none arrives as `UnknownMessage` or
`UnknownEvent` and keeps all its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.errors import MalformedPush
from bot.push_events import UnknownEvent
from bot.wire import (
    EVENTS,
    MESSAGES,
    Event,
    Message,
    UserMessage,
    build,
    decimal,
    integer,
    message,
    optional,
    read_integer,
    text,
)

__all__ = [
    "Event",
    "ImageMessage",
    "LinkMessage",
    "LocationMessage",
    "Message",
    "MiniProgramPageMessage",
    "ShortVideoMessage",
    "TextMessage",
    "UnknownEvent",
    "UnknownMessage",
    "UserMessage",
    "VideoMessage",
    "VoiceMessage",
    "parse_message",
]

MAX_NAME: Final = 64  # characters of an openid, as the fan table holds them; real ones have 28
_MAX_TIME: Final = 2**32  # seconds; anything later is no time but garbage


@message("text")
@dataclass(frozen=True, slots=True)
class TextMessage(UserMessage):
    """文本. `menu_id` is set when it came from tapping an entry of a msgmenu."""

    content: str = text("Content")
    menu_id: str | None = optional("bizmsgmenuid")


@message("image")
@dataclass(frozen=True, slots=True)
class ImageMessage(UserMessage):
    """图片."""

    url: str = text("PicUrl")
    media_id: str = text("MediaId")


@message("voice")
@dataclass(frozen=True, slots=True)
class VoiceMessage(UserMessage):
    """语音."""

    media_id: str = text("MediaId")
    format: str = text("Format")
    recognition: str | None = optional("Recognition")
    media_id_16k: str | None = optional("MediaId16K")


@message("video")
@dataclass(frozen=True, slots=True)
class VideoMessage(UserMessage):
    """视频."""

    media_id: str = text("MediaId")
    thumb_media_id: str = text("ThumbMediaId")


@message("shortvideo")
@dataclass(frozen=True, slots=True)
class ShortVideoMessage(UserMessage):
    """小视频."""

    media_id: str = text("MediaId")
    thumb_media_id: str = text("ThumbMediaId")


@message("location")
@dataclass(frozen=True, slots=True)
class LocationMessage(UserMessage):
    """位置, in degrees."""

    latitude: float | None = decimal("Location_X")
    longitude: float | None = decimal("Location_Y")
    scale: int | None = integer("Scale")
    label: str = text("Label")


@message("link")
@dataclass(frozen=True, slots=True)
class LinkMessage(UserMessage):
    """链接."""

    title: str = text("Title")
    description: str = text("Description")
    url: str = text("Url")


@message("miniprogrampage")
@dataclass(frozen=True, slots=True)
class MiniProgramPageMessage(UserMessage):
    """小程序卡片, sent to a mini-program's customer service."""

    title: str = text("Title")
    appid: str = text("AppId")
    page_path: str = text("PagePath")
    thumb_url: str = text("ThumbUrl")
    thumb_media_id: str = text("ThumbMediaId")


@dataclass(frozen=True, slots=True)
class UnknownMessage(UserMessage):
    """A MsgType we have no class for; `msg_type` says which."""


def parse_message(fields: Mapping[str, Any]) -> Message:
    """Return the typed message that the fields of `parse_body` are.

    Raises `MalformedPush("field:<Name>")` when MsgType, FromUserName or CreateTime is missing or no such
    thing; everything else missing or wrong is a default (`bot.wire`).
    """
    msg_type = fields.get("MsgType")
    if not isinstance(msg_type, str) or not msg_type:
        raise MalformedPush("field:MsgType")
    openid = fields.get("FromUserName")
    if not isinstance(openid, str) or not 0 < len(openid) <= MAX_NAME:
        raise MalformedPush("field:FromUserName")
    created_at = read_integer(fields.get("CreateTime"))
    if created_at is None or not 0 <= created_at < _MAX_TIME:
        raise MalformedPush("field:CreateTime")
    to_user = fields.get("ToUserName")
    head = (to_user if isinstance(to_user, str) else "", openid, created_at, fields)

    if msg_type.lower() != "event":
        return build(MESSAGES.get(msg_type.lower(), UnknownMessage), fields, *head)
    name = fields.get("Event")
    return build(EVENTS.get(name.lower(), UnknownEvent) if isinstance(name, str) else UnknownEvent, fields, *head)
