"""The phone page's API: state, threads, what a fan does, and a live stream of each thread."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from simulator import pictures, wire
from simulator.actions import ActionError, Actions, Done
from simulator.endpoints import WECHAT, Upload, form_of
from simulator.world import Json, Thread


@dataclass(frozen=True)
class Pages:
    """Where the built page lies; None: it was not built."""

    folder: Path | None


ACTIONS = web.AppKey("actions", Actions)
PAGES = web.AppKey("pages", Pages)
NICKNAME_MOST = 20
NUMBER_MOST = sys.float_info.max  # also keeps out the infinite, and what is not a number at all
KEEPALIVE = 15.0  # seconds between the comments that keep a silent stream open

NOT_BUILT = (
    '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>模拟手机</title>'
    "<p>手机页面还没有构建。请先构建前端页面，再用 --pages 指向构建结果的文件夹。</p></html>"
)


@web.middleware
async def errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what a person cannot do into a sentence with a 4xx."""
    try:
        return await handler(request)
    except ActionError as error:
        body: Json = {"error": error.text} | ({"field": error.field} if error.field else {})
        return json_answer(body, status=error.status)


def json_answer(body: object, *, status: int = 200) -> web.Response:
    """Answer JSON, Chinese readable."""
    return web.Response(body=wire.to_json(body), status=status, content_type="application/json", charset="utf-8")


async def json_body(request: web.Request) -> Json:
    """Read a JSON object; an empty body is an empty one."""
    raw = await request.read()
    try:
        return wire.from_json(raw) if raw.strip() else {}
    except wire.WireError as error:
        raise ActionError("请求内容应为 JSON 对象") from error


def text_of(body: Json, name: str, most: int) -> str:
    """Return a non-empty string of at most `most` characters, or say which field is wrong."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ActionError("不能为空", name)
    if len(value) > most:
        raise ActionError(f"最多 {most} 个字", name)
    return value


def number_of(body: Json, name: str) -> float:
    """Return a finite number, or say which field is wrong."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= NUMBER_MOST:
        raise ActionError("应为数字", name)
    return float(value)


def thread_of(request: web.Request) -> Thread:
    """Return the thread that the path names."""
    try:
        return request.app[WECHAT].world.thread(request.match_info["appid"], request.match_info["fan_id"])
    except KeyError as error:
        raise ActionError("没有这个账号或粉丝", status=404) from error


# pages and pictures


async def page(request: web.Request) -> web.StreamResponse:
    """Serve the built page."""
    folder = request.app[PAGES].folder
    name = request.match_info.get("name") or "index.html"
    if folder is not None:
        try:
            target = (folder / name).resolve()
            if target.is_relative_to(folder.resolve()) and target.is_file():
                return web.FileResponse(target)
        except (OSError, ValueError) as error:  # a name that no file can have
            raise web.HTTPNotFound from error
    if name == "index.html":
        return web.Response(text=NOT_BUILT, content_type="text/html")
    raise web.HTTPNotFound


async def to_page(request: web.Request) -> web.StreamResponse:
    """Lead to the page's folder."""
    raise web.HTTPFound("/phone/")


async def media(request: web.Request) -> web.Response:
    """Serve a file that somebody sent or uploaded."""
    found = request.app[WECHAT].world.media.get(request.match_info["media_id"])
    if found is None:
        raise web.HTTPNotFound
    return web.Response(body=found.data, content_type=found.content_type)


async def show_qrcode(request: web.Request) -> web.Response:
    """Serve the picture of a QR code, as mp.weixin.qq.com does."""
    qr = request.app[WECHAT].world.qrcodes.get(request.query.get("ticket", ""))
    if qr is None:
        raise web.HTTPNotFound
    return web.Response(body=pictures.qr_png(qr.url), content_type="image/png")


# reading


async def state(request: web.Request) -> web.Response:
    """List accounts and fans."""
    world = request.app[WECHAT].world
    accounts = [
        {
            "appid": a.appid,
            "name": a.name,
            "kind": a.kind,
            "username": a.username,
            "connected": bool(a.callback_url),
            "description": a.description,
            "server": a.server,
        }
        for a in world.accounts.values()
    ]
    fans = [_fan(f.id, f.nickname, f.color) for f in world.fans.values()]
    return json_answer({"accounts": accounts, "fans": fans})


def _fan(fan_id: str, nickname: str, color: str) -> Json:
    return {"id": fan_id, "nickname": nickname, "color": color, "avatar": None}


async def add_fan(request: web.Request) -> web.Response:
    """Create a fan."""
    nickname = text_of(await json_body(request), "nickname", NICKNAME_MOST).strip()
    fan = request.app[WECHAT].world.add_fan(nickname)
    return json_answer(_fan(fan.id, fan.nickname, fan.color))


async def read_thread(request: web.Request) -> web.Response:
    """Return a thread with its messages."""
    thread = thread_of(request)
    messages = [m.wire() for m in thread.messages]
    return json_answer({"openid": thread.openid, "messages": messages} | request.app[WECHAT].state(thread))


async def stream(request: web.Request) -> web.StreamResponse:
    """Send a thread's messages and changes as they happen."""
    wechat, thread = request.app[WECHAT], thread_of(request)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )
    queue = wechat.world.watch(thread)
    try:
        await response.prepare(request)
        await response.write(_sse("thread", wechat.state(thread)))
        while True:
            try:
                async with asyncio.timeout(KEEPALIVE):
                    event, data = await queue.get()
            except TimeoutError:
                await response.write(b": \n\n")
            else:
                if event == "end":
                    return response
                await response.write(_sse(event, data))
    except ConnectionResetError:
        return response  # the page was closed
    finally:
        wechat.world.unwatch(thread, queue)


def _sse(event: str, data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event.encode(), wire.to_json(data))


async def qrcodes(request: web.Request) -> web.Response:
    """List an account's QR codes, newest first."""
    world, appid = request.app[WECHAT].world, request.match_info["appid"]
    if appid not in world.accounts:
        raise ActionError("没有这个账号", status=404)
    mine = [q for q in world.qrcodes.values() if q.appid == appid]
    return json_answer(
        [
            {
                "ticket": q.ticket,
                "scene": q.scene,
                "permanent": q.expires_at is None,
                "expires_at": int(q.expires_at * 1000) if q.expires_at else None,
                "image": f"/cgi-bin/showqrcode?ticket={q.ticket}",
                "scans": q.scans,
            }
            for q in reversed(mine)
        ]
    )


# doing


async def act(request: web.Request) -> web.Response:
    """Do one thing of the fan's and tell how the push ended."""
    name = request.match_info["action"]
    if name not in _ACTS:
        raise ActionError("没有这个动作", status=404)
    done = await _ACTS[name](request.app[ACTIONS], thread_of(request), request)
    message = done.message.wire() if done.message else None
    return json_answer({"message": message, "push": done.push.wire()})


async def _follow(actions: Actions, thread: Thread, request: web.Request) -> Done:
    return await actions.follow(thread)


async def _unfollow(actions: Actions, thread: Thread, request: web.Request) -> Done:
    return await actions.unfollow(thread)


async def _scan(actions: Actions, thread: Thread, request: web.Request) -> Done:
    body = await json_body(request)
    if body.get("ticket"):
        return await actions.scan(thread, ticket=text_of(body, "ticket", 512))
    return await actions.scan(thread, scene=text_of(body, "scene", 64))


async def _menu(actions: Actions, thread: Thread, request: web.Request) -> Done:
    path = (await json_body(request)).get("path")
    if not isinstance(path, list) or not 1 <= len(path) <= 2 or not all(type(i) is int and i >= 0 for i in path):
        raise ActionError("应为 [一级] 或 [一级, 二级] 的序号", "path")
    return await actions.press(thread, path)


async def _text(actions: Actions, thread: Thread, request: web.Request) -> Done:
    return await actions.text(thread, text_of(await json_body(request), "content", 2000))


async def _image(actions: Actions, thread: Thread, request: web.Request) -> Done:
    upload = (await form_of(request)).get("file")
    if not isinstance(upload, Upload):
        raise ActionError("请选择图片", "file")
    return await actions.image(thread, upload.data, upload.filename)


async def _location(actions: Actions, thread: Thread, request: web.Request) -> Done:
    body = await json_body(request)
    label = str(body.get("label", ""))
    return await actions.location(thread, number_of(body, "latitude"), number_of(body, "longitude"), label)


async def _msgmenu(actions: Actions, thread: Thread, request: web.Request) -> Done:
    body = await json_body(request)
    item_id, content = body.get("item_id", ""), body.get("content")
    if not isinstance(item_id, str):
        raise ActionError("应为文字", "item_id")
    if content is not None and not isinstance(content, str):
        raise ActionError("应为文字", "content")
    return await actions.choose(thread, int(number_of(body, "message_id")), item_id, content)


async def _enter(actions: Actions, thread: Thread, request: web.Request) -> Done:
    return await actions.enter_session(thread)


_ACTS: dict[str, Callable[[Actions, Thread, web.Request], Awaitable[Done]]] = {
    "follow": _follow,
    "unfollow": _unfollow,
    "scan": _scan,
    "menu": _menu,
    "text": _text,
    "image": _image,
    "location": _location,
    "msgmenu": _msgmenu,
    "enter": _enter,
}


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the phone page and of pictures."""
    thread = "/phone/api/threads/{appid}/{fan_id}"
    return [
        web.get("/", to_page),
        web.get("/phone", to_page),
        web.get("/cgi-bin/showqrcode", show_qrcode),
        web.get("/phone/media/{media_id}", media),
        web.get("/phone/api/state", state),
        web.post("/phone/api/fans", add_fan),
        web.get("/phone/api/accounts/{appid}/qrcodes", qrcodes),
        web.get(thread, read_thread),
        web.get(thread + "/stream", stream),
        web.post(thread + "/{action}", act),
        web.get("/phone/", page),
        web.get("/phone/{name:.+}", page),
    ]
