"""From a reply as operators write it (scrm.replies.content) to what the engine sends."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bot.replies import Article, ImageReply, NewsReply, Reply, TextReply
from bot.router import Context


def say(context: Context, content: Mapping[str, Any]) -> Reply | None:
    """Return the passive reply for a content, or put on the way after it what no passive reply can hold."""
    match content["type"]:
        case "text":
            return _text(content["content"])
        case "image":
            return ImageReply(content["media_id"])
        case "news":
            article = Article(
                title=content["title"],
                description=content["description"],
                picture_url=content["pic_url"],
                url=content["url"],
            )
            return NewsReply((article,))
        case "miniprogrampage":
            card = {name: content[name] for name in ("title", "appid", "pagepath", "thumb_media_id")}
            context.later.append({"msgtype": "miniprogrampage", "miniprogrampage": card})
            return None
        case unknown:
            raise ValueError(f"reply.type: {unknown!r} is not known")


@lru_cache(maxsize=256)  # the same words go to many, and what is made of them is kept by the reply
def _text(words: str) -> TextReply:
    return TextReply(words)
