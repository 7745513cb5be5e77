"""One XML body of every message and event that Fensi knows, as WeChat documents them."""

from __future__ import annotations

HEAD = (
    "<ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oFan]]></FromUserName>"
    "<CreateTime>1714112500</CreateTime>"
)


def xml_message(msg_type: str, fields: str, msg_id: str = "24567890123456789") -> bytes:
    return (f"<xml>{HEAD}<MsgType><![CDATA[{msg_type}]]></MsgType>{fields}<MsgId>{msg_id}</MsgId></xml>").encode()


def xml_event(name: str, fields: str = "") -> bytes:
    return (f"<xml>{HEAD}<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{fields}</xml>").encode()


_PICS = "<EventKey>k</EventKey><SendPicsInfo><Count>{count}</Count><PicList>{items}</PicList></SendPicsInfo>"
_PIC = "<item><PicMd5Sum><![CDATA[{}]]></PicMd5Sum></item>"
_SCAN = (
    "<EventKey><![CDATA[k]]></EventKey><ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType>"
    "<ScanResult><![CDATA[http://x/?a=1&b=2]]></ScanResult></ScanCodeInfo>"
)
_PERSON = (
    "<OpenID>oPerson</OpenID><UnionID>u1</UnionID><AppID>wx1</AppID><RevokeInfo>6</RevokeInfo>"
    "<PluginID>wx2</PluginID><OpenPID>op1</OpenPID>"
)
_ORDER = (
    "<transaction_id>4200</transaction_id><merchant_id>1900</merchant_id><sub_merchant_id></sub_merchant_id>"
    "<merchant_trade_no>N1</merchant_trade_no><pay_time>1714000000</pay_time>"
)

MESSAGES: dict[str, bytes] = {
    "text": xml_message("text", "<Content><![CDATA[  你好 <b>&amp;😀  ]]></Content>"),
    "image": xml_message("image", "<PicUrl><![CDATA[http://p/1]]></PicUrl><MediaId><![CDATA[m1]]></MediaId>"),
    "voice": xml_message(
        "voice",
        "<MediaId>m2</MediaId><Format>amr</Format><Recognition>你好</Recognition><MediaId16K>m3</MediaId16K>",
    ),
    "video": xml_message("video", "<MediaId>m4</MediaId><ThumbMediaId>t4</ThumbMediaId>"),
    "shortvideo": xml_message("shortvideo", "<MediaId>m5</MediaId><ThumbMediaId>t5</ThumbMediaId>"),
    "location": xml_message(
        "location",
        "<Location_X>23.134521</Location_X><Location_Y>113.358803</Location_Y><Scale>20</Scale>"
        "<Label><![CDATA[位置信息]]></Label>",
    ),
    "link": xml_message("link", "<Title>t</Title><Description>d</Description><Url>http://u</Url>"),
    "miniprogrampage": xml_message(
        "miniprogrampage",
        "<Title>t</Title><AppId>wx3</AppId><PagePath>pages/a</PagePath><ThumbUrl>http://t</ThumbUrl>"
        "<ThumbMediaId>t6</ThumbMediaId>",
    ),
}

EVENTS: dict[str, bytes] = {
    "subscribe": xml_event("subscribe", "<EventKey>qrscene_门店_7</EventKey><Ticket>TICKET</Ticket>"),
    "unsubscribe": xml_event("unsubscribe"),
    "scan": xml_event("SCAN", "<EventKey>qrscene_x</EventKey><Ticket>TICKET</Ticket>"),
    "location": xml_event(
        "LOCATION",
        "<Latitude>23.137466</Latitude><Longitude>113.352425</Longitude><Precision>119.385040</Precision>",
    ),
    "click": xml_event("CLICK", "<EventKey>points</EventKey>"),
    "view": xml_event("VIEW", "<EventKey>http://www.qq.com/</EventKey><MenuId>7</MenuId>"),
    "view_miniprogram": xml_event("view_miniprogram", "<EventKey>pages/a</EventKey><MenuId>8</MenuId>"),
    "scancode_push": xml_event("scancode_push", _SCAN),
    "scancode_waitmsg": xml_event("scancode_waitmsg", _SCAN),
    "pic_sysphoto": xml_event("pic_sysphoto", _PICS.format(count=1, items=_PIC.format("a1"))),
    "pic_photo_or_album": xml_event(
        "pic_photo_or_album", _PICS.format(count=2, items=_PIC.format("a1") + _PIC.format("a2"))
    ),
    "pic_weixin": xml_event("pic_weixin", _PICS.format(count=1, items=_PIC.format("a1"))),
    "location_select": xml_event(
        "location_select",
        "<EventKey>k</EventKey><SendLocationInfo><Location_X>23</Location_X><Location_Y>113</Location_Y>"
        "<Scale>15</Scale><Label> 广州市</Label><Poiname></Poiname></SendLocationInfo>",
    ),
    "templatesendjobfinish": xml_event(
        "TEMPLATESENDJOBFINISH", "<MsgID>200163836</MsgID><Status>failed: system failed</Status>"
    ),
    "masssendjobfinish": xml_event(
        "MASSSENDJOBFINISH",
        "<MsgID>1988</MsgID><Status>send success</Status><TotalCount>100</TotalCount><FilterCount>80</FilterCount>"
        "<SentCount>75</SentCount><ErrorCount>5</ErrorCount><CopyrightCheckResult><Count>1</Count><ResultList>"
        "<item><ArticleIdx>1</ArticleIdx><AuditState>2</AuditState></item></ResultList><CheckState>2</CheckState>"
        "</CopyrightCheckResult><ArticleUrlResult><Count>1</Count><ResultList><item><ArticleIdx>1</ArticleIdx>"
        "<ArticleUrl>Url</ArticleUrl></item></ResultList></ArticleUrlResult>",
    ),
    "publishjobfinish": xml_event(
        "PUBLISHJOBFINISH",
        "<PublishEventInfo><publish_id>2247503051</publish_id><publish_status>0</publish_status>"
        "<article_id>b5</article_id><article_detail><count>1</count><item><idx>1</idx>"
        "<article_url>URL</article_url></item></article_detail></PublishEventInfo>",
    ),
    "subscribe_msg_popup_event": xml_event(
        "subscribe_msg_popup_event",
        "<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept"
        "</SubscribeStatusString><PopupScene>2</PopupScene></List></SubscribeMsgPopupEvent>",
    ),
    "subscribe_msg_change_event": xml_event(
        "subscribe_msg_change_event",
        "<SubscribeMsgChangeEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>reject"
        "</SubscribeStatusString></List></SubscribeMsgChangeEvent>",
    ),
    "subscribe_msg_sent_event": xml_event(
        "subscribe_msg_sent_event",
        "<SubscribeMsgSentEvent><List><TemplateId>T1</TemplateId><MsgID>17</MsgID><ErrorCode>0</ErrorCode>"
        "<ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent>",
    ),
    "kf_create_session": xml_event("kf_create_session", "<KfAccount>a@b</KfAccount>"),
    "kf_close_session": xml_event("kf_close_session", "<KfAccount>a@b</KfAccount><CloseType>KF</CloseType>"),
    "kf_switch_session": xml_event(
        "kf_switch_session", "<FromKfAccount>a@b</FromKfAccount><ToKfAccount>c@b</ToKfAccount>"
    ),
    "user_enter_tempsession": xml_event("user_enter_tempsession", "<SessionFrom>page</SessionFrom>"),
    "user_info_modified": xml_event("user_info_modified", _PERSON),
    "user_authorization_revoke": xml_event("user_authorization_revoke", _PERSON),
    "user_authorization_cancellation": xml_event("user_authorization_cancellation", _PERSON),
    "wxa_media_check": xml_event(
        "wxa_media_check",
        "<appid>wx1</appid><trace_id>tr1</trace_id><version>2</version><detail><strategy>content_model</strategy>"
        "<errcode>0</errcode><suggest>risky</suggest><label>20002</label><prob>90</prob></detail>"
        "<errcode>0</errcode><errmsg>ok</errmsg><result><suggest>risky</suggest><label>20002</label></result>",
    ),
    "wxa_punish_event": xml_event(
        "wxa_punish_event",
        "<punish_id>9</punish_id><appid>wx1</appid><punish_time>1714000000</punish_time><event_type>2</event_type>"
        "<illegal_reason>r</illegal_reason><illegal_content>c</illegal_content><detail>{}</detail>"
        "<rule_name>n</rule_name><rule_url>/u</rule_url><adjust_guide_url>/g</adjust_guide_url>",
    ),
    "wxa_trade_controlled": xml_event("wxa_trade_controlled", "<msg>m</msg>"),
    "trade_manage_remind_access_api": xml_event("trade_manage_remind_access_api", "<msg>m</msg>"),
    "trade_manage_remind_shipping": xml_event("trade_manage_remind_shipping", _ORDER + "<msg>m</msg>"),
    "trade_manage_order_settlement": xml_event(
        "trade_manage_order_settlement",
        _ORDER + "<shipped_time>1714000001</shipped_time><confirm_receive_method>2</confirm_receive_method>"
        "<confirm_receive_time>1714000002</confirm_receive_time><settlement_time>1714000003</settlement_time>",
    ),
    "debug_demo": xml_event("debug_demo", "<debug_str>hello world</debug_str>"),
}
