"""Serving a built single-page application: its folder, its security headers, and what a browser may keep."""

from pathlib import Path

from aiohttp import web

# Inline `style` attributes only: pictures of charts and pop-ups are placed by them.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob: https://thirdwx.qlogo.cn https://mmbiz.qpic.cn; font-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HASHED = "public, max-age=31536000, immutable"
_NOT_BUILT = (
    '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>Fensi 粉丝</title>'
    "<p>页面还没有构建，请运行 <code>make setup</code> 后重试。</p></html>"
)


def single_page(name: str, folder: Path, *, https: bool) -> list[web.RouteDef]:
    """Return the routes of the application built into `folder`, served at /<name>/.

    Every address below it that is no file gives the application's page, which knows its own addresses. Files under
    assets/ carry a hash in their names and may be kept for ever; the page itself is asked for each time.
    """
    headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def serve(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        hashed = path.startswith("assets/")
        found = _file(folder, path)
        if found is None and hashed:
            raise web.HTTPNotFound(headers=headers)
        found = found or _file(folder, "index.html")
        if found is None:
            return web.Response(text=_NOT_BUILT, content_type="text/html", status=503, headers=headers)
        return web.FileResponse(found, headers=headers | {"Cache-Control": _HASHED if hashed else "no-cache"})

    async def to_page(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{name}/")

    return [web.get(f"/{name}", to_page), web.get(f"/{name}/{{path:.*}}", serve)]


def _file(folder: Path, path: str) -> Path | None:
    try:
        target = (folder / path).resolve()
        return target if target.is_relative_to(folder.resolve()) and target.is_file() else None
    except (ValueError, OSError):  # no name a file can have: a NUL in it, half a character, or far too long
        return None
