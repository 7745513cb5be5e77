"""What staff say: messages, pictures, points, notes; and the draft that the assistant writes for them."""

import base64
import io
from typing import Annotated, Any

from pydantic import BaseModel, Field

from console.inbox import ANSWER, brand_of, opened
from console.sendable import refusal
from console.surface import SURFACE, Call
from gateways.wechat.client import WeChatClient
from gateways.wechat.errors import WeChatError, WeChatFailure
from gateways.wechat.transport import field
from kit.delivery import Sender
from scrm.assistant import phrases
from scrm.assistant.answering import Question
from scrm.assistant.answers import Record
from scrm.conversations import giving, lines, queries
from scrm.conversations.queries import InboxRow
from scrm.conversations.words import asks_for_person
from scrm.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from scrm.replies.rules import fold
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import Lines, Taken, Text

ERRORS = (NotFound, Conflict, Invalid, Forbidden)
# The server takes no larger request; the page makes pictures smaller before it sends them.
PICTURE_BYTES = 1_000_000
_PICTURES = {
    b"\xff\xd8\xff": ("jpg", "image/jpeg"),
    b"\x89PNG\r\n\x1a\n": ("png", "image/png"),
    b"GIF8": ("gif", "image/gif"),
}


class MessageBody(Taken):
    """A reply as data: text, image, news or miniprogrampage (scrm.replies.content)."""

    content: dict[str, Any]


class Sent(BaseModel):
    """On its way, or refused with the reason."""

    allowed: bool
    reason: str
    title: str


class Uploaded(BaseModel):
    """A picture that WeChat keeps for three days."""

    media_id: str


class Picture(BaseModel):
    """A picture, as base64."""

    content_type: str
    data: str


class MediaQuery(Taken):
    """Of which media."""

    media_id: Annotated[str, Field(min_length=1, max_length=512)]


class NoteBody(Taken):
    """What only staff see."""

    text: Annotated[Lines, Field(min_length=1, max_length=2000)]


class GiftBody(Taken):
    """So many points, and why: the fan reads it."""

    amount: Annotated[int, Field(ge=1, le=giving.MOST)]
    why: Annotated[Text, Field(min_length=1, max_length=32)]


class Given(BaseModel):
    """Whether the points were given, and whether the fan could be told."""

    given: bool
    told: bool
    title: str


class DraftBody(Taken):
    """What to answer; empty is what the fan said last."""

    question: Annotated[Lines, Field(max_length=500)] = ""


class DraftSource(BaseModel):
    """An entry of the knowledge base that a draft stands on."""

    entry_id: int
    title: str


class Draft(BaseModel):
    """A draft for a person to edit and send; `text` empty: nothing was found, `title` says why."""

    text: str
    title: str
    question: str
    outcome: str
    sources: list[DraftSource]


@SURFACE.post("/inbox/{conversation_id}/messages", permission=ANSWER, errors=ERRORS)
async def send_message(call: Call, conversation_id: int, body: MessageBody) -> Sent:
    """发送消息（文字、图片、图文、小程序卡片）."""
    brand_id = await brand_of(call, conversation_id)
    verdict = await lines.send_message(
        conversation_id=conversation_id,
        brand_id=brand_id,
        staff_id=call.me.staff_id,
        key=call.key,
        content=body.content,
        now=call.now,
    )
    title = "" if verdict.allowed else refusal(verdict.reason)
    return Sent(allowed=verdict.allowed, reason=verdict.reason, title=title)


@SURFACE.post(
    "/inbox/{conversation_id}/images", permission=ANSWER, network=True, max_body=PICTURE_BYTES,
    errors=[*ERRORS, Unavailable],
)  # fmt: skip
async def upload_image(call: Call, conversation_id: int, body: bytes) -> Uploaded:
    """上传要发送的图片（JPG、PNG 或 GIF，不超过 1 MB）."""
    kind = next((kind for magic, kind in _PICTURES.items() if body.startswith(magic)), None)
    if kind is None:
        raise Invalid("只支持 JPG、PNG 和 GIF 图片", field="body")
    _, row = await opened(call, conversation_id)
    client = _client(call, row)
    try:
        kept = await client.media.upload("image", (f"picture.{kind[0]}", io.BytesIO(body), kind[1]))
        media_id = field(kept, "media_id", str)
    except WeChatError as error:
        raise Conflict(f"微信拒绝了这张图片（错误码 {error.errcode}）", code="picture_refused") from None
    except WeChatFailure:
        raise Unavailable("图片没有传到微信，请重试") from None
    return Uploaded(media_id=media_id)


@SURFACE.get("/inbox/{conversation_id}/media", permission=ANSWER, network=True, errors=[*ERRORS, Unavailable])
async def picture(call: Call, conversation_id: int, query: MediaQuery) -> Picture:
    """查看聊天中的图片."""
    _, row = await opened(call, conversation_id)
    client = _client(call, row)
    try:
        data = await client.media.download(query.media_id)
    except WeChatError:
        raise NotFound("图片已过期") from None
    except WeChatFailure:
        raise Unavailable("暂时取不到图片，请重试") from None
    if not isinstance(data, bytes):  # JSON: somebody else's answer, or where a film is
        raise Unavailable("暂时取不到图片，请重试")
    kind = next((kind for magic, kind in _PICTURES.items() if data.startswith(magic)), ("bin", ""))[1]
    if not kind:
        raise NotFound("不是可以查看的图片")
    return Picture(content_type=kind, data=base64.b64encode(data).decode())


@SURFACE.post("/inbox/{conversation_id}/notes", permission=ANSWER, status=204, errors=ERRORS)
async def add_note(call: Call, conversation_id: int, body: NoteBody) -> None:
    """写内部备注."""
    brand_id, _ = await opened(call, conversation_id)
    await lines.note(
        conversation_id=conversation_id,
        brand_id=brand_id,
        staff_id=call.me.staff_id,
        key=call.key,
        text=body.text,
        now=call.now,
    )


@SURFACE.post("/inbox/{conversation_id}/gifts", permission="inbox.gift", errors=ERRORS)
async def give_points(call: Call, conversation_id: int, body: GiftBody) -> Given:
    """赠送积分并告诉粉丝."""
    brand_id = await brand_of(call, conversation_id)

    async def change() -> giving.Gift:
        return await giving.give_points(
            conversation_id=conversation_id,
            brand_id=brand_id,
            staff_id=call.me.staff_id,
            amount=body.amount,
            why=body.why,
            key=call.key,
            now=call.now,
        )

    entry = Entry(
        "points.given", f"conversation:{conversation_id}", f"会话 {conversation_id}", brand_id, after=body.model_dump()
    )
    gift = await audit.along(call.actor, change, lambda gift: entry if gift.given else None, call.now)
    title = "" if gift.told else refusal(gift.reason)
    return Given(given=gift.given, told=gift.told, title=title)


@SURFACE.post("/inbox/{conversation_id}/draft", permission=ANSWER, network=True, errors=[*ERRORS, Unavailable])
async def draft(call: Call, conversation_id: int, body: DraftBody) -> Draft:
    """智能助手起草回复.

    It is never sent by itself: a person edits it and sends it as their own.
    """
    brand_id, row = await opened(call, conversation_id)
    question = body.question or await _last_words(conversation_id, brand_id)
    assistant = call.parts.assistant
    if not question:
        return Draft(text="", title="粉丝还没有发过文字", question="", outcome="empty", sources=[])
    if assistant is None or not assistant.serves(brand_id):
        return Draft(text="", title="还没有发布知识库内容", question=question, outcome="none", sources=[])
    asked = Question(call.key, brand_id, row.account, row.account_id, row.fan_id, row.member_id, question, call.now)
    record = await assistant.draft(asked)
    if record is None:
        return Draft(text="", title="这个品牌没有启用智能助手", question=question, outcome="off", sources=[])
    text = _words(record)
    return Draft(
        text=text,
        title="" if text else "知识库里没有找到合适的答案",
        question=question,
        outcome=record.outcome,
        # Of a menu the draft takes the first.
        sources=[
            DraftSource(entry_id=one["entry_id"], title=one["title"])
            for one in (record.passages[:1] if record.outcome == "menu" else record.passages)
        ],
    )


def _words(record: Record) -> str:
    """Return what a person could say of what the assistant would: without its mark, sources and offers."""
    if record.outcome == "menu" and record.choices:
        return str(record.choices[0]["text"]).strip()
    if record.outcome not in {"knowledge", "answered", "self_service"}:
        return ""
    return record.said.removesuffix(phrases.AI_MARK).strip().partition("\n\n来源：")[0].strip()


async def _last_words(conversation_id: int, brand_id: int) -> str:
    said = await queries.transcript(conversation_id=conversation_id, brand_id=brand_id, limit=20)
    texts = [
        str(line.body.get("content") or "") for line in said if line.source == "fan" and line.kind == "wechat.text"
    ]
    # Of a fan who has just asked for a person the question is what they wrote before.
    return next((text for text in texts if text and not asks_for_person(fold(text))), "")[:500]


def _client(call: Call, row: InboxRow) -> WeChatClient:
    account = call.parts.directory.accounts().get(row.account_id)
    if account is None:
        raise Conflict("公众号已停用，或密钥无法解开", code="account_disabled")
    return call.parts.clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))
