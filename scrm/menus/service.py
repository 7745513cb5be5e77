"""Commands about menus, and the comparison of what we want with what the platform shows."""

import json
from datetime import datetime
from typing import Any

from scrm.db import Transaction, command
from scrm.errors import Invalid
from scrm.menus.models import Menu

# Bytes of UTF-8, from the platform's menu/create page.
NAME_BYTES, SUB_NAME_BYTES, KEY_BYTES, URL_BYTES = 16, 60, 128, 1024
NEEDS: dict[str, tuple[str, ...]] = {
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
    "miniprogram": ("url", "appid", "pagepath"),
}


def check(buttons: object) -> list[dict[str, Any]]:
    """Return the buttons of a menu that the platform will take; raises Invalid naming the place that it won't."""
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise Invalid("一级菜单为 1 到 3 个", field="button")
    return [_button(button, f"button[{i}]", top=True) for i, button in enumerate(buttons)]


def _button(button: object, where: str, *, top: bool) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise Invalid("菜单项必须是对象", field=where)
    limit = NAME_BYTES if top else SUB_NAME_BYTES
    name = button.get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= limit:
        raise Invalid(f"菜单名称不能为空，最长 {limit} 字节", field=f"{where}.name")
    children = button.get("sub_button")
    if top and children:
        if not isinstance(children, list) or len(children) > 5:
            raise Invalid("二级菜单最多 5 个", field=f"{where}.sub_button")
        return {
            "name": name,
            "sub_button": [_button(child, f"{where}.sub_button[{i}]", top=False) for i, child in enumerate(children)],
        }
    kind = button.get("type")
    if kind not in NEEDS:
        raise Invalid("不支持的菜单类型", field=f"{where}.type")
    clean: dict[str, Any] = {"type": kind, "name": name}
    for need in NEEDS[kind]:
        value = button.get(need)
        longest = {"key": KEY_BYTES, "url": URL_BYTES}.get(need, URL_BYTES)
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= longest:
            raise Invalid(f"{need} 不能为空，最长 {longest} 字节", field=f"{where}.{need}")
        clean[need] = value
    return clean


@command
async def define(tx: Transaction, *, account_id: int, buttons: object, now: datetime) -> None:
    """Write the menu an account should show; it has to be published afterwards."""
    await tx.connection.execute(
        """
        INSERT INTO menu (account_id, buttons, updated_at) VALUES ($1, $2::jsonb, $3)
        ON CONFLICT (account_id) DO UPDATE
        SET buttons = excluded.buttons, updated_at = excluded.updated_at, published_at = NULL
        """,
        account_id,
        json.dumps(check(buttons), ensure_ascii=False),
        now,
    )


@command
async def record_published(_tx: Transaction, *, account_id: int, now: datetime) -> None:
    """Remember that the platform took the present definition."""
    await Menu.filter(account_id=account_id).update(published_at=now)


async def wanted(account_id: int) -> list[dict[str, Any]] | None:
    """Return the menu an account should show, or None when none was defined."""
    menu = await Menu.get_or_none(account_id=account_id)
    return menu.buttons if menu else None


def differences(ours: list[dict[str, Any]], effective: list[dict[str, Any]]) -> list[str]:
    """Return, in words, where the platform's effective menu (get_current_selfmenu_info) differs from ours."""
    mine, theirs = _flat(ours), _flat(effective)
    found = [f"“{path}”缺失" for path in mine if path not in theirs]
    found += [f"“{path}”多余" for path in theirs if path not in mine]
    found += [f"“{path}”内容不同" for path in mine if path in theirs and mine[path] != theirs[path]]
    return found


def _flat(buttons: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    flat: dict[str, tuple[str, ...]] = {}
    for button in buttons:
        children = button.get("sub_button") or []
        # The effective menu wraps children in {"list": [...]}, the definition does not.
        if isinstance(children, dict):
            children = children.get("list", [])
        if children:
            for path, content in _flat(children).items():
                flat[f"{button['name']} / {path}"] = content
        else:
            kind = str(button.get("type", ""))
            flat[str(button["name"])] = (kind, *(str(button.get(need, "")) for need in NEEDS.get(kind, ())))
    return flat
