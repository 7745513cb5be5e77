"""签到日历 as a picture: drawn, uploaded to the platform, and sent by the door out."""

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog

from gateways.wechat.clients import WeChatClients
from gateways.wechat.errors import Action, WeChatError, policy
from gateways.wechat.transport import field
from kit.calendar_card import Card, NoFontError, draw
from kit.clock import Clock
from kit.delivery import Sender
from kit.ids import key_of
from scrm.accounts.service import AccountView
from scrm.checkins import queries
from scrm.members import queries as members
from scrm.outreach import service as outreach

log = structlog.get_logger(__name__)

# Worth trying again within the job's few seconds; whatever else is refused stays so, and the words stand alone.
PASSING = frozenset({Action.RETRY_LATER, Action.REFRESH_TOKEN})


async def send_card(
    fan_id: int,
    asked: UUID,
    clients: WeChatClients,
    accounts: Callable[[], Mapping[int, AccountView]],
    clock: Clock,
) -> bool:
    """Send a fan their card of this month; False when it cannot be drawn here or may not be sent.

    Run again, it is sent once all the same (the door out knows `asked`). A picture that the platform refuses is the
    door's decision, where staff see it, and not tried again. Raises WeChatFailure for trouble that passes, and where
    nothing was answered; the job is then tried again.
    """
    fan = await members.fan(fan_id)
    account = accounts().get(fan.account_id) if fan is not None else None
    if fan is None or account is None:
        return False
    month = await queries.this_month(fan.member_id, account.id, clock.now())
    card = Card(
        title=f"{account.name} · {month.first.year}年{month.first.month}月",
        number=month.streak,
        caption="天连续签到",
        first=month.first,
        today=month.today,
        marks=month.days,
        footer=f"本月已签到 {len(month.days)} 天",
    )
    try:
        picture = await asyncio.to_thread(draw, card)
    except NoFontError as error:
        log.warning("no calendar card", reason=str(error))
        return False
    sender = Sender(account.id, account.kind, account.appid, account.secret)
    file = ("calendar.png", io.BytesIO(picture), "image/png")
    key = key_of("checkins.card", asked)
    try:
        uploaded: dict[str, Any] = await clients.for_account(sender).media.upload("image", file)
    except WeChatError as error:
        action = policy(error.errcode)
        if action in PASSING:
            raise
        if action is Action.ALERT:
            clients.observer.on_alert(account.id, error.errcode)
        log.warning("calendar card refused", account=account.id, errcode=error.errcode)
        await outreach.picture_refused(key=key, fan_id=fan.id, purpose="answer", code=error.errcode, now=clock.now())
        return False
    body = {"msgtype": "image", "image": {"media_id": field(uploaded, "media_id", str)}}
    return (await outreach.say(key=key, fan_id=fan.id, body=body, purpose="answer", now=clock.now())).allowed
