"""What can go wrong with a call to WeChat, and what to do about each errcode.

The tree, by what the caller may conclude:

* WeChatFailure
  x WeChatError      the platform answered with an errcode: it did not do it
  x Rejected         something answered with an HTTP status that is no answer of the API: surely not executed
  x Unreachable      DNS, connection refused, no connection in time, no token: surely not executed
  x Ambiguous        a timeout, a broken connection or an unreadable answer after the request may have been
                     sent: perhaps executed, so a send is never repeated
* Unsupported        we refuse to make this call at all: a mistake in the calling code

Messages carry no token, secret, URL or openid, so they may be logged.
"""

import re
from enum import StrEnum

_RID = re.compile(r"\brid:?\s*([0-9a-f-]{8,})")
_OPENID = re.compile(r"\bo[\w-]{27}(?![\w-])")


class WeChatFailure(Exception):  # noqa: N818  # the leaves read as conditions
    """A call to WeChat did not give its result."""

    @property
    def outcome(self) -> str:
        """A word of bounded variety for metrics."""
        return type(self).__name__.lower()


class WeChatError(WeChatFailure):
    """The platform answered with an errcode. `rid` is its request id, for asking Tencent."""

    def __init__(self, errcode: int, errmsg: str = "") -> None:
        found = _RID.search(errmsg)
        self.errcode = errcode
        self.errmsg = _OPENID.sub("(openid)", errmsg)[:200]
        self.rid = found[1] if found else ""
        super().__init__(f"errcode {errcode}: {self.errmsg}")

    @property
    def outcome(self) -> str:
        """The errcode."""
        return str(self.errcode)


class Rejected(WeChatFailure):
    """An HTTP status 3xx or 4xx, from a proxy or a wrong address; surely not executed."""


class Unreachable(WeChatFailure):
    """The request surely never arrived."""


class Ambiguous(WeChatFailure):
    """The request may or may not have been executed."""


class Unsupported(NotImplementedError):  # noqa: N818  # same
    """A call that is never made: it would block the loop, leak the token, or spend what is not ours."""


class Action(StrEnum):
    """What an errcode asks of whoever called."""

    RETRY_LATER = "retry_later"  # passing trouble of the platform
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  # a word, not a token; the client has already tried once
    USER_REFUSED = "user_refused"  # this person cannot be reached this way
    QUOTA_DAY = "quota_day"  # nothing more of this API until midnight in Shanghai
    QUOTA_MINUTE = "quota_minute"  # slow down for a minute
    WINDOW_CLOSED = "window_closed"  # until the fan's next action
    ALERT = "alert"  # credentials, permission, ban: nothing goes for this account until a person acts
    CONTENT = "content"  # this content is never accepted
    ALREADY_DONE = "already_done"  # a repetition of something that was executed before
    FATAL = "fatal"  # anything else: a bug of ours or an errcode we do not know


# https://developers.weixin.qq.com/doc/service/ : global return codes, and the pages of the single APIs.
_POLICY: dict[Action, tuple[int, ...]] = {
    # -1 system busy; 43108 concurrent subscribe message to one fan; 45066 mass send repeated within a minute;
    # 45159 invalid tag, also returned spuriously when one user is tagged concurrently.
    Action.RETRY_LATER: (-1, 43108, 45066, 45159),
    Action.REFRESH_TOKEN: (40001, 40014, 42001),
    # wrong openid, not following, no grant, blocked, frozen, not seen at the mini-program for two hours
    Action.USER_REFUSED: (40003, 43004, 43101, 48002, 50002, 61010),
    Action.QUOTA_DAY: (45009, 45028),
    Action.QUOTA_MINUTE: (45011, 44990, 44991),
    Action.WINDOW_CLOSED: (45015, 45047),
    # secret, appid, IP list, frozen secret, unauthorised API, ban, spent zeroings, administrator's confirmation
    Action.ALERT: (
        40013, 40125, 41002, 41004, 40164, 61004, 45035, 40243, 43107, 48001, 48004, 48006,
        50004, 50007, 89503, 89506, 89507,
    ),
    # too long, sensitive word, data against the template, risky
    Action.CONTENT: (45002, 45168, 47003, 87014),
    Action.ALREADY_DONE: (45065,),
}  # fmt: skip
_ACTIONS = {errcode: action for action, errcodes in _POLICY.items() for errcode in errcodes}
ALERTS = frozenset(_POLICY[Action.ALERT])


def policy(errcode: int) -> Action:
    """Return what to do about an errcode; an unknown one is FATAL."""
    return _ACTIONS.get(errcode, Action.FATAL)
