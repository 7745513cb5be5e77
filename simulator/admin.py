"""The simulator's own controls under /sim: accounts, fans, faults, clock, quotas and what was recorded.

Answers only to this machine.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from typing import Any

from aiohttp import web

from simulator import shapes
from simulator.actions import ActionError
from simulator.endpoints import WECHAT
from simulator.phone import ACTIONS, NICKNAME_MOST, json_answer, json_body, number_of, text_of
from simulator.world import Account, Json, Thread, World

CLOCK_MOST = 10 * 365 * 24 * 3600  # seconds that the simulated time may be off: every date stays a date


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
    verify = body.pop("verify", False)
    if not isinstance(verify, bool):
        raise ActionError("应为 true 或 false", "verify")
    shapes.check(body, shapes.ACCOUNT)
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
    given = (await json_body(request)).get("fans")
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ActionError('应为列表，每一项为 {"nickname", …}', "fans")
    for one in given:
        shapes.check(one, shapes.FAN)
        text_of(one, "nickname", NICKNAME_MOST)
        for name in ("openids", "following"):
            for appid in one.get(name, ()):
                _account(world, appid, name)
    added = []
    for one in given:
        fan = world.add_fan(one["nickname"], unionid=one.get("unionid"), phone=one.get("phone"))
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
    shapes.check(body, shapes.API_FAULT if kind == "api" else shapes.CALLBACK_FAULT)
    if kind == "api":
        return json_answer(asdict(found.add_api(**body)))
    if "copies" in body:
        body["copies"] = tuple(body["copies"])
    return json_answer(asdict(found.add_callback(**body)))


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
    time, seconds = request.app[WECHAT].world.clock, number_of(await json_body(request), "advance")
    if abs(time.offset + seconds) > CLOCK_MOST:
        raise ActionError("模拟时间最多偏离现在十年", "advance")
    time.advance(seconds)
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
