"""Template messages of official accounts: library, sending, and the report pushed afterwards."""

from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.messages import template_rows
from simulator.world import Json, Thread

TEMPLATES_MOST = 25
REPEAT_SECONDS = 600  # one client_msg_id is sent once to one fan within this time


def checked_data(call: Call) -> Json:
    """Return the `data` of a template: names with {"value"}. Raises 47003 naming the bad entry."""
    data = call.body.get("data")
    if not isinstance(data, dict) or not data:
        raise RefusedError(47003, "data missing")
    for name, entry in data.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("value"), (str, int, float)):
            raise RefusedError(47003, f"data.{name}.value invalid")
    return data


def template_of(call: Call) -> Json:
    """Return the account's template that the body names. Raises 40037."""
    found = call.account.templates.get(str(call.body.get("template_id")))
    if found is None:
        raise RefusedError(40037)
    return found


@endpoint("POST", "/cgi-bin/template/api_add_template", kinds=frozenset({"service"}), verified=True)
async def add(call: Call) -> Answer:
    """Add a template from the library; the simulator's library has every short id."""
    short = call.text("template_id_short")
    if len(call.account.templates) >= TEMPLATES_MOST:
        raise RefusedError(45026)
    names = call.body.get("keyword_name_list") or ["内容", "时间"]
    if not isinstance(names, list):
        raise RefusedError(40035, "keyword_name_list invalid")
    content = "\n".join(f"{name}：{{{{keyword{i}.DATA}}}}" for i, name in enumerate(names, start=1))
    template_id = call.world.word(43)
    call.account.templates[template_id] = {"title": f"模板 {short}", "content": content}
    call.world.on_change()
    return OK | {"template_id": template_id}


@endpoint("GET", "/cgi-bin/template/get_all_private_template", kinds=OFFICIAL, verified=True)
async def every(call: Call) -> Answer:
    """List the account's templates."""
    return {
        "template_list": [
            {"template_id": i, "title": t["title"], "content": t["content"], "example": ""}
            for i, t in call.account.templates.items()
        ]
    }


@endpoint("POST", "/cgi-bin/template/del_private_template", kinds=OFFICIAL, verified=True)
async def delete(call: Call) -> Answer:
    """Delete a template."""
    template_of(call)
    del call.account.templates[str(call.body["template_id"])]
    call.world.on_change()
    return OK


@endpoint("POST", "/cgi-bin/message/template/send", kinds=frozenset({"service"}), verified=True, daily=100_000)
async def send(call: Call) -> Answer:
    """Accept a template message; whether it arrived is pushed as TEMPLATESENDJOBFINISH."""
    thread = call.thread(call.body.get("touser"))
    template, data = template_of(call), checked_data(call)
    if not thread.following:
        raise RefusedError(43004)
    client_id = call.body.get("client_msg_id")
    sent = call.wechat.template_sends
    key = (thread.appid, thread.openid, str(client_id))
    if client_id and key in sent and call.now - sent[key][1] < REPEAT_SECONDS:
        return OK | {"msgid": sent[key][0]}
    msgid = call.world.next_id()
    if client_id:
        sent[key] = (msgid, call.now)
    if not thread.blocked:
        mini = call.body.get("miniprogram")
        content = {
            "title": template["title"],
            "url": str(call.body.get("url", "")),
            "rows": template_rows(template["content"], data),
        } | ({"miniprogram": mini} if isinstance(mini, dict) else {})
        call.world.post(thread, "account", "template", content, via="template")
    _report(call, thread, msgid)
    return OK | {"msgid": msgid}


def _report(call: Call, thread: Thread, msgid: int) -> None:
    status = "failed:user block" if thread.blocked else "success"
    call.wechat.push_later(thread, call.wechat.event(thread, "TEMPLATESENDJOBFINISH", MsgID=msgid, Status=status))
