"""WeChat's server API: wechatpy's API objects over one aiohttp session, with one token for all processes."""

from gateways.wechat.client import Credentials, Retries, WeChatClient
from gateways.wechat.clients import WeChatClients
from gateways.wechat.errors import (
    Action,
    Ambiguous,
    Rejected,
    Unreachable,
    Unsupported,
    WeChatError,
    WeChatFailure,
    policy,
)
from gateways.wechat.messenger import WeChatMessenger
from gateways.wechat.observer import Observer, Unobserved

__all__ = [
    "Action",
    "Ambiguous",
    "Credentials",
    "Observer",
    "Rejected",
    "Retries",
    "Unobserved",
    "Unreachable",
    "Unsupported",
    "WeChatClient",
    "WeChatClients",
    "WeChatError",
    "WeChatFailure",
    "WeChatMessenger",
    "policy",
]
