"""The simulator's own controls under /sim: accounts, fans, faults, clock, quotas and what was recorded.

Answers only to this machine.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, fields
from typing import Any, get_args

from aiohttp import web

from simulator import wire
from simulator.actions import ActionError
from simulator.callbacks import is_http_url
from simulator.endpoints import WECHAT
from simulator.faults import ApiFault, CallbackFault
from simulator.phone import ACTIONS, json_answer, json_body, number_of, text_of
from simulator.world import Account, Json, Kind, Mode, Thread, World

SETTABLE = {f.name for f in fields(Account)} - {"next_tag_id"}


@web.middleware
async def loopback_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse controls to other machines."""
    if request.path.startswith("/sim/"):
        try:
            local = ipaddress.ip_address(request.remote or "").is_loopback
        except ValueError:
            local = False
        if not local:
            return json_answer({"error": "只接受本机的请求"}, status=403)
    return await handler(request)


def _account(world: World, appid: str, field: str = "appid") -> Account:
    if appid not in world.accounts:
        raise ActionError("没有这个账号", field, 404)
    return world.accounts[appid]


def _thread(world: World, body: Json) -> Thread:
    try:
        return world.thread(text_of(body, "appid", 64), text_of(body, "fan_id", 64))
    except KeyError as error:
        raise ActionError("没有这个账号或粉丝", "fan_id", 404) from error


# accounts and fans


async def accounts(request: web.Request) -> web.Response:
    """List the accounts with their secrets."""
    return json_answer([asdict(a) for a in request.app[WECHAT].world.accounts.values()])


async def put_account(request: web.Request) -> web.Response:
    """Add an account, or change the one with this appid; "verify": true asks its server first."""
    wechat, body = request.app[WECHAT], await json_body(request)
    verify = body.pop("verify", False) is True
    _check_account(body)
    known = wechat.world.accounts.get(str(body.get("appid", "")))
    if known is not None:
        body = {"kind": known.kind, "name": known.name} | body
    before = asdict(known) if known is not None else None
    account = wechat.world.add_account(**body)
    if verify and not await wechat.callbacks.verify(account):
        if before is None:
            del wechat.world.accounts[account.appid]
        else:
            wechat.world.add_account(**before)
        raise ActionError("服务器没有正确返回 echostr（检查地址和 token）", "callback_url")
    wechat.callbacks.resume(account.appid)
    return json_answer(asdict(account))


def _check_account(body: Json) -> None:
    for name, value in body.items():
        if name not in SETTABLE:
            raise ActionError("没有这个设置", name)
        choices = {"kind": get_args(Kind), "mode": get_args(Mode), "format": ("xml", "json")}.get(name)
        if choices is not None and value not in choices:
            raise ActionError(f"应为 {'、'.join(choices)}", name)
    if body.get("callback_url") and not is_http_url(str(body["callback_url"])):
        raise ActionError("应为 http:// 或 https:// 地址", "callback_url")
    if body.get("server") and not is_http_url(str(body["server"])):
        raise ActionError("应为 http:// 或 https:// 地址", "server")
    if "aes_key" in body:
        try:
            wire.key_of(str(body["aes_key"]))
        except wire.WireError as error:
            raise ActionError(str(error), "aes_key") from error


async def fans(request: web.Request) -> web.Response:
    """List the fans with their openids."""
    world = request.app[WECHAT].world
    openids: dict[str, dict[str, str]] = {}
    for thread in world.threads.values():
        openids.setdefault(thread.fan_id, {})[thread.appid] = thread.openid
    return json_answer([asdict(f) | {"openids": openids.get(f.id, {})} for f in world.fans.values()])


async def put_fans(request: web.Request) -> web.Response:
    """Add fans without any push: {"fans": [{"nickname", "unionid"?, "phone"?, "openids"?, "following"?}]}."""
    world = request.app[WECHAT].world
    added = []
    given = (await json_body(request)).get("fans")
    if not isinstance(given, list):
        raise ActionError("应为列表", "fans")
    for one in given:
        nickname = text_of(one, "nickname", 20)
        for appid in [*one.get("openids", {}), *one.get("following", [])]:
            _account(world, appid, "following")
        fan = world.add_fan(nickname, unionid=one.get("unionid"), phone=one.get("phone"))
        for appid, openid in one.get("openids", {}).items():
            world.thread(appid, fan.id, openid=openid)
        for appid in one.get("following", []):
            thread = world.thread(appid, fan.id)
            thread.following, thread.subscribe_time = True, int(world.clock.time())
        mine = {t.appid: t.openid for t in world.threads.values() if t.fan_id == fan.id}
        added.append(asdict(fan) | {"openids": mine})
    world.on_change()
    return json_answer(added)


async def codes(request: web.Request) -> web.Response:
    """Hand out a login code and a phone code of a fan at a mini-program: {"appid", "fan_id"}."""
    thread, actions = _thread(request.app[WECHAT].world, await json_body(request)), request.app[ACTIONS]
    return json_answer({"login_code": actions.login_code(thread), "phone_code": actions.phone_code(thread)})


async def subscribe(request: web.Request) -> web.Response:
    """Let a fan answer the subscribe dialogue: {"appid", "fan_id", "answers": {template_id: bool}}."""
    body = await json_body(request)
    answers = body.get("answers")
    if not isinstance(answers, dict) or not all(isinstance(v, bool) for v in answers.values()):
        raise ActionError("应为 {模板: true 或 false}", "answers")
    done = await request.app[ACTIONS].answer_subscribe(_thread(request.app[WECHAT].world, body), answers)
    return json_answer({"push": done.push.wire()})


async def revoke_tokens(request: web.Request) -> web.Response:
    """Kill all tokens of an account: {"appid", "expired"?: true for 42001 instead of 40001}."""
    wechat, body = request.app[WECHAT], await json_body(request)
    account = _account(wechat.world, text_of(body, "appid", 64))
    (wechat.tokens.expire if body.get("expired") is True else wechat.tokens.revoke)(account.appid)
    return json_answer({})


# faults, clock, quotas


async def faults(request: web.Request) -> web.Response:
    """List the faults in force."""
    found = request.app[WECHAT].faults
    return json_answer({"api": [asdict(f) for f in found.api], "callback": [asdict(f) for f in found.callback]})


async def put_fault(request: web.Request) -> web.Response:
    """Add a fault: {"kind": "api" or "callback", …fields of ApiFault or CallbackFault}."""
    found, body = request.app[WECHAT].faults, await json_body(request)
    kind = body.pop("kind", None)
    if kind not in ("api", "callback"):
        raise ActionError("应为 api 或 callback", "kind")
    _typed(body, ApiFault if kind == "api" else CallbackFault)
    if kind == "api":
        return json_answer(asdict(found.add_api(**body)))
    if "copies" in body:
        body["copies"] = tuple(body["copies"])
    return json_answer(asdict(found.add_callback(**body)))


def _typed(body: Json, shape: type[ApiFault] | type[CallbackFault]) -> None:
    """Check the fields of a fault, naming the first that is wrong."""
    known = {f.name for f in fields(shape)}
    for name, value in body.items():
        if name not in known:
            raise ActionError("没有这个设置", name)
        right, sentence = _FAULT_FIELDS[name]
        if not right(value):
            raise ActionError(sentence, name)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _pair(value: object) -> bool:
    return isinstance(value, list) and [type(v) for v in value] == [int, int] and 1 <= value[0] <= value[1]


_FAULT_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "path": (lambda v: isinstance(v, str), "应为接口路径或 *"),
    "appid": (lambda v: v is None or isinstance(v, str), "应为 appid"),
    "times": (lambda v: v is None or type(v) is int, "应为次数，或 null 表示一直"),
    "probability": (lambda v: _number(v) and v <= 1, "应为 0 到 1"),
    "delay": (_number, "应为秒数"),
    "jitter": (_number, "应为秒数"),
    "errcode": (lambda v: type(v) is int, "应为整数"),
    "errmsg": (lambda v: isinstance(v, str), "应为文字"),
    "say": (lambda v: isinstance(v, str), "应为文字"),
    "drop": (lambda v: v in ("before", "after"), "应为 before 或 after"),
    "status": (lambda v: type(v) is int and 400 <= v <= 599, "应为 HTTP 错误码"),
    "copies": (_pair, "应为 [最少, 最多]"),
    "concurrent": (lambda v: isinstance(v, bool), "应为 true 或 false"),
    "urls": (lambda v: isinstance(v, list) and all(is_http_url(str(u)) for u in v), "应为 http 地址的列表"),
    "drop_responses": (lambda v: type(v) is int, "应为次数"),
}


async def clear_faults(request: web.Request) -> web.Response:
    """Remove all faults."""
    request.app[WECHAT].faults.clear()
    return json_answer({})


async def clock(request: web.Request) -> web.Response:
    """Tell the simulated time: milliseconds and the offset in seconds."""
    now = request.app[WECHAT].world.clock
    return json_answer({"now": now.ms(), "offset": now.offset})


async def move_clock(request: web.Request) -> web.Response:
    """Move the simulated time: {"advance": seconds}."""
    request.app[WECHAT].world.clock.advance(number_of(await json_body(request), "advance"))
    return await clock(request)


async def limit(request: web.Request) -> web.Response:
    """Set a daily limit: {"appid", "path", "limit"}."""
    wechat, body = request.app[WECHAT], await json_body(request)
    account = _account(wechat.world, text_of(body, "appid", 64))
    wechat.quotas.limits[account.appid, text_of(body, "path", 200)] = int(number_of(body, "limit"))
    return json_answer({})


# records


async def calls(request: web.Request) -> web.Response:
    """List API calls, newest last, with totals; ?path= and ?appid= select."""
    quotas = request.app[WECHAT].quotas
    path, appid = request.query.get("path"), request.query.get("appid")
    totals: dict[str, int] = {}
    for (caller, called), count in quotas.totals.items():
        if appid in (None, caller) and path in (None, called):
            totals[called] = totals.get(called, 0) + count
    chosen: Iterator[Any] = (asdict(c) for c in quotas.calls if path in (None, c.path) and appid in (None, c.appid))
    return json_answer({"totals": totals, "calls": list(chosen)})


async def callback_log(request: web.Request) -> web.Response:
    """List attempts at pushes, newest last; ?appid= selects."""
    appid = request.query.get("appid")
    log = request.app[WECHAT].callbacks.log
    return json_answer([asdict(a) for a in log if appid in (None, a.appid)])


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the controls."""
    return [
        web.get("/sim/accounts", accounts),
        web.post("/sim/accounts", put_account),
        web.get("/sim/fans", fans),
        web.post("/sim/fans", put_fans),
        web.post("/sim/codes", codes),
        web.post("/sim/subscribe", subscribe),
        web.post("/sim/tokens/revoke", revoke_tokens),
        web.get("/sim/faults", faults),
        web.post("/sim/faults", put_fault),
        web.delete("/sim/faults", clear_faults),
        web.get("/sim/clock", clock),
        web.post("/sim/clock", move_clock),
        web.post("/sim/quotas", limit),
        web.get("/sim/calls", calls),
        web.get("/sim/callback-log", callback_log),
    ]
