"""What we answer: passive replies, rendered for the open request, stored, or sent later (wechat.md §2.4, §2.6).

A reply is one frozen dataclass. `render` makes the body that answers a push; `to_customer_message` makes
the same words for the customer-service API; `to_data` and `from_data` carry it through a JSON column.
Everywhere, characters that XML or PostgreSQL cannot hold are dropped: one of them would cost the fan the
whole answer.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal

from bot.wire import Message

TEXT_LIMIT: Final = 2048
"""Bytes of UTF-8 in one text (wechat.md §2.4)."""

_NOT_TEXT: Final[dict[str, Any]] = {"articles": tuple, "kf_account": str | None, "ai": bool}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class TextReply:
    """文本; at most `TEXT_LIMIT` bytes, see `split_text`. `ai` tells WeChat, where it asks, that a machine wrote it."""

    type: ClassVar[str] = "text"
    content: str
    ai: bool = False


@dataclass(frozen=True, slots=True)
class ImageReply:
    """图片 (no GIF)."""

    type: ClassVar[str] = "image"
    media_id: str


@dataclass(frozen=True, slots=True)
class VoiceReply:
    """语音."""

    type: ClassVar[str] = "voice"
    media_id: str


@dataclass(frozen=True, slots=True)
class VideoReply:
    """视频. Only the customer-service form knows `thumb_media_id`."""

    type: ClassVar[str] = "video"
    media_id: str
    title: str = ""
    description: str = ""
    thumb_media_id: str = ""


@dataclass(frozen=True, slots=True)
class MusicReply:
    """音乐."""

    type: ClassVar[str] = "music"
    title: str = ""
    description: str = ""
    url: str = ""
    hq_url: str = ""
    thumb_media_id: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """One card of a news reply."""

    title: str
    description: str = ""
    picture_url: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class NewsReply:
    """图文: exactly one article, WeChat shows no more; `ValueError` otherwise."""

    type: ClassVar[str] = "news"
    articles: tuple[Article, ...]

    def __post_init__(self) -> None:
        if len(self.articles) != 1:
            raise ValueError(f"articles: WeChat takes exactly 1, got {len(self.articles)}")


@dataclass(frozen=True, slots=True)
class TransferReply:
    """转人工: hand this message to the customer-service system, or to one account of it."""

    type: ClassVar[str] = "transfer"
    kf_account: str | None = None


Reply = TextReply | ImageReply | VoiceReply | VideoReply | MusicReply | NewsReply | TransferReply

_TYPES: Final[dict[str, type[Reply]]] = {
    cls.type: cls for cls in (TextReply, ImageReply, VoiceReply, VideoReply, MusicReply, NewsReply, TransferReply)
}


# --- the answer to a push ---------------------------------------------------------------------------------


def render(reply: Reply, message: Message, now: int, fmt: Literal["xml", "json"]) -> bytes:
    """Return the body that answers `message`, not yet encrypted; `now` is in Unix seconds."""
    msg_type = "transfer_customer_service" if isinstance(reply, TransferReply) else reply.type
    if fmt == "json":
        head = {"ToUserName": message.openid, "FromUserName": message.to_user, "CreateTime": now, "MsgType": msg_type}
        return json.dumps(_clean(head | _body(reply)), ensure_ascii=False).encode()
    return (
        f"<xml><ToUserName>{cdata(message.openid)}</ToUserName><FromUserName>{cdata(message.to_user)}</FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType>{cdata(msg_type)}</MsgType>{_body_xml(reply)}</xml>"
    ).encode()


@lru_cache(maxsize=256)  # a brand says the same words to many
def _body_xml(reply: Reply) -> str:
    return _xml(_body(reply))


def _body(reply: Reply) -> dict[str, Any]:
    match reply:
        case TextReply(content):
            return {"Content": content}
        case ImageReply(media_id):
            return {"Image": {"MediaId": media_id}}
        case VoiceReply(media_id):
            return {"Voice": {"MediaId": media_id}}
        case VideoReply(media_id, title, description):
            return {"Video": _filled(MediaId=media_id, Title=title, Description=description)}
        case MusicReply(title, description, url, hq_url, thumb):
            return {
                "Music": _filled(
                    Title=title, Description=description, MusicUrl=url, HQMusicUrl=hq_url, ThumbMediaId=thumb
                )
            }
        case NewsReply(articles):
            items = [
                {"Title": a.title, "Description": a.description, "PicUrl": a.picture_url, "Url": a.url}
                for a in articles
            ]
            return {"ArticleCount": len(items), "Articles": {"item": items}}
        case TransferReply(kf_account):
            return {"TransInfo": {"KfAccount": kf_account}} if kf_account else {}


def _filled(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _xml(fields: Mapping[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str):
                parts.append(f"<{name}>{cdata(item)}</{name}>")
            elif isinstance(item, int):
                parts.append(f"<{name}>{item}</{name}>")
            else:
                parts.append(f"<{name}>{_xml(item)}</{name}>")
    return "".join(parts)


def cdata(text: str) -> str:
    """Return a CDATA section that reads back as `text` without what XML cannot hold."""
    # What can be printed is legal, and nearly every text can.
    legal = text if text.isprintable() else _ILLEGAL.sub("", text)
    if "]]>" in legal:
        legal = legal.replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{legal}]]>"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _ILLEGAL.sub("", value)
    if isinstance(value, dict):
        return {name: _clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


# --- the same, later --------------------------------------------------------------------------------------


def to_customer_message(reply: Reply) -> dict[str, Any] | None:
    """Return the body of /cgi-bin/message/custom/send without `touser`; `None` for a transfer."""
    content: dict[str, Any]
    match reply:
        case TextReply(content=text):
            content = {"content": text}
        case ImageReply(media_id) | VoiceReply(media_id):
            content = {"media_id": media_id}
        case VideoReply(media_id, title, description, thumb):
            content = {
                "media_id": media_id,
                **_filled(thumb_media_id=thumb, title=title, description=description),
            }
        case MusicReply(title, description, url, hq_url, thumb):
            content = {
                "title": title,
                "description": description,
                "musicurl": url,
                "hqmusicurl": hq_url,
                "thumb_media_id": thumb,
            }
        case NewsReply(articles):
            content = {
                "articles": [
                    {"title": a.title, "description": a.description, "url": a.url, "picurl": a.picture_url}
                    for a in articles
                ]
            }
        case TransferReply():
            return None
    message: dict[str, Any] = _clean({"msgtype": reply.type, reply.type: content})
    if isinstance(reply, TextReply) and reply.ai:
        message["aimsgcontext"] = {"is_ai_msg": 1}
    return message


def to_data(reply: Reply) -> dict[str, Any]:
    """Return a reply as JSON data; `from_data` reads it back."""
    # asdict copies deeply, at ten times the cost; only news goes deep.
    values = asdict(reply) if isinstance(reply, NewsReply) else {name: getattr(reply, name) for name in reply.__slots__}
    if values.get("ai") is False:
        del values["ai"]
    data: dict[str, Any] = _clean({"type": reply.type, **values})
    return data


def from_data(data: Mapping[str, Any]) -> Reply:
    """Return the reply that `to_data` stored; `ValueError` names the field that is wrong."""
    kind = data.get("type")
    cls = _TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError("type: no such reply")
    values = {name: value for name, value in data.items() if name != "type"}
    if cls is NewsReply:
        articles = values.get("articles")
        if not isinstance(articles, list) or not all(isinstance(item, dict) for item in articles):
            raise ValueError("articles: must be a list of objects")
        values["articles"] = tuple(_construct(Article, item) for item in articles)
    reply: Reply = _construct(cls, values)
    return reply


def _construct(cls: type[Any], values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(cls)}
    for name, value in values.items():
        if name not in known or not isinstance(value, _NOT_TEXT.get(name, str)):
            raise ValueError(f"{name}: {cls.__name__} has no such field, or not of that type")
    try:
        return cls(**values)
    except TypeError as error:  # "missing 1 required positional argument: 'content'"
        raise ValueError(f"{cls.__name__}: {error}") from None


# --- long texts -------------------------------------------------------------------------------------------

# Where a reader does not mind a break, best first; each matches up to and including the break.
_BREAKS: Final = (
    re.compile(r".*\n", re.DOTALL),
    re.compile(r".*(?:[。！？；…][”’」』）]?|[.!?;][\"')]?\s)", re.DOTALL),
    re.compile(r".*[\s，、：,]", re.DOTALL),
)


_TAG = re.compile(r"<(/?)([a-zA-Z]+)(?:\s[^<>]*)?>")


def split_text(content: str, limit: int = TEXT_LIMIT) -> list[str]:
    """Cut a text into parts of at most `limit` bytes of UTF-8 whose concatenation is the text.

    A part ends after a line, a sentence or a word where one ends in its second half, and at a character
    otherwise; never in a tag or between `<a …>` and `</a>`, where these fit a part. Raises `ValueError` for a
    limit under 4, which no emoji fits.
    """
    if limit < 4:
        raise ValueError("limit: must be at least 4 bytes")
    parts = []
    # A lone surrogate counts 3 bytes here although `render` drops it: too short is harmless.
    rest = content.encode("utf-8", "surrogatepass")
    whole = _unbroken(content, limit) if len(rest) > limit else []
    # What is not to be broken offers no break.
    offered = _masked(content, whole)
    begin = 0
    while len(rest) > limit:
        end = limit
        while rest[end] & 0xC0 == 0x80:  # a continuation byte: `end` is inside a character
            end -= 1
        stop = begin + len(rest[:end].decode("utf-8", "surrogatepass"))
        n = bisect_left(whole, (stop, 0)) - 1
        if n >= 0 and stop < whole[n][1]:  # it would be broken here, and fits the next part
            stop = whole[n][0]
        for pattern in _BREAKS:
            found = pattern.match(offered, begin, stop)
            if found and (found.end() - begin) * 2 >= stop - begin:
                stop = found.end()
                break
        parts.append(content[begin:stop])
        rest = rest[len(parts[-1].encode("utf-8", "surrogatepass")) :]
        begin = stop
    parts.append(content[begin:])
    return parts


def _unbroken(content: str, limit: int) -> list[tuple[int, int]]:
    """Return where links and other tags begin and end that fit a part; in order, none inside another."""

    def fits(begin: int, end: int) -> bool:
        return end - begin <= limit and len(content[begin:end].encode("utf-8", "surrogatepass")) <= limit

    found: list[tuple[int, int]] = []
    link: tuple[int, int] | None = None  # where it began, and how many were found before it
    for tag in _TAG.finditer(content):
        closing, is_link = tag[1] == "/", tag[2] in {"a", "A"}
        if is_link and closing and link is not None and fits(link[0], tag.end()):
            found[link[1] :] = [(link[0], tag.end())]
        else:
            if is_link and not closing:
                link = tag.start(), len(found)
            if fits(*tag.span()):
                found.append(tag.span())
        if is_link and closing:
            link = None
    return found


def _masked(content: str, whole: list[tuple[int, int]]) -> str:
    pieces, at = [], 0
    for begin, end in whole:
        pieces += [content[at:begin], "x" * (end - begin)]
        at = end
    return "".join([*pieces, content[at:]])
