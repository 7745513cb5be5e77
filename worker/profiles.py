"""After a follow: asks the platform who the fan is, and learns from the unionid which person that makes them."""

from collections.abc import Callable, Mapping
from typing import Any

from gateways.wechat.clients import WeChatClients
from kit.clock import Clock
from kit.delivery import Sender
from scrm.accounts.service import AccountView
from scrm.members import queries as members
from scrm.members.service import link_unionid

JOB = "members.profile"


async def learn_profile(
    fan_id: int, clients: WeChatClients, accounts: Callable[[], Mapping[int, AccountView]], clock: Clock
) -> bool:
    """Ask user/info about a fan and link its unionid; False when there is none to learn.

    Raises what the platform's client raises; the job is then tried again.
    """
    fan = await members.fan(fan_id)
    account = accounts().get(fan.account_id) if fan is not None else None
    if fan is None or account is None or account.kind == "miniprogram":
        return False
    sender = Sender(account.id, account.kind, account.appid, account.secret)
    info: dict[str, Any] = await clients.for_account(sender).user.get(fan.openid)
    unionid = info.get("unionid")
    if not unionid:
        return False
    await link_unionid(fan_id=fan.id, unionid=unionid, now=clock.now())
    return True
