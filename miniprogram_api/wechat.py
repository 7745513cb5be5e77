"""Asking WeChat about a code that a phone got from it, and its refusals in our words."""

from collections.abc import Awaitable
from typing import Any

import structlog

from gateways.wechat.client import WeChatClient
from gateways.wechat.errors import WeChatError, WeChatFailure
from kit.delivery import Sender
from miniprogram_api.surface import Call
from scrm.errors import Forbidden, Invalid, Unavailable
from web.problems import TooMany

log = structlog.get_logger(__name__)


def client_of(call: Call) -> WeChatClient:
    """Return the client of the mini-program that is called."""
    account = call.account
    return call.parts.clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))


async def asked(answer: Awaitable[dict[str, Any]], what: str) -> dict[str, Any]:
    """Return what WeChat answers about a code.

    Raises Invalid `code_refused` for a code that is wrong, old or used, Forbidden `high_risk`, TooMany, and
    Unavailable `wechat_away`.
    """
    try:
        return await answer
    except WeChatError as error:
        raise _refused(error, what) from None
    except WeChatFailure as error:
        log.warning("WeChat is away", asked=what, outcome=error.outcome)
        raise away() from None


def away() -> Unavailable:
    """Return the error for an answer that did not come or makes no sense."""
    return Unavailable("微信暂时没有响应，请稍后再试", code="wechat_away")


def _refused(error: WeChatError, what: str) -> Exception:
    if error.errcode in {40029, 40163}:
        return Invalid("code 无效、已过期或已使用", code="code_refused", field="code")
    if error.errcode == 40226:
        return Forbidden("微信判定此次操作有风险", code="high_risk")
    if error.errcode == 45011:
        return TooMany(60)
    log.warning("WeChat refuses", asked=what, errcode=error.errcode)
    return away()
