"""Tokens and tickets: /cgi-bin/token, stable_token, jsapi ticket, and the platform's addresses."""

from simulator.endpoints import OFFICIAL, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.tokens import LIFETIME
from simulator.world import Account


def owner(call: Call, appid: object, secret: object) -> Account:
    """Return the account of these credentials; the appid is checked first, as the platform does."""
    if not isinstance(appid, str) or not appid:
        raise RefusedError(41002)
    account = call.world.accounts.get(appid)
    if account is None:
        raise RefusedError(40013)
    if not secret:
        raise RefusedError(41004)
    if secret != account.secret:
        raise RefusedError(40125)
    if account.ip_whitelist and call.remote not in account.ip_whitelist:
        raise RefusedError(40164, call.remote)
    return account


@endpoint("GET", "/cgi-bin/token", token=False)
async def token(call: Call) -> Answer:
    """Hand out a classic token; the one before lives five minutes at most."""
    account = owner(call, call.query.get("appid"), call.query.get("secret"))
    if call.query.get("grant_type") != "client_credential":
        raise RefusedError(40002)
    call.wechat.quotas.spend(account.appid, "/cgi-bin/token", 2000)
    return {"access_token": call.wechat.tokens.classic(account).value, "expires_in": LIFETIME}


@endpoint("POST", "/cgi-bin/stable_token", token=False)
async def stable_token(call: Call) -> Answer:
    """Hand out the stable token: the same one again with what remains of its life."""
    account = owner(call, call.body.get("appid"), call.body.get("secret"))
    if call.body.get("grant_type") != "client_credential":
        raise RefusedError(40002)
    call.wechat.quotas.spend(account.appid, "/cgi-bin/stable_token", 500_000, 10_000)
    issued = call.wechat.tokens.stable(account, force=call.body.get("force_refresh") is True)
    return {"access_token": issued.value, "expires_in": int(issued.dies_at - call.now)}


@endpoint("GET", "/cgi-bin/ticket/getticket", kinds=OFFICIAL)
async def ticket(call: Call) -> Answer:
    """Hand out a JS-SDK ticket."""
    return {"errcode": 0, "errmsg": "ok", "ticket": call.world.word(86), "expires_in": LIFETIME}


@endpoint("GET", "/cgi-bin/getcallbackip", basic=True)
@endpoint("GET", "/cgi-bin/get_api_domain_ip", basic=True)
async def addresses(call: Call) -> Answer:
    """Say where pushes come from and where calls go to: this machine."""
    return {"ip_list": ["127.0.0.1"]}
