"""Media and material: uploads, downloads, and in-article images."""

from simulator.endpoints import OFFICIAL, OK, UNTYPED, Answer, Call, File, Upload, endpoint
from simulator.errors import RefusedError
from simulator.messages import find_media, media_url
from simulator.wire import WireError, from_json
from simulator.world import Json, Media

MB = 1024 * 1024
SIZES = {"image": 10 * MB, "voice": 2 * MB, "video": 10 * MB, "thumb": 64 * 1024}
ARTICLE_IMAGE = MB

JPEG = {"jpg": "image/jpeg", "jpeg": "image/jpeg"}
ARTICLE_FORMATS = JPEG | {"png": "image/png"}
# type -> extension -> content type; the longer of the platform's lists for temporary and permanent files
FORMATS = {
    "image": ARTICLE_FORMATS | {"gif": "image/gif", "bmp": "image/bmp"},
    "voice": {"amr": "audio/amr", "mp3": "audio/mpeg", "wma": "audio/x-ms-wma", "wav": "audio/wav"},
    "video": {"mp4": "video/mp4"},
    "thumb": JPEG,
}


def _upload(call: Call, formats: dict[str, str], most: int) -> Upload:
    """Return the uploaded file. Raises 41005, 44001, 45001, and 40005 for a name or content type not of `formats`."""
    file = call.form.get("media")
    if not isinstance(file, Upload):
        raise RefusedError(41005)
    content_type = formats.get(file.filename.rpartition(".")[2].lower())
    if content_type is None:
        raise RefusedError(40005)
    sort = content_type.split("/")[0]
    if file.content_type != UNTYPED and file.content_type.split("/")[0] != sort:
        raise RefusedError(40005)
    if not file.data:
        raise RefusedError(44001)
    if len(file.data) > most:
        raise RefusedError(45001)
    # The name comes back in a header of the download.
    name = "".join(c for c in file.filename if c.isprintable() and c not in '"\\')
    return Upload(name, content_type, file.data)


def _keep(call: Call, kind: object, *, permanent: bool) -> Media:
    if not isinstance(kind, str) or kind not in SIZES:
        raise RefusedError(40004)
    return _kept(call, kind, _upload(call, FORMATS[kind], SIZES[kind]), permanent=permanent)


def _kept(call: Call, kind: str, file: Upload, *, permanent: bool) -> Media:
    media = Media(
        id=call.world.word(64),
        appid=call.account.appid,
        type=kind,
        filename=file.filename,
        content_type=file.content_type,
        data=file.data,
        created_at=call.now,
        permanent=permanent,
    )
    call.world.media[media.id] = media
    call.world.on_change()
    return media


@endpoint("POST", "/cgi-bin/media/upload", basic=True, daily=100_000, upload=True)
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


@endpoint("GET", "/cgi-bin/media/get", basic=True, daily=200_000)
async def get(call: Call) -> Answer:
    """Return a temporary file's bytes; of a video, its address."""
    media = _found(call, call.query.get("media_id"))
    if media.type == "video":
        return {"video_url": call.wechat.base_url + media_url(media.id)}
    return File(media.data, media.content_type, media.filename)


@endpoint("POST", "/cgi-bin/media/uploadimg", kinds=OFFICIAL, upload=True)
async def upload_image(call: Call) -> Answer:
    """Keep an image for use inside articles; answers its address."""
    media = _kept(call, "image", _upload(call, ARTICLE_FORMATS, ARTICLE_IMAGE), permanent=True)
    return {"url": call.wechat.base_url + media_url(media.id)}


@endpoint("POST", "/cgi-bin/material/add_material", kinds=OFFICIAL, basic=True, daily=1000, upload=True)
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


@endpoint("POST", "/cgi-bin/material/get_material", kinds=OFFICIAL, basic=True, daily=1000)
async def get_material(call: Call) -> Answer:
    """Return a permanent file: bytes, or for a video where it lies."""
    media = _found(call, call.body.get("media_id"))
    if media.type == "video":
        url = call.wechat.base_url + media_url(media.id)
        return {"title": media.title, "description": media.description, "down_url": url}
    return File(media.data, media.content_type, media.filename)


@endpoint("POST", "/cgi-bin/material/del_material", kinds=OFFICIAL, basic=True, daily=1000)
async def delete_material(call: Call) -> Answer:
    """Delete a permanent file."""
    media = _found(call, call.body.get("media_id"))
    if not media.permanent:
        raise RefusedError(40007)
    del call.world.media[media.id]
    call.world.on_change()
    return OK


@endpoint("GET", "/cgi-bin/material/get_materialcount", kinds=OFFICIAL, basic=True, daily=5000)
async def count_material(call: Call) -> Answer:
    """Count permanent files by type."""
    mine = [m for m in call.world.media.values() if m.appid == call.account.appid and m.permanent]
    counts = {f"{kind}_count": sum(m.type == kind for m in mine) for kind in ("voice", "video", "image")}
    return counts | {"news_count": 0}
