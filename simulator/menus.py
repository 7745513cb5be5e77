"""Custom menus: the platform's limits, the menu that a given fan sees, and buttons found in it."""

from collections.abc import Iterator
from typing import Any

from simulator.errors import RefusedError
from simulator.world import Account, Json, Thread

# type -> fields that the button must bring
TYPES: dict[str, tuple[str, ...]] = {
    "click": ("key",),
    "view": ("url",),
    "scancode_push": ("key",),
    "scancode_waitmsg": ("key",),
    "pic_sysphoto": ("key",),
    "pic_photo_or_album": ("key",),
    "pic_weixin": ("key",),
    "location_select": ("key",),
    "media_id": ("media_id",),
    "article_id": ("article_id",),
    "article_view_limited": ("article_id",),
    "miniprogram": ("appid", "pagepath", "url"),
}
BUTTONS, SUB_BUTTONS = 3, 5
NAME_BYTES, SUB_NAME_BYTES, KEY_BYTES, URL_BYTES = 16, 60, 128, 1024


def checked(body: Json) -> list[Json]:
    """Check the buttons of menu/create and return them normalised. Raises RefusedError 40016 … 40027."""
    buttons = body.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        raise RefusedError(40016)
    return [_button(button, level=1) for button in buttons]


def _button(button: Any, *, level: int) -> Json:
    size, kind_code, name_code, key_code, url_code = (
        (40023, 40024, 40025, 40026, 40027) if level == 2 else (40016, 40017, 40018, 40019, 40020)
    )
    if not isinstance(button, dict):
        raise RefusedError(size)
    name = button.get("name")
    limit = SUB_NAME_BYTES if level == 2 else NAME_BYTES
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= limit:
        raise RefusedError(name_code)
    children = button.get("sub_button")
    if children:
        if level == 2:
            raise RefusedError(40022)
        if not isinstance(children, list) or len(children) > SUB_BUTTONS:
            raise RefusedError(40023)
        return {"name": name, "sub_button": [_button(child, level=2) for child in children]}
    kind = button.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise RefusedError(kind_code)
    for field in TYPES[kind]:
        value = button.get(field)
        code = {"key": key_code, "url": url_code, "media_id": 40007, "appid": 40013}.get(field, 40165)
        longest = KEY_BYTES if field == "key" else URL_BYTES
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= longest:
            raise RefusedError(code)
        if field == "url" and not value.startswith(("http://", "https://")):
            raise RefusedError(40055 if level == 2 else 40054)
    known = {"type", "name", *TYPES[kind]}
    return {k: v for k, v in button.items() if k in known} | {"sub_button": []}


def shown(account: Account, thread: Thread) -> Json | None:
    """Return the menu that this fan sees: the newest conditional one that matches, else the default."""
    if account.menu is None:
        return None
    for menu in reversed(account.conditional_menus):
        tag = str(menu["matchrule"].get("tag_id", ""))
        platform = str(menu["matchrule"].get("client_platform_type", ""))
        # The simulated phone calls itself an Android (2).
        if (not tag or tag in map(str, thread.tags)) and platform in ("", "2"):
            return {"button": menu["button"]}
    return {"button": account.menu["button"]}


def leaves(menu: Json | None) -> Iterator[Json]:
    """Yield the buttons that can be pressed."""
    for button in (menu or {}).get("button", []):
        yield from button.get("sub_button") or [button]
