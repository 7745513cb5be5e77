"""Subscribe messages: of official accounts (bizsend) and mini-programs (send); one accept is one send."""

import re

from simulator.actions import listed
from simulator.api.template import checked_data, template_of
from simulator.endpoints import EVERY, MINI, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.messages import template_rows
from simulator.world import Json

# What a value may look like, by the kind that its key begins with ("thing1", "amount2").
VALUES = {
    "thing": r".{1,20}",
    "number": r"-?[\d.]{1,32}",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\w\s]{1,5}",
    "character_string": r"[ -~]{1,32}",
    "time": r"[\d年月日:：\-/~ ]{4,40}",
    "date": r"[\d年月日:：\-/~ ]{4,40}",
    "amount": r"[¥￥$€]?\d{1,10}(\.\d+)?元?",
    "phone_number": r"[\d+\- ]{1,17}",
    "car_number": r".{1,8}",
    "name": r"[一-鿿·]{1,10}|[ -~]{1,20}",
    "phrase": r"[一-鿿]{1,5}",
}


def _check_values(data: Json) -> None:
    for name, entry in data.items():
        kind = name.rstrip("0123456789")
        if kind in VALUES and not re.fullmatch(VALUES[kind], str(entry["value"])):
            raise RefusedError(47003, f"data.{name}.value invalid")


def _send(call: Call, path: str, page: object) -> Answer:
    thread = call.thread(call.body.get("touser"))
    template, data = template_of(call), checked_data(call)
    _check_values(data)
    if path and call.account.pages and str(page or "").split("?")[0] not in ("", *call.account.pages):
        raise RefusedError(41030)
    template_id = str(call.body["template_id"])
    if thread.subscriptions.get(template_id, 0) < 1 or thread.blocked:
        raise RefusedError(43101)
    thread.subscriptions[template_id] -= 1
    content = {
        "title": template["title"],
        "url": str(page or ""),
        "rows": template_rows(template["content"], data),
    }
    call.world.post(thread, "account", "subscribe", content, via="subscribe")
    msgid = call.world.next_id()
    report: list[Json] = [{"TemplateId": template_id, "MsgID": str(msgid), "ErrorCode": "0", "ErrorStatus": "success"}]
    fields = listed(call.account.format, "SubscribeMsgSentEvent", report)
    call.wechat.push_later(thread, call.wechat.event(thread, "subscribe_msg_sent_event", **fields))
    return OK | {"msgid": msgid}


@endpoint("POST", "/cgi-bin/message/subscribe/bizsend", kinds=frozenset({"service"}), verified=True)
async def bizsend(call: Call) -> Answer:
    """Send a subscribe notification of an official account."""
    return _send(call, "", call.body.get("page"))


@endpoint("POST", "/cgi-bin/message/subscribe/send", kinds=MINI, daily=10_000_000)
async def send(call: Call) -> Answer:
    """Send a subscribe message of a mini-program."""
    if call.body.get("miniprogram_state", "formal") not in ("formal", "trial", "developer"):
        raise RefusedError(40035, "miniprogram_state invalid")
    return _send(call, "page", call.body.get("page"))


@endpoint("GET", "/wxaapi/newtmpl/gettemplate", kinds=EVERY)
async def every(call: Call) -> Answer:
    """List the account's templates."""
    return OK | {
        "data": [
            {"priTmplId": i, "title": t["title"], "content": t["content"], "example": "", "type": 2}
            for i, t in call.account.templates.items()
        ]
    }


@endpoint("POST", "/wxaapi/newtmpl/addtemplate", kinds=EVERY)
async def add(call: Call) -> Answer:
    """Add a template; the simulator's library has every tid, with the keywords that are asked for."""
    tid, keywords = call.text("tid"), call.body.get("kidList")
    if not isinstance(keywords, list) or not 2 <= len(keywords) <= 5:
        raise RefusedError(40035, "kidList invalid")
    content = "\n".join(f"项目{kid}：{{{{thing{kid}.DATA}}}}" for kid in keywords)
    template_id = call.world.word(43)
    call.account.templates[template_id] = {"title": f"订阅模板 {tid}", "content": content}
    call.world.on_change()
    return OK | {"priTmplId": template_id}


@endpoint("POST", "/wxaapi/newtmpl/deltemplate", kinds=EVERY)
async def delete(call: Call) -> Answer:
    """Delete a template."""
    if call.account.templates.pop(str(call.body.get("priTmplId")), None) is None:
        raise RefusedError(40037)
    call.world.on_change()
    return OK
