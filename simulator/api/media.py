"""Media and material: uploads, downloads, and in-article images."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulator.endpoints import OFFICIAL, OK, Answer, Call, File, endpoint
from simulator.errors import RefusedError
from simulator.messages import find_media, media_url
from simulator.wire import WireError, from_json
from simulator.world import Json, Media

MB = 1024 * 1024
SIZES = {"image": 10 * MB, "voice": 2 * MB, "video": 10 * MB, "thumb": 64 * 1024}
ARTICLE_IMAGE = MB


def _upload(form: Mapping[str, Any], most: int) -> tuple[web.FileField, bytes]:
    field = form.get("media")
    if not isinstance(field, web.FileField):
        raise RefusedError(41005)
    data = field.file.read()
    if not data:
        raise RefusedError(44001)
    if len(data) > most:
        raise RefusedError(45001)
    return field, data


def _keep(call: Call, kind: object, *, permanent: bool) -> Media:
    if not isinstance(kind, str) or kind not in SIZES:
        raise RefusedError(40004)
    field, data = _upload(call.form, SIZES[kind])
    media = Media(
        id=call.world.word(64),
        appid=call.account.appid,
        type=kind,
        filename=field.filename,
        content_type=field.content_type,
        data=data,
        created_at=call.now,
        permanent=permanent,
    )
    call.world.media[media.id] = media
    call.world.on_change()
    return media


@endpoint("POST", "/cgi-bin/media/upload", daily=100_000, upload=True)
async def upload(call: Call) -> Answer:
    """Keep a file for three days."""
    media = _keep(call, call.query.get("type") or call.form.get("type"), permanent=False)
    name = "thumb_media_id" if media.type == "thumb" else "media_id"
    return {"type": media.type, name: media.id, "created_at": int(media.created_at)}


def _found(call: Call, media_id: object) -> Media:
    if not media_id:
        raise RefusedError(41006)
    media = find_media(call.world, call.account.appid, media_id)
    if media is None:
        raise RefusedError(40007)
    return media


@endpoint("GET", "/cgi-bin/media/get", daily=200_000)
async def get(call: Call) -> Answer:
    """Return a temporary file's bytes; of a video, its address."""
    media = _found(call, call.query.get("media_id"))
    if media.type == "video":
        return {"video_url": call.wechat.base_url + media_url(media.id)}
    return File(media.data, media.content_type, media.filename)


@endpoint("POST", "/cgi-bin/media/uploadimg", kinds=OFFICIAL, upload=True)
async def upload_image(call: Call) -> Answer:
    """Keep an image for use inside articles; answers its address."""
    field, data = _upload(call.form, ARTICLE_IMAGE)
    if field.content_type not in ("image/jpeg", "image/png"):
        raise RefusedError(40005)
    media = _keep_image(call, field, data)
    return {"url": call.wechat.base_url + media_url(media.id)}


def _keep_image(call: Call, field: web.FileField, data: bytes) -> Media:
    media = Media(
        call.world.word(64),
        call.account.appid,
        "image",
        field.filename,
        field.content_type,
        data,
        call.now,
        permanent=True,
    )
    call.world.media[media.id] = media
    call.world.on_change()
    return media


@endpoint("POST", "/cgi-bin/material/add_material", kinds=OFFICIAL, daily=1000, upload=True)
async def add_material(call: Call) -> Answer:
    """Keep a file for ever; a video brings its title and introduction as JSON."""
    kind = call.query.get("type") or call.form.get("type")
    described: Json = {}
    if kind == "video":
        try:
            described = from_json(str(call.form.get("description", "")).encode())
        except WireError as error:
            raise RefusedError(47001) from error
    media = _keep(call, kind, permanent=True)
    media.title, media.description = str(described.get("title", "")), str(described.get("introduction", ""))
    answer = {"media_id": media.id}
    if media.type in ("image", "thumb"):
        answer["url"] = call.wechat.base_url + media_url(media.id)
    return answer


@endpoint("POST", "/cgi-bin/material/get_material", kinds=OFFICIAL, daily=1000)
async def get_material(call: Call) -> Answer:
    """Return a permanent file: bytes, or for a video where it lies."""
    media = _found(call, call.body.get("media_id"))
    if media.type == "video":
        url = call.wechat.base_url + media_url(media.id)
        return {"title": media.title, "description": media.description, "down_url": url}
    return File(media.data, media.content_type, media.filename)


@endpoint("POST", "/cgi-bin/material/del_material", kinds=OFFICIAL, daily=1000)
async def delete_material(call: Call) -> Answer:
    """Delete a permanent file."""
    media = _found(call, call.body.get("media_id"))
    if not media.permanent:
        raise RefusedError(40007)
    del call.world.media[media.id]
    call.world.on_change()
    return OK


@endpoint("GET", "/cgi-bin/material/get_materialcount", kinds=OFFICIAL, daily=5000)
async def count_material(call: Call) -> Answer:
    """Count permanent files by type."""
    mine = [m for m in call.world.media.values() if m.appid == call.account.appid and m.permanent]
    counts = {f"{kind}_count": sum(m.type == kind for m in mine) for kind in ("voice", "video", "image")}
    return counts | {"news_count": 0}
