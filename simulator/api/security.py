"""Content security: texts at once, pictures and sounds by a push."""

from simulator.endpoints import MINI, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Json

TEXT_MOST = 2500
VISITED_WITHIN = 2 * 3600  # seconds since the fan last used the mini-program

# word -> (suggestion, label); labels: 10001 advertising, 20002 porn, 20003 abuse, 20006 crime, 20008 fraud
WORDS: dict[str, tuple[str, int]] = {
    "加微信": ("review", 10001),
    "代购": ("review", 10001),
    "刷单": ("risky", 20008),
    "裸聊": ("risky", 20002),
    "傻逼": ("risky", 20003),
    "赌博": ("risky", 20006),
    "赌场": ("risky", 20006),
}
_WORST = {"pass": 0, "review": 1, "risky": 2}


def judge(text: str) -> tuple[str, int, str]:
    """Return (suggestion, label, word) of the worst word in a text; ("pass", 100, "") without one."""
    found = [(suggest, label, word) for word, (suggest, label) in WORDS.items() if word in text]
    return max(found, key=lambda hit: _WORST[hit[0]], default=("pass", 100, ""))


def _visitor(call: Call) -> None:
    if call.body.get("version") != 2 or call.body.get("scene") not in (1, 2, 3, 4):
        raise RefusedError(40097)
    thread = call.thread(call.body.get("openid"))
    if call.now - thread.last_seen > VISITED_WITHIN:
        raise RefusedError(61010)


def _trace(call: Call) -> str:
    return "-".join(call.world.hex(8) for _ in range(3))


@endpoint("POST", "/wxa/msg_sec_check", kinds=MINI, daily=2_000_000, minute=4000)
async def text(call: Call) -> Answer:
    """Judge a text (version 2)."""
    _visitor(call)
    content = call.text("content", 44004)
    if len(content) > TEXT_MOST:
        raise RefusedError(45002)
    parts = [content, *(str(call.body.get(k, "")) for k in ("title", "nickname", "signature"))]
    suggest, label, word = judge("\n".join(parts))
    detail: list[Json] = [{"strategy": "content_model", "errcode": 0, "suggest": suggest, "label": label, "prob": 90}]
    if word:
        detail.append({"strategy": "keyword", "errcode": 0, "suggest": suggest, "label": label, "keyword": word})
    return OK | {"result": {"suggest": suggest, "label": label}, "detail": detail, "trace_id": _trace(call)}


@endpoint("POST", "/wxa/media_check_async", kinds=MINI, daily=200_000, minute=2000)
async def media(call: Call) -> Answer:
    """Judge a picture or sound later; an address that holds "risky" or "review" is judged so.

    Nothing is downloaded. An address that is not http(s) is reported as errcode -1008.
    """
    _visitor(call)
    if call.body.get("media_type") not in (1, 2):
        raise RefusedError(40097)
    url = call.text("media_url")
    thread = call.thread(call.body.get("openid"))
    suggest = next((word for word in ("risky", "review") if word in url), "pass")
    label = 100 if suggest == "pass" else 20002
    failed = not url.startswith(("http://", "https://"))
    result: Json = {"suggest": suggest, "label": label}
    report: Json = {"strategy": "content_model", "errcode": 0, "prob": 90} | result
    trace_id = _trace(call)
    body = call.wechat.event(
        thread,
        "wxa_media_check",
        appid=call.account.appid,
        trace_id=trace_id,
        version=2,
        errcode=-1008 if failed else 0,
        errmsg="download failed" if failed else "ok",
        **({} if failed else {"detail": [report], "result": result}),
    )
    call.wechat.push_later(thread, body)
    return OK | {"trace_id": trace_id}
