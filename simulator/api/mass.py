"""Mass sends: to all, to a tag, to a list; previews; and the report pushed when a job is done."""

import re

from simulator import messages
from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Account, Json, MassJob, Thread

LIST_MOST = 10_000
CLIENT_ID_MOST = 32
RETRY_SECONDS = 60
SERVICE_PER_MONTH = 4  # to each fan of a service account; more are skipped, not refused
TYPES = {"text", "image", "voice", "mpnews", "mpvideo", "wxcard"}


def _content(call: Call) -> tuple[str, Json]:
    kind = call.body.get("msgtype")
    if not isinstance(kind, str) or kind not in TYPES:
        raise RefusedError(40008)
    body = dict(call.body)
    if kind == "image" and isinstance(body.get("images"), dict):
        ids = body["images"].get("media_ids")
        if not isinstance(ids, list) or not ids:
            raise RefusedError(40007)
        body["image"] = {"media_id": ids[0]}
    if kind == "mpvideo":
        body |= {"msgtype": "video", "video": body.get("mpvideo")}
    return messages.custom(call.world, call.account, body)


def _once(call: Call) -> str:
    """Return the clientmsgid, refusing one that is too long or was used before."""
    client_id = call.body.get("clientmsgid")
    if client_id is None:
        return ""
    if not isinstance(client_id, str) or len(client_id) > CLIENT_ID_MOST:
        raise RefusedError(45067)
    for job in call.world.mass_jobs.values():
        if job.appid == call.account.appid and job.clientmsgid == client_id:
            if call.now - job.at < RETRY_SECONDS:
                raise RefusedError(45066)
            raise RefusedError(45065, msg_id=job.msg_id)
    return client_id


def _got(call: Call, month: str) -> dict[str, int]:
    """Count what each fan got in this month of the platform's calendar."""
    counts: dict[str, int] = {}
    for job in call.world.mass_jobs.values():
        if job.appid == call.account.appid and call.world.clock.month(job.at) == month:
            for openid in job.receivers:
                counts[openid] = counts.get(openid, 0) + 1
    return counts


def _sent_today(call: Call, account: Account) -> bool:
    clock = call.world.clock
    jobs = call.world.mass_jobs.values()
    return any(j.appid == account.appid and clock.day(j.at) == clock.day() for j in jobs)


def _start(call: Call, targets: list[Thread], total: int) -> Answer:
    """Send to those of `targets` who may be sent to; `total` is how many people were asked for."""
    kind, content = _content(call)
    client_id = _once(call)
    if call.account.kind == "subscription" and _sent_today(call, call.account):
        raise RefusedError(45028)
    counts = _got(call, call.world.clock.month())
    following = [t for t in targets if t.following]
    service = call.account.kind == "service"
    allowed = [t for t in following if not service or counts.get(t.openid, 0) < SERVICE_PER_MONTH]
    reached = [t for t in allowed if not t.blocked]
    for thread in reached:
        call.world.post(thread, "account", kind, content, via="mass")
    msg_id = call.world.next_id() // 10_000  # documented as a 32 to 64-bit number; the real ones have ten digits
    while msg_id in call.world.mass_jobs:
        msg_id += 1
    job = MassJob(msg_id, call.account.appid, client_id, call.now, "SEND_SUCCESS", [t.openid for t in reached])
    call.world.mass_jobs[msg_id] = job
    call.world.on_change()
    _report(call, job, total=total, filtered=len(allowed), errors=len(allowed) - len(reached))
    return {
        "errcode": 0,
        "errmsg": "send job submission success",
        "msg_id": msg_id,
        "msg_data_id": msg_id + 1,
    }


def _report(call: Call, job: MassJob, *, total: int, filtered: int, errors: int) -> None:
    # Job reports come from the platform; FromUserName is an openid all the same, of somebody or of nobody.
    known = (t for t in call.world.threads.values() if t.appid == job.appid)
    nobody = Thread(job.appid, "", "o" + call.world.word(27))
    thread = next(iter(call.world.followers(job.appid)), None) or next(known, nobody)
    body = call.wechat.event(
        thread,
        "MASSSENDJOBFINISH",
        MsgID=job.msg_id,
        Status="send success",
        TotalCount=total,
        FilterCount=filtered,
        SentCount=len(job.receivers),
        ErrorCount=errors,
        CopyrightCheckResult={"Count": 0, "ResultList": "", "CheckState": 0},
        ArticleUrlResult={"Count": 0, "ResultList": ""},
    )
    call.wechat.push_later(thread, body)


@endpoint("POST", "/cgi-bin/message/mass/sendall", kinds=OFFICIAL, verified=True, daily=100, minute=60)
async def send_all(call: Call) -> Answer:
    """Send to every follower or to those with a tag."""
    chosen = call.body.get("filter")
    if not isinstance(chosen, dict):
        raise RefusedError(40035, "filter missing")
    followers = call.world.followers(call.account.appid)
    if chosen.get("is_to_all") is True:
        return _start(call, followers, len(followers))
    tag_id = chosen.get("tag_id")
    if not any(str(t["id"]) == str(tag_id) for t in call.account.tags):
        raise RefusedError(45159)
    tagged = [t for t in followers if str(tag_id) in map(str, t.tags)]
    return _start(call, tagged, len(tagged))


@endpoint("POST", "/cgi-bin/message/mass/send", kinds=frozenset({"service"}), verified=True, daily=100, minute=60)
async def send(call: Call) -> Answer:
    """Send to 2 to 10,000 openids."""
    openids = call.body.get("touser")
    if not isinstance(openids, list) or not 2 <= len(openids) <= LIST_MOST:
        raise RefusedError(40130)
    distinct = list(dict.fromkeys(map(str, openids)))
    found = (call.world.by_openid(call.account.appid, openid) for openid in distinct)
    return _start(call, [t for t in found if t is not None], len(distinct))


@endpoint("POST", "/cgi-bin/message/mass/preview", kinds=OFFICIAL, verified=True, daily=100)
async def preview(call: Call) -> Answer:
    """Show a message to one fan."""
    thread = call.thread(call.body.get("touser"))
    if not thread.following:
        raise RefusedError(43004)
    kind, content = _content(call)
    call.world.post(thread, "account", kind, content, via="mass")
    return {"errcode": 0, "errmsg": "preview success", "msg_id": call.world.next_id() // 10_000}


@endpoint("POST", "/cgi-bin/message/mass/get", kinds=OFFICIAL, verified=True)
async def get(call: Call) -> Answer:
    """Tell the state of a job."""
    job = _job(call)
    return {"msg_id": job.msg_id, "msg_status": job.status}


@endpoint("POST", "/cgi-bin/message/mass/delete", kinds=OFFICIAL, verified=True, daily=10)
async def delete(call: Call) -> Answer:
    """Delete a sent job's articles; the phones keep what they show."""
    _job(call).status = "DELETE"
    call.world.on_change()
    return OK


def _job(call: Call) -> MassJob:
    found = str(call.body.get("msg_id", ""))
    job = call.world.mass_jobs.get(int(found)) if re.fullmatch("[0-9]{1,20}", found) else None
    if job is None or job.appid != call.account.appid:
        raise RefusedError(40059)
    return job


@endpoint("POST", "/cgi-bin/message/mass/speed/get", kinds=OFFICIAL, verified=True)
async def speed(call: Call) -> Answer:
    """Tell the speed of sending, 0 (fast) to 4."""
    return {"speed": 0, "realspeed": 80}
