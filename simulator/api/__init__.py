"""WeChat's server APIs, one module a concern; importing this package registers all of them."""

from simulator.api import (
    credential,
    custom,
    mass,
    media,
    menu,
    miniprogram,
    qrcode,
    quota,
    security,
    subscribe,
    tags,
    template,
    users,
)

__all__ = [
    "credential",
    "custom",
    "mass",
    "media",
    "menu",
    "miniprogram",
    "qrcode",
    "quota",
    "security",
    "subscribe",
    "tags",
    "template",
    "users",
]
