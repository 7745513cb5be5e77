"""WeChat's customer-service windows (客服消息): which act of a fan opens what, for how long, for how many.

Source: the platform's table as of 2026 (客服消息, "5 条 / 48 小时" and its neighbours). Quotas are not added up
over scenes: a message is possible while any one open window still has room, and counts against all of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Scene:
    """One row of the platform's table."""

    limit: int
    lasts: timedelta


SCENES: dict[str, dict[str, Scene]] = {
    "official": {
        "message": Scene(5, timedelta(hours=48)),
        "menu": Scene(3, timedelta(minutes=1)),
        "follow": Scene(3, timedelta(minutes=1)),
        "scan": Scene(3, timedelta(minutes=1)),
    },
    "miniprogram": {
        "message": Scene(5, timedelta(hours=48)),
        "enter": Scene(2, timedelta(minutes=1)),
    },
}

# Which event kinds open which scene. Of the menu's buttons only these three count; a link does not.
OPENS: dict[str, str] = {
    "wechat.text": "message",
    "wechat.image": "message",
    "wechat.voice": "message",
    "wechat.video": "message",
    "wechat.shortvideo": "message",
    "wechat.location": "message",
    "wechat.link": "message",
    "wechat.miniprogrampage": "message",
    "wechat.event.click": "menu",
    "wechat.event.scancode_push": "menu",
    "wechat.event.scancode_waitmsg": "menu",
    "wechat.event.subscribe": "follow",
    "wechat.event.scan": "scan",
    "wechat.event.user_enter_tempsession": "enter",
}
# A text with this in its payload is a tap on an entry of a msgmenu, which the platform counts as a click.
TAPPED = "menu_id"
LONGEST = timedelta(hours=48)
# The platform's errcodes that say that a grant is over or used up, whatever our own count says.
SPENT = frozenset({45015, 45047})


def scene_of(kind: str, tapped: bool) -> str:
    """Return the scene that an act of one of the kinds of OPENS opens; `tapped` says that its payload has TAPPED."""
    return "menu" if tapped else OPENS[kind]


@dataclass(frozen=True, slots=True)
class Window:
    """An open window: its scene, when it closes, and how many messages it still takes."""

    scene: str
    closes_at: datetime
    left: int


def open_windows(
    kind: str, acts: dict[str, datetime], sent_at: list[datetime], now: datetime, margin: timedelta = timedelta(0)
) -> list[Window]:
    """Return the windows open at `now`.

    `acts` gives the last moment of each scene's act, `sent_at` when messages were put on their way to the fan.
    `margin` closes windows early, so that a message decided now still arrives in time.
    """
    table = SCENES["miniprogram" if kind == "miniprogram" else "official"]
    windows = []
    for scene, opened_at in acts.items():
        if (row := table.get(scene)) is None:
            continue
        closes_at = opened_at + row.lasts
        if closes_at - margin > now:
            used = sum(1 for moment in sent_at if moment >= opened_at)
            windows.append(Window(scene, closes_at, row.limit - used))
    return windows
