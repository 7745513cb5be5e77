"""Followers: lists, information, remarks, blacklist."""

from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Json, Thread

PAGE = 10_000
BATCH = 100
REMARK_MOST = 30
BLACK_BATCH = 20


def info(call: Call, thread: Thread) -> Json:
    """Return what the platform tells of a fan: nothing but the openid after an unfollow."""
    if not thread.following:
        return {"subscribe": 0, "openid": thread.openid, "tagid_list": []}
    fan = call.world.fans[thread.fan_id]
    answer: Json = {
        "subscribe": 1,
        "openid": thread.openid,
        "nickname": "",
        "sex": 0,
        "language": "zh_CN",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": thread.subscribe_time,
        "remark": thread.remark,
        "groupid": thread.tags[0] if thread.tags else 0,
        "tagid_list": thread.tags,
        "subscribe_scene": thread.subscribe_scene,
        "qr_scene": int(thread.qr_scene) if thread.qr_scene and not thread.qr_is_string else 0,
        "qr_scene_str": thread.qr_scene if thread.qr_is_string else "",
    }
    if call.account.open_platform and fan.unionid:
        answer["unionid"] = fan.unionid
    return answer


@endpoint("GET", "/cgi-bin/user/get", kinds=OFFICIAL, daily=500)
async def get(call: Call) -> Answer:
    """List followers, 10,000 a page."""
    openids = [t.openid for t in call.world.followers(call.account.appid)]
    after = call.query.get("next_openid")
    if after:
        if call.world.by_openid(call.account.appid, after) is None:
            raise RefusedError(40003)
        start = openids.index(after) + 1 if after in openids else len(openids)
    else:
        start = 0
    page = openids[start : start + PAGE]
    answer: Json = {"total": len(openids), "count": len(page)}
    if page:
        answer["data"] = {"openid": page}
    return answer | {"next_openid": page[-1] if page else ""}


@endpoint("GET", "/cgi-bin/user/info", kinds=OFFICIAL, daily=5_000_000)
async def one(call: Call) -> Answer:
    """Tell about one fan."""
    return info(call, call.thread(call.query.get("openid")))


@endpoint("POST", "/cgi-bin/user/info/batchget", kinds=OFFICIAL, daily=5_000_000)
async def batch(call: Call) -> Answer:
    """Tell about up to 100 fans."""
    asked = call.body.get("user_list")
    if not isinstance(asked, list) or not 1 <= len(asked) <= BATCH:
        raise RefusedError(40032)
    threads = [call.thread(u.get("openid") if isinstance(u, dict) else None) for u in asked]
    return {"user_info_list": [info(call, thread) for thread in threads]}


@endpoint("POST", "/cgi-bin/user/info/updateremark", kinds=OFFICIAL, verified=True, daily=10_000)
async def remark(call: Call) -> Answer:
    """Set the remark of a fan."""
    thread = call.thread(call.body.get("openid"))
    text = call.body.get("remark")
    if not isinstance(text, str) or len(text) >= REMARK_MOST:
        raise RefusedError(40035, "remark too long")
    thread.remark = text
    call.world.on_change()
    return OK
