"""Mini-program APIs: login, phone number, codes and links."""

import base64
import hashlib
import hmac
import re

from simulator import pictures
from simulator.api.credential import owner
from simulator.endpoints import MINI, OK, Answer, Call, File, endpoint
from simulator.errors import RefusedError
from simulator.wechat import LoginCode
from simulator.world import Json

SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@\-._~]{1,32}")
WIDTH = range(280, 1281)
QUERY_MOST = 1024
LINK_DAYS = 30
DAY = 24 * 3600


def _use(code: str | None, codes: dict[str, LoginCode], appid: str, now: float) -> LoginCode:
    """Take a code that works once within five minutes. Raises 41008, 40029 and 40163."""
    if not code:
        raise RefusedError(41008)
    found = codes.get(code)
    if found is None or found.thread.appid != appid or now - found.made_at > LoginCode.LIFETIME:
        raise RefusedError(40029)
    if found.used:
        raise RefusedError(40163)
    found.used = True
    return found


@endpoint("GET", "/sns/jscode2session", token=False)
async def login(call: Call) -> Answer:
    """Exchange a `wx.login` code for the openid and the session key."""
    account = owner(call, call.query.get("appid"), call.query.get("secret"))
    if call.query.get("grant_type") != "authorization_code":
        raise RefusedError(40002)
    thread = _use(call.query.get("js_code"), call.wechat.login_codes, account.appid, call.now).thread
    thread.session_key = base64.b64encode(call.world.rng.randbytes(16)).decode()
    thread.last_seen = call.now
    call.world.on_change()
    answer: Json = {"session_key": thread.session_key, "openid": thread.openid}
    fan = call.world.fans[thread.fan_id]
    if account.open_platform and fan.unionid:
        answer["unionid"] = fan.unionid
    return answer


def _signed(call: Call) -> bool:
    thread = call.thread(call.query.get("openid"))
    expected = hmac.new(thread.session_key.encode(), b"", hashlib.sha256).hexdigest()
    return bool(thread.session_key) and hmac.compare_digest(expected, call.query.get("signature", ""))


@endpoint("GET", "/wxa/checksession", kinds=MINI)
async def check_session(call: Call) -> Answer:
    """Say whether a session key is still the fan's."""
    if not _signed(call):
        raise RefusedError(87009)
    return OK


@endpoint("GET", "/wxa/resetusersessionkey", kinds=MINI)
async def reset_session(call: Call) -> Answer:
    """Replace a fan's session key."""
    if not _signed(call):
        raise RefusedError(87009)
    thread = call.thread(call.query.get("openid"))
    thread.session_key = base64.b64encode(call.world.rng.randbytes(16)).decode()
    return OK | {"openid": thread.openid, "session_key": thread.session_key}


@endpoint("POST", "/wxa/business/getuserphonenumber", kinds=MINI)
async def phone_number(call: Call) -> Answer:
    """Exchange a code of the phone-number button for the number."""
    code = call.body.get("code")
    thread = _use(code if isinstance(code, str) else None, call.wechat.phone_codes, call.account.appid, call.now).thread
    number = call.world.fans[thread.fan_id].phone
    return OK | {
        "phone_info": {
            "phoneNumber": number,
            "purePhoneNumber": number,
            "countryCode": "86",
            "watermark": {"timestamp": int(call.now), "appid": call.account.appid},
        }
    }


def _page(call: Call, name: str, errcode: int) -> str:
    page = call.body.get(name, "")
    if not isinstance(page, str) or page.startswith("/") or "?" in page:
        raise RefusedError(errcode)
    checked = call.body.get("check_path", True) is not False
    if page and checked and call.account.pages and page not in call.account.pages:
        raise RefusedError(errcode)
    return page


@endpoint("POST", "/wxa/getwxacodeunlimit", kinds=MINI, minute=5000)
async def code(call: Call) -> Answer:
    """Draw a code for a page with a scene. The real one is round; this one any scanner reads."""
    scene = call.body.get("scene")
    if not isinstance(scene, str) or not SCENE.fullmatch(scene):
        raise RefusedError(40169 if isinstance(scene, str) and len(scene) > 32 else 40129)
    page = _page(call, "page", 41030)
    width = call.body.get("width", 430)
    if type(width) is not int or width not in WIDTH:
        raise RefusedError(40097, "width")
    if call.body.get("env_version", "release") not in ("release", "trial", "develop"):
        raise RefusedError(40097, "env_version")
    text = f"{call.wechat.base_url}/wxa?appid={call.account.appid}&page={page}&scene={scene}"
    return File(pictures.qr_png(text, width), "image/png")


def _check_link(call: Call, target: Json) -> None:
    path, query = target.get("path", ""), target.get("query", "")
    known = not call.account.pages or str(path).lstrip("/") in ("", *call.account.pages)
    if not isinstance(path, str) or not known:
        raise RefusedError(40165)
    if not isinstance(query, str) or len(query) > QUERY_MOST:
        raise RefusedError(40212)
    if call.body.get("expire_type", 0) == 1:
        days = call.body.get("expire_interval")
        if type(days) is not int or not 1 <= days <= LINK_DAYS:
            raise RefusedError(85401)
    elif "expire_time" in call.body:
        at = call.body["expire_time"]
        if type(at) is not int or not 60 <= at - call.now <= LINK_DAYS * DAY:
            raise RefusedError(85401)


@endpoint("POST", "/wxa/generate_urllink", kinds=MINI, daily=500_000)
async def url_link(call: Call) -> Answer:
    """Make a link that opens the mini-program from anywhere."""
    _check_link(call, call.body)
    return OK | {"url_link": "https://wxaurl.cn/" + call.world.word(11)}


@endpoint("POST", "/wxa/generatescheme", kinds=MINI, daily=500_000)
async def scheme(call: Call) -> Answer:
    """Make a weixin:// link."""
    target = call.body.get("jump_wxa", {})
    if not isinstance(target, dict):
        raise RefusedError(40165)
    _check_link(call, target)
    return OK | {"openlink": "weixin://dl/business/?t=" + call.world.word(11)}
