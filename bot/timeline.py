"""How a push becomes an event: its kind with a title for staff, its payload, and whom it is about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from bot import messages, push_events
from bot.wire import EVENTS, MESSAGES, Message
from scrm.access import withdrawing
from scrm.channels.service import followed_through, scanned
from scrm.db import Connection
from scrm.events import kinds
from scrm.events.kinds import Appended
from scrm.members.service import followed, unfollowed
from scrm.outreach.service import reported

TITLES = {
    "wechat.text": "发送文字",
    "wechat.image": "发送图片",
    "wechat.voice": "发送语音",
    "wechat.video": "发送视频",
    "wechat.shortvideo": "发送小视频",
    "wechat.location": "发送位置",
    "wechat.link": "发送链接",
    "wechat.miniprogrampage": "发送小程序卡片",
    "wechat.unknown": "发送了未知类型的消息",
    "wechat.event.subscribe": "关注",
    "wechat.event.unsubscribe": "取消关注",
    "wechat.event.scan": "扫描渠道码",
    "wechat.event.location": "上报位置",
    "wechat.event.click": "点击菜单",
    "wechat.event.view": "点击菜单链接",
    "wechat.event.view_miniprogram": "从菜单打开小程序",
    "wechat.event.scancode_push": "菜单扫码",
    "wechat.event.scancode_waitmsg": "菜单扫码并等待回复",
    "wechat.event.pic_sysphoto": "菜单拍照",
    "wechat.event.pic_photo_or_album": "菜单拍照或选图",
    "wechat.event.pic_weixin": "菜单选图",
    "wechat.event.location_select": "菜单选择位置",
    "wechat.event.templatesendjobfinish": "模板消息送达报告",
    "wechat.event.masssendjobfinish": "群发结果报告",
    "wechat.event.publishjobfinish": "发布结果报告",
    "wechat.event.subscribe_msg_popup_event": "订阅通知授权",
    "wechat.event.subscribe_msg_change_event": "订阅通知授权变更",
    "wechat.event.subscribe_msg_sent_event": "订阅通知送达报告",
    "wechat.event.kf_create_session": "接入人工客服",
    "wechat.event.kf_close_session": "人工客服结束",
    "wechat.event.kf_switch_session": "转接客服",
    "wechat.event.user_enter_tempsession": "进入小程序客服",
    "wechat.event.user_info_modified": "修改资料",
    "wechat.event.user_authorization_revoke": "撤回授权",
    "wechat.event.user_authorization_cancellation": "注销账号",
    "wechat.event.wxa_media_check": "内容安全检测结果",
    "wechat.event.wxa_punish_event": "小程序违规通知",
    "wechat.event.wxa_trade_controlled": "小程序交易管控",
    "wechat.event.trade_manage_remind_access_api": "发货管理接入提醒",
    "wechat.event.trade_manage_remind_shipping": "发货提醒",
    "wechat.event.trade_manage_order_settlement": "订单结算",
    "wechat.event.debug_demo": "平台调试推送",
    "wechat.event.unknown": "未知事件",
}

# These are about the account; FromUserName is the platform's own name there, and no fan.
ABOUT_THE_ACCOUNT = frozenset(
    {
        "wechat.event.masssendjobfinish",
        "wechat.event.publishjobfinish",
        "wechat.event.wxa_media_check",
        "wechat.event.wxa_punish_event",
        "wechat.event.wxa_trade_controlled",
        "wechat.event.trade_manage_remind_access_api",
        "wechat.event.trade_manage_remind_shipping",
        "wechat.event.trade_manage_order_settlement",
        "wechat.event.debug_demo",
    }
)
# Nobody knows who sends these: a fan, if we know one by that name, and nobody is made of the name.
ABOUT_WHOM_WE_KNOW = frozenset({"wechat.event.unknown"})


async def _followed(raw: Connection, events: Sequence[Appended]) -> None:
    await followed(raw, events)
    await followed_through(raw, events)


CONSEQUENCES: dict[str, kinds.Consequence] = {
    "wechat.event.subscribe": _followed,
    "wechat.event.unsubscribe": unfollowed,
    "wechat.event.scan": scanned,
    "wechat.event.templatesendjobfinish": reported,
    "wechat.event.user_authorization_revoke": withdrawing.revoked,
    "wechat.event.user_authorization_cancellation": withdrawing.cancelled,
}


def _register() -> None:
    known: list[type[Message]] = [*MESSAGES.values(), *EVENTS.values()]
    known += [messages.UnknownMessage, push_events.UnknownEvent]
    for cls in known:
        kinds.register(cls.kind, TITLES[cls.kind], CONSEQUENCES.get(cls.kind))


def subject_of(message: Message) -> str | None:
    """Return the openid a push is about; None when it is about the account itself."""
    if isinstance(message, push_events.AuthorizationEvent):
        # The sender is the platform's own name; the person stands inside.
        return message.subject_openid if 0 < len(message.subject_openid) <= messages.MAX_NAME else None
    return None if message.kind in ABOUT_THE_ACCOUNT else message.openid


def may_be_new(message: Message) -> bool:
    """Tell whether the openid of a push is a person's for sure, who becomes a fan if nobody has it yet."""
    return message.kind not in ABOUT_WHOM_WE_KNOW


_Reader = Callable[[Message], Mapping[str, Any]]
_READERS: dict[type[Message], _Reader] = {}


def payload_of(message: Message) -> Mapping[str, Any]:
    """Return what the timeline keeps of a push: its own attributes where they say something, as JSON data."""
    cls = type(message)
    if (read := _READERS.get(cls)) is None:
        read = _READERS[cls] = _reader_for(cls)
    return read(message)


def _reader_for(cls: type[Message]) -> _Reader:
    base = {field.name for field in fields(Message)}
    names = [field.name for field in fields(cls) if field.name not in base]
    if isinstance(getattr(cls, "scene", None), property):
        names.append("scene")
    if issubclass(cls, messages.UserMessage):
        names.append("msg_id")
    if not names or cls in (messages.UnknownMessage, push_events.UnknownEvent):
        # Nothing typed to keep: keep it as it came.
        return lambda message: {
            name: value for name, value in message.fields.items() if name not in {"ToUserName", "FromUserName"}
        }

    def read(message: Message) -> dict[str, Any]:
        payload = {}
        for name in names:
            value = getattr(message, name)
            if value or value == 0:  # not None, "" or (): those say nothing
                payload[name] = value if isinstance(value, str) else _plain(value)
        return payload

    return read


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


_register()
