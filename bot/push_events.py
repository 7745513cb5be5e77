"""What happens to fans and accounts: every event of wechat.md §2.5, §2.16 and §2.17.

`kind` is `wechat.event.` and WeChat's name in lower case. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bot.wire import Event, content_key, decimal, event, integer, optional, rows, text, texts

# --- following, scanning, place ---------------------------------------------------------------------------


@event("subscribe")
@dataclass(frozen=True, slots=True)
class SubscribeEvent(Event):
    """关注, perhaps by a parameterised QR code: then `scene` and `ticket` are set."""

    event_key: str = text("EventKey")
    ticket: str | None = optional("Ticket")

    @property
    def scene(self) -> str | None:
        """The code's scene without WeChat's prefix; `None` for any other way to follow."""
        scene = self.event_key.removeprefix("qrscene_")
        return scene if scene and scene != self.event_key else None


@event("unsubscribe")
@dataclass(frozen=True, slots=True)
class UnsubscribeEvent(Event):
    """取消关注."""


@event("SCAN")
@dataclass(frozen=True, slots=True)
class ScanEvent(Event):
    """A follower scanned a parameterised QR code; here the scene comes without prefix."""

    scene: str | None = optional("EventKey")
    ticket: str | None = optional("Ticket")


@event("LOCATION")
@dataclass(frozen=True, slots=True)
class LocationEvent(Event):
    """上报地理位置, degrees and metres."""

    latitude: float | None = decimal("Latitude")
    longitude: float | None = decimal("Longitude")
    precision: float | None = decimal("Precision")


# --- the menu ---------------------------------------------------------------------------------------------


@event("CLICK")
@dataclass(frozen=True, slots=True)
class ClickEvent(Event):
    """A menu entry with a key."""

    key: str = text("EventKey")


@event("VIEW")
@dataclass(frozen=True, slots=True)
class ViewEvent(Event):
    """A menu entry with a link."""

    url: str = text("EventKey")
    menu_id: str | None = optional("MenuId")


@event("view_miniprogram")
@dataclass(frozen=True, slots=True)
class ViewMiniProgramEvent(Event):
    """A menu entry that opens a mini-program."""

    page_path: str = text("EventKey")
    menu_id: str | None = optional("MenuId")


@dataclass(frozen=True, slots=True)
class MenuScanEvent(Event):
    """扫码: what both kinds of scanning menu entries bring."""

    key: str = text("EventKey")
    scan_type: str = text("ScanCodeInfo.ScanType")
    scan_result: str = text("ScanCodeInfo.ScanResult")


@event("scancode_push")
@dataclass(frozen=True, slots=True)
class ScanCodePushEvent(MenuScanEvent):
    """扫码推事件: the phone also shows the result."""


@event("scancode_waitmsg")
@dataclass(frozen=True, slots=True)
class ScanCodeWaitEvent(MenuScanEvent):
    """扫码推事件且弹出“消息接收中”: the fan is waiting for an answer."""


@dataclass(frozen=True, slots=True)
class MenuPicturesEvent(Event):
    """发图: what the three kinds of picture menu entries bring; the pictures follow as messages."""

    key: str = text("EventKey")
    count: int | None = integer("SendPicsInfo.Count")
    md5_sums: tuple[str, ...] = texts("SendPicsInfo.PicList", "PicMd5Sum")


@event("pic_sysphoto")
@dataclass(frozen=True, slots=True)
class CameraPicturesEvent(MenuPicturesEvent):
    """系统拍照发图."""


@event("pic_photo_or_album")
@dataclass(frozen=True, slots=True)
class CameraOrAlbumPicturesEvent(MenuPicturesEvent):
    """拍照或者相册发图."""


@event("pic_weixin")
@dataclass(frozen=True, slots=True)
class AlbumPicturesEvent(MenuPicturesEvent):
    """微信相册发图."""


@event("location_select")
@dataclass(frozen=True, slots=True)
class LocationSelectEvent(Event):
    """地理位置选择器, in degrees; the place follows as a message."""

    key: str = text("EventKey")
    latitude: float | None = decimal("SendLocationInfo.Location_X")
    longitude: float | None = decimal("SendLocationInfo.Location_Y")
    scale: int | None = integer("SendLocationInfo.Scale")
    label: str = text("SendLocationInfo.Label")
    poi_name: str = text("SendLocationInfo.Poiname")


# --- reports of what we sent ------------------------------------------------------------------------------


@event("TEMPLATESENDJOBFINISH")
@dataclass(frozen=True, slots=True)
class TemplateSendJobFinishEvent(Event):
    """模板消息送达结果; `status` is `success`, `failed:user block`, `failed: system failed` …"""

    msg_id: str = text("MsgID")
    status: str = text("Status")

    @property
    def succeeded(self) -> bool:
        """Whether the fan got it."""
        return self.status.strip().lower() == "success"


@dataclass(frozen=True, slots=True)
class PublishedArticle:
    """One article of a mass send or publication; `index` starts at 1."""

    index: int | None = integer("ArticleIdx")
    url: str = text("ArticleUrl")


@dataclass(frozen=True, slots=True)
class CopyrightResult:
    """What the originality check says of one article (Tencent's numbers)."""

    index: int | None = integer("ArticleIdx")
    audit_state: int | None = integer("AuditState")
    original_url: str = text("OriginalArticleUrl")
    can_reprint: int | None = integer("CanReprint")


@event("MASSSENDJOBFINISH")
@dataclass(frozen=True, slots=True)
class MassSendJobFinishEvent(Event):
    """群发结果; `status` is `send success`, `send fail`, `err(30003)` …"""

    msg_id: str = text("MsgID")
    status: str = text("Status")
    total: int | None = integer("TotalCount")
    filtered: int | None = integer("FilterCount")
    sent: int | None = integer("SentCount")
    errors: int | None = integer("ErrorCount")
    copyright_state: int | None = integer("CopyrightCheckResult.CheckState")
    copyright_results: tuple[CopyrightResult, ...] = rows("CopyrightCheckResult.ResultList", CopyrightResult)
    articles: tuple[PublishedArticle, ...] = rows("ArticleUrlResult.ResultList", PublishedArticle)


@dataclass(frozen=True, slots=True)
class JobArticle:
    """One article of a publication; `index` starts at 1."""

    index: int | None = integer("idx")
    url: str = text("article_url")


@event("PUBLISHJOBFINISH")
@dataclass(frozen=True, slots=True)
class PublishJobFinishEvent(Event):
    """发布结果; `publish_status` 0 is success (wechat.md §2.14)."""

    publish_id: str = text("PublishEventInfo.publish_id")
    publish_status: int | None = integer("PublishEventInfo.publish_status")
    article_id: str | None = optional("PublishEventInfo.article_id")
    articles: tuple[JobArticle, ...] = rows("PublishEventInfo.article_detail.item", JobArticle)
    failed_indexes: tuple[str, ...] = texts("PublishEventInfo.fail_idx")


# --- subscription messages --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TemplateAnswer:
    """What the fan said to one template: `status` is `accept` or `reject`."""

    template_id: str = text("TemplateId")
    status: str = text("SubscribeStatusString")
    popup_scene: int | None = integer("PopupScene")


@event("subscribe_msg_popup_event")
@dataclass(frozen=True, slots=True)
class SubscribeMsgPopupEvent(Event):
    """订阅通知弹窗的选择."""

    answers: tuple[TemplateAnswer, ...] = rows("List", TemplateAnswer)


@event("subscribe_msg_change_event")
@dataclass(frozen=True, slots=True)
class SubscribeMsgChangeEvent(Event):
    """订阅通知的管理; only refusals are pushed."""

    answers: tuple[TemplateAnswer, ...] = rows("List", TemplateAnswer)


@dataclass(frozen=True, slots=True)
class TemplateResult:
    """What became of one subscription message; `error_code` 0 is success."""

    template_id: str = text("TemplateId")
    msg_id: str = text("MsgID")
    error_code: int | None = integer("ErrorCode")
    error_status: str = text("ErrorStatus")


@event("subscribe_msg_sent_event")
@dataclass(frozen=True, slots=True)
class SubscribeMsgSentEvent(Event):
    """订阅通知发送结果."""

    results: tuple[TemplateResult, ...] = rows("List", TemplateResult)


# --- customer service -------------------------------------------------------------------------------------


@event("kf_create_session")
@dataclass(frozen=True, slots=True)
class KfCreateSessionEvent(Event):
    """客服接入会话."""

    kf_account: str = text("KfAccount")


@event("kf_close_session")
@dataclass(frozen=True, slots=True)
class KfCloseSessionEvent(Event):
    """客服关闭会话."""

    kf_account: str = text("KfAccount")
    close_type: str | None = optional("CloseType")


@event("kf_switch_session")
@dataclass(frozen=True, slots=True)
class KfSwitchSessionEvent(Event):
    """客服转接会话."""

    from_kf_account: str = text("FromKfAccount")
    to_kf_account: str = text("ToKfAccount")


@event("user_enter_tempsession")
@dataclass(frozen=True, slots=True)
class UserEnterTempSessionEvent(Event):
    """进入小程序客服会话."""

    session_from: str = text("SessionFrom")


# --- privacy ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuthorizationEvent(Event):
    """What the three privacy events bring. The person is `subject_openid`, not `openid`."""

    subject_openid: str = text("OpenID")
    union_id: str | None = optional("UnionID")
    appid: str = text("AppID")
    revoke_info: str | None = optional("RevokeInfo")
    plugin_id: str | None = optional("PluginID")
    plugin_openid: str | None = optional("OpenPID")


@event("user_info_modified")
@dataclass(frozen=True, slots=True)
class UserInfoModifiedEvent(AuthorizationEvent):
    """授权用户资料变更."""


@event("user_authorization_revoke")
@dataclass(frozen=True, slots=True)
class UserAuthorizationRevokeEvent(AuthorizationEvent):
    """授权用户资料撤回; the data named by `revoke_info` must go."""


@event("user_authorization_cancellation")
@dataclass(frozen=True, slots=True)
class UserAuthorizationCancellationEvent(AuthorizationEvent):
    """授权用户注销; all of the person's data must go."""


# --- mini-program: safety, rules, trade -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediaCheckDetail:
    """What one strategy of the check found."""

    strategy: str = text("strategy")
    errcode: int | None = integer("errcode")
    suggest: str = text("suggest")
    label: int | None = integer("label")
    probability: int | None = integer("prob")


@event("wxa_media_check")
@dataclass(frozen=True, slots=True)
class WxaMediaCheckEvent(Event):
    """音视频/图片内容安全结果; `suggest` is `pass`, `review` or `risky`; errcode -1008: download failed."""

    appid: str = text("appid")
    trace_id: str = text("trace_id")
    errcode: int | None = integer("errcode")
    errmsg: str = text("errmsg")
    suggest: str = text("result.suggest")
    label: int | None = integer("result.label")
    details: tuple[MediaCheckDetail, ...] = rows("detail", MediaCheckDetail)


@event("wxa_punish_event")
@dataclass(frozen=True, slots=True)
class WxaPunishEvent(Event):
    """小程序违规处罚; `detail` is JSON text whose content depends on `event_type`."""

    punish_id: str = text("punish_id")
    appid: str = text("appid")
    punish_time: int | None = integer("punish_time")
    event_type: int | None = integer("event_type")
    illegal_reason: str = text("illegal_reason")
    illegal_content: tuple[str, ...] = texts("illegal_content")
    detail: str = text("detail")
    rule_name: str = text("rule_name")
    rule_url: str = text("rule_url")
    adjust_guide_url: str = text("adjust_guide_url")


@event("wxa_trade_controlled")
@dataclass(frozen=True, slots=True)
class WxaTradeControlledEvent(Event):
    """小程序需接入订单发货管理."""

    msg: str = text("msg")


@event("trade_manage_remind_access_api")
@dataclass(frozen=True, slots=True)
class TradeRemindAccessEvent(Event):
    """提醒接入发货信息管理服务."""

    msg: str = text("msg")


@dataclass(frozen=True, slots=True)
class TradeEvent(Event):
    """The order that a trade event is about."""

    transaction_id: str = text("transaction_id")
    merchant_id: str = text("merchant_id")
    sub_merchant_id: str | None = optional("sub_merchant_id")
    merchant_trade_no: str = text("merchant_trade_no")
    pay_time: int | None = integer("pay_time")


@event("trade_manage_remind_shipping")
@dataclass(frozen=True, slots=True)
class TradeRemindShippingEvent(TradeEvent):
    """提醒需要上传发货信息: not shipped for 48 hours."""

    msg: str = text("msg")


@event("trade_manage_order_settlement")
@dataclass(frozen=True, slots=True)
class TradeOrderSettlementEvent(TradeEvent):
    """订单将要结算 (with an estimate, when shipped) or 已经结算 (with the rest)."""

    shipped_time: int | None = integer("shipped_time")
    estimated_settlement_time: int | None = integer("estimated_settlement_time")
    confirm_receive_method: int | None = integer("confirm_receive_method")
    confirm_receive_time: int | None = integer("confirm_receive_time")
    settlement_time: int | None = integer("settlement_time")


@event("debug_demo")
@dataclass(frozen=True, slots=True)
class DebugDemoEvent(Event):
    """What the platform's own debugging tool sends."""

    debug_str: str = text("debug_str")


@dataclass(frozen=True, slots=True)
class UnknownEvent(Event):
    """An event we have no class for; `event` says which."""

    kind: ClassVar[str] = "wechat.event.unknown"

    @property
    def dedupe_key(self) -> str:
        """Only the whole content can tell two unknown events of one second apart."""
        return content_key(self)
