"""Parameterised QR codes and their pictures."""

from simulator.endpoints import Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Kind, QrCode

LONGEST = 2_592_000  # seconds
DEFAULT = 60
PERMANENT_MOST = 100_000
SCENE_STR_MOST = 64
SERVICE: frozenset[Kind] = frozenset({"service"})


@endpoint("POST", "/cgi-bin/qrcode/create", kinds=SERVICE, verified=True, daily=100_000)
async def create(call: Call) -> Answer:
    """Create a temporary or permanent code with a number or a string as its scene."""
    action = call.body.get("action_name")
    if action not in ("QR_SCENE", "QR_STR_SCENE", "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"):
        raise RefusedError(40052)
    permanent, is_string = "LIMIT" in action, "STR" in action
    info = call.body.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    if not isinstance(scene, dict):
        raise RefusedError(40053)
    value = scene.get("scene_str" if is_string else "scene_id")
    if is_string:
        if not isinstance(value, str) or not 1 <= len(value) <= SCENE_STR_MOST:
            raise RefusedError(40053)
    elif isinstance(value, bool) or not isinstance(value, int) or not _number_ok(value, permanent=permanent):
        raise RefusedError(40053)
    seconds = call.body.get("expire_seconds", DEFAULT)
    if not permanent and (not isinstance(seconds, int) or not 1 <= seconds <= LONGEST):
        raise RefusedError(40035, "expire_seconds out of range")
    mine = [q for q in call.world.qrcodes.values() if q.appid == call.account.appid]
    if permanent:
        same = [q for q in mine if q.expires_at is None and q.scene == str(value) and q.is_string == is_string]
        if same:
            return {"ticket": same[0].ticket, "url": same[0].url}
        if sum(q.expires_at is None for q in mine) >= PERMANENT_MOST:
            raise RefusedError(45029)
    qr = QrCode(
        ticket="gQ" + call.world.word(94),
        appid=call.account.appid,
        scene=str(value),
        is_string=is_string,
        url="http://weixin.qq.com/q/" + call.world.word(22),
        created_at=call.now,
        expires_at=None if permanent else call.now + seconds,
    )
    call.world.qrcodes[qr.ticket] = qr
    call.world.on_change()
    answer = {"ticket": qr.ticket, "url": qr.url}
    return answer if permanent else answer | {"expire_seconds": seconds}


def _number_ok(value: int, *, permanent: bool) -> bool:
    return 1 <= value <= 100_000 if permanent else value != 0 and -(2**31) <= value < 2**32
