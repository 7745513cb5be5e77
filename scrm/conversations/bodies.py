"""What the staff may send, as a customer-service body; and any body as the one line that a list shows."""

from collections.abc import Mapping
from typing import Any

from scrm.errors import Invalid
from scrm.replies.content import check

# Bytes of UTF-8 that the platform takes in one text.
TEXT_BYTES = 2048
_NAMES = {
    "image": "[图片]", "voice": "[语音]", "video": "[视频]", "shortvideo": "[小视频]", "location": "[位置]",
    "link": "[链接]", "news": "[图文]", "miniprogrampage": "[小程序]", "music": "[音乐]",
}  # fmt: skip


def body_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the customer-service body (without `touser`) of a reply as data. Raises Invalid naming the field."""
    data = check(dict(content))
    match data["type"]:
        case "text":
            text = data["content"].strip()
            if not text:
                raise Invalid("请输入内容", field="reply.content")
            if len(text.encode()) > TEXT_BYTES:
                raise Invalid("文字太长，请分几条发送（最多约 680 个汉字）", field="reply.content")
            return {"msgtype": "text", "text": {"content": text}}
        case "image":
            return {"msgtype": "image", "image": {"media_id": data["media_id"]}}
        case "news":
            article = {
                "title": data["title"],
                "description": data["description"],
                "url": data["url"],
                "picurl": data["pic_url"],
            }
            return {"msgtype": "news", "news": {"articles": [article]}}
        case "miniprogrampage":
            card = {name: data[name] for name in ("title", "appid", "pagepath", "thumb_media_id")}
            return {"msgtype": "miniprogrampage", "miniprogrampage": card}
        case _:
            raise Invalid("这种内容不能发送给粉丝", field="reply.type")


def line_of(body: Mapping[str, Any]) -> str:
    """Return one line for a message, ours (a body) or a fan's (`msgtype` and `content`)."""
    kind = body["msgtype"]
    text = body.get("content") or (body.get("text") or {}).get("content") or ""
    if kind == "text":
        return " ".join(str(text).split())
    title = (body.get("miniprogrampage") or {}).get("title") or ""
    if kind == "news" and (articles := (body.get("news") or {}).get("articles")):
        title = articles[0]["title"]
    return " ".join(f"{_NAMES.get(kind, '[消息]')} {text or title}".split())
