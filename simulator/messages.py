"""What an account may say: checks passive replies and API messages and turns both into phone content."""

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from simulator.errors import RefusedError
from simulator.wire import WireError
from simulator.world import Account, Json, Media, Message, Thread, World

TEXT_BYTES = 2048
_CHOICE = re.compile(r"""href\s*=\s*(["'])\s*weixin://bizmsgmenu\?(?P<query>.*?)\1""", re.IGNORECASE)
MEDIA_LIFETIME = 3 * 24 * 3600  # seconds, of temporary media

# What each kind of account may send by the customer-service API.
CUSTOM_OFFICIAL = {
    "text",
    "image",
    "voice",
    "video",
    "music",
    "news",
    "mpnews",
    "mpnewsarticle",
    "msgmenu",
    "wxcard",
    "miniprogrampage",
}
CUSTOM_MINIPROGRAM = {"text", "image", "link", "miniprogrampage"}
COVERS = ("image", "thumb")  # types of media that may be a cover


def find_media(world: World, appid: str, media_id: object) -> Media | None:
    """Return the account's media unless it is unknown or older than three days."""
    media = world.media.get(str(media_id))
    if media is None or media.appid != appid:
        return None
    if not media.permanent and world.clock.time() - media.created_at > MEDIA_LIFETIME:
        return None
    return media


def media_url(media_id: str) -> str:
    """Return where the phone page finds a file."""
    return f"/phone/media/{media_id}"


def choices(message: Message) -> list[Json]:
    """Return what a fan can tap in a message, {"id", "content"}: a msgmenu's entries and weixin://bizmsgmenu links."""
    if message.sender != "account" or message.type not in ("text", "msgmenu"):
        return []
    said = " ".join(str(message.content.get(name, "")) for name in ("text", "head", "tail"))
    links = [parse_qs(html.unescape(found["query"])) for found in _CHOICE.finditer(said)]
    entries: list[Json] = message.content.get("items", [])
    return entries + [
        {"id": link.get("msgmenuid", [""])[0], "content": link["msgmenucontent"][0]}
        for link in links
        if "msgmenucontent" in link
    ]


def template_rows(content: str, data: Json) -> list[Json]:
    """Fill the lines of a template ("订单号：{{thing1.DATA}}") for the phone page."""
    rows = []
    for line in content.splitlines():
        found = re.match(r"(?P<label>.*?)[：:]?\s*\{\{\s*(?P<key>\w+)\.DATA\s*\}\}", line)
        if found:
            given = data.get(found["key"], {})
            value, color = str(given.get("value", "")), given.get("color")
            rows.append({"key": found["key"], "label": found["label"], "value": value, "color": color})
    return rows


# API messages


def custom(world: World, account: Account, body: Json) -> tuple[str, Json]:
    """Check a customer-service message and return its phone type and content.

    Raises RefusedError 40008 for a type that this kind of account cannot send, 40007, 45002, 44004, 45008,
    40035 and 47001 as the platform does.
    """
    kind = body.get("msgtype")
    allowed = CUSTOM_MINIPROGRAM if account.kind == "miniprogram" else CUSTOM_OFFICIAL
    if not isinstance(kind, str) or kind not in allowed:
        raise RefusedError(40008)
    part = body.get(kind)
    if not isinstance(part, dict):
        raise RefusedError(47001, f"{kind} missing")
    return kind if kind != "mpnews" else "mpnewsarticle", _CUSTOM[kind](world, account, part)


def _required(part: Json, *names: str) -> None:
    for name in names:
        if not isinstance(part.get(name), str) or not part[name]:
            raise RefusedError(40035, f"{name} missing")


def _file(world: World, account: Account, part: Json, *kinds: str, name: str = "media_id") -> Media:
    media = find_media(world, account.appid, part.get(name))
    if media is None or media.type not in kinds:
        raise RefusedError(40007)
    return media


def _cover(world: World, account: Account, part: Json) -> str:
    return media_url(_file(world, account, part, *COVERS, name="thumb_media_id").id)


def _text(world: World, account: Account, part: Json) -> Json:
    content = part.get("content")
    if not isinstance(content, str) or not content:
        raise RefusedError(44004)
    if len(content.encode()) > TEXT_BYTES:
        raise RefusedError(45002)
    return {"text": content}


def _image(world: World, account: Account, part: Json) -> Json:
    return {"url": media_url(_file(world, account, part, "image").id)}


def _voice(world: World, account: Account, part: Json) -> Json:
    return {"url": media_url(_file(world, account, part, "voice").id), "seconds": 5}


def _video(world: World, account: Account, part: Json) -> Json:
    media = _file(world, account, part, "video")
    return {
        "url": media_url(media.id),
        "title": str(part.get("title", media.title)),
        "description": str(part.get("description", media.description)),
        "thumb": _cover(world, account, part) if part.get("thumb_media_id") else None,
    }


def _music(world: World, account: Account, part: Json) -> Json:
    _required(part, "musicurl")
    _cover(world, account, part)
    title, description = str(part.get("title", "")), str(part.get("description", ""))
    return {"title": title, "description": description, "url": part["musicurl"]}


def _news(world: World, account: Account, part: Json) -> Json:
    articles = part.get("articles")
    if not isinstance(articles, list) or len(articles) != 1 or not isinstance(articles[0], dict):
        raise RefusedError(45008)
    article = articles[0]
    return {"articles": [{k: str(article.get(k, "")) for k in ("title", "description", "picurl", "url")}]}


def _article(world: World, account: Account, part: Json) -> Json:
    name = "article_id" if "article_id" in part else "media_id"
    _required(part, name)
    return {"articles": [{"title": "图文消息", "description": part[name], "picurl": "", "url": ""}]}


def _msgmenu(world: World, account: Account, part: Json) -> Json:
    items = part.get("list")
    if not isinstance(items, list) or not items or not all(isinstance(i, dict) for i in items):
        raise RefusedError(40035, "list missing")
    return {
        "head": str(part.get("head_content", "")),
        "items": [{"id": str(i.get("id", "")), "content": str(i.get("content", ""))} for i in items],
        "tail": str(part.get("tail_content", "")),
    }


def _card(world: World, account: Account, part: Json) -> Json:
    _required(part, "card_id")
    return {"title": "卡券", "card_id": part["card_id"]}


def _page(world: World, account: Account, part: Json) -> Json:
    _required(part, "pagepath")
    if account.kind != "miniprogram":
        _required(part, "title", "appid")
    return {
        "title": str(part.get("title", "")),
        "appid": str(part.get("appid", account.appid)),
        "pagepath": part["pagepath"],
        "thumb": _cover(world, account, part),
    }


def _link(world: World, account: Account, part: Json) -> Json:
    _required(part, "title", "url")
    return {"title": part["title"], "description": str(part.get("description", "")), "url": part["url"]}


_CUSTOM: dict[str, Callable[[World, Account, Json], Json]] = {
    "text": _text,
    "image": _image,
    "voice": _voice,
    "video": _video,
    "music": _music,
    "news": _news,
    "mpnews": _article,
    "mpnewsarticle": _article,
    "msgmenu": _msgmenu,
    "wxcard": _card,
    "miniprogrampage": _page,
    "link": _link,
}


# passive replies


def passive(world: World, account: Account, thread: Thread, reply: Json) -> tuple[str, Json]:
    """Check a passive reply, already opened and read, and return its phone type and content.

    Raises WireError where WeChat would tell the fan that the account is out of service.
    """
    if reply.get("ToUserName") != thread.openid:
        raise WireError("ToUserName 应为粉丝的 openid")
    if reply.get("FromUserName") != account.username:
        raise WireError("FromUserName 应为公众号的原始 ID")
    if not str(reply.get("CreateTime", "")).isdigit():
        raise WireError("CreateTime 应为整数")
    kind = str(reply.get("MsgType", ""))
    if account.kind == "miniprogram" and kind != "transfer_customer_service":
        raise WireError("小程序只能被动回复 transfer_customer_service")
    if kind not in _PASSIVE:
        raise WireError(f"MsgType 不支持：{kind}")
    return _PASSIVE[kind](world, account, reply)


def _child(reply: Json, name: str) -> Json:
    part = reply.get(name)
    if not isinstance(part, dict):
        raise WireError(f"缺少 {name}")
    return part


def _reply_file(world: World, account: Account, part: Json, *kinds: str, name: str = "MediaId") -> Media:
    media = find_media(world, account.appid, part.get(name))
    if media is None:
        raise WireError(f"{name} 不存在")
    if media.type not in kinds:
        raise WireError(f"{name} 不是 {' 或 '.join(kinds)}")
    return media


def _reply_text(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    text = reply.get("Content")
    if not isinstance(text, str) or not text:
        raise WireError("Content 不能为空")
    if len(text.encode()) > TEXT_BYTES:
        raise WireError(f"Content 超过 {TEXT_BYTES} 字节")
    return "text", {"text": text}


def _reply_image(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    media = _reply_file(world, account, _child(reply, "Image"), "image")
    if media.content_type == "image/gif":
        raise WireError("被动回复的图片不支持 gif")
    return "image", {"url": media_url(media.id)}


def _reply_voice(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    media = _reply_file(world, account, _child(reply, "Voice"), "voice")
    return "voice", {"url": media_url(media.id), "seconds": 5}


def _reply_video(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    part = _child(reply, "Video")
    media = _reply_file(world, account, part, "video")
    title, description = str(part.get("Title", "")), str(part.get("Description", ""))
    return "video", {
        "url": media_url(media.id),
        "title": title,
        "description": description,
        "thumb": None,
    }


def _reply_music(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    part = _child(reply, "Music")
    _reply_file(world, account, part, *COVERS, name="ThumbMediaId")
    url = str(part.get("MusicUrl") or part.get("HQMusicUrl") or "")
    title, description = str(part.get("Title", "")), str(part.get("Description", ""))
    return "music", {"title": title, "description": description, "url": url}


def _reply_news(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    item: Any = _child(reply, "Articles").get("item")
    if str(reply.get("ArticleCount")) != "1" or not isinstance(item, dict):
        raise WireError("图文消息应为 1 条，且与 ArticleCount 一致")
    names = {"title": "Title", "description": "Description", "picurl": "PicUrl", "url": "Url"}
    return "news", {"articles": [{ours: str(item.get(theirs, "")) for ours, theirs in names.items()}]}


def _reply_transfer(world: World, account: Account, reply: Json) -> tuple[str, Json]:
    return "event", {"text": "正在为你转接人工客服"}


_PASSIVE: dict[str, Callable[[World, Account, Json], tuple[str, Json]]] = {
    "text": _reply_text,
    "image": _reply_image,
    "voice": _reply_voice,
    "video": _reply_video,
    "music": _reply_music,
    "news": _reply_news,
    "transfer_customer_service": _reply_transfer,
}
