"""Quotas: how much of an API is left today, and setting counts to zero."""

from simulator.api.credential import owner
from simulator.endpoints import OK, REGISTRY, Answer, Call, endpoint
from simulator.errors import RefusedError


def _limit(call: Call, path: str) -> int:
    """Return an API's daily limit; 0 stands for none. Raises 76003 and 76022 as the platform does."""
    if path.startswith("/sns/"):
        raise RefusedError(76022)
    if path not in REGISTRY.by_path:
        raise RefusedError(76003)
    own = next(iter(REGISTRY.by_path[path].values())).daily
    return call.wechat.quotas.limits.get((call.account.appid, path), own or 0)


@endpoint("POST", "/cgi-bin/openapi/quota/get", basic=True)
async def get(call: Call) -> Answer:
    """Tell the limit, the use and the rest of one API."""
    path = call.text("cgi_path")
    limit, used = _limit(call, path), call.wechat.quotas.used(call.account.appid, path)
    return OK | {"quota": {"daily_limit": limit, "used": used, "remain": max(0, limit - used)}}


@endpoint("POST", "/cgi-bin/clear_quota", basic=True)
async def clear(call: Call) -> Answer:
    """Set all counts of the account to zero, ten times a month."""
    if call.body.get("appid") != call.account.appid:
        raise RefusedError(40013)
    call.wechat.quotas.clear(call.account.appid)
    return OK


@endpoint("POST", "/cgi-bin/clear_quota/v2", token=False)
async def clear_by_secret(call: Call) -> Answer:
    """Set all counts to zero with the secret; shares the ten times a month."""
    account = owner(call, call.body.get("appid"), call.body.get("appsecret"))
    call.wechat.quotas.clear(account.appid)
    return OK
