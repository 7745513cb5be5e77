"""What a fan does with a phone: each action changes the thread, opens its windows and pushes to the account."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from simulator import menus, messages, windows
from simulator.callbacks import OUT_OF_SERVICE, Outcome
from simulator.messages import media_url
from simulator.wechat import LoginCode, WeChat
from simulator.world import Account, Json, Media, Message, QrCode, Thread

IMAGE_BYTES = 10 * 1024 * 1024


class ActionError(Exception):
    """A thing that a person cannot do; the text is for the person, `field` names the input at fault."""

    def __init__(self, text: str, field: str | None = None, status: int = 400) -> None:
        self.text, self.field, self.status = text, field, status
        super().__init__(text)


@dataclass
class Done:
    """What an action led to: the fan's entry in the thread, if any, and how its push ended."""

    message: Message | None
    push: Outcome


class Actions:
    """The fan's side of the platform."""

    def __init__(self, wechat: WeChat) -> None:
        self.wechat = wechat
        self.world = wechat.world

    # relation

    async def follow(self, thread: Thread, *, qr: QrCode | None = None) -> Done:
        """Follow an official account, by its card or by a QR code."""
        if self._account(thread).kind == "miniprogram":
            raise ActionError("小程序不能关注")
        if thread.following:
            raise ActionError("已经关注了这个公众号", status=409)
        thread.following = True
        thread.subscribe_time = int(self.world.clock.time())
        thread.subscribe_scene = "ADD_SCENE_QR_CODE" if qr else "ADD_SCENE_SEARCH"
        thread.qr_scene, thread.qr_is_string = (qr.scene, qr.is_string) if qr else ("", False)
        extra = {"EventKey": f"qrscene_{qr.scene}", "Ticket": qr.ticket} if qr else {"EventKey": ""}
        line = self.world.line(thread, "你已关注")
        return await self._event(thread, "subscribe", line, extra, scene="subscribe")

    async def unfollow(self, thread: Thread) -> Done:
        """Unfollow; the account can no longer speak to the fan."""
        if not thread.following:
            raise ActionError("还没有关注这个公众号", status=409)
        thread.following = False
        thread.grants.clear()
        thread.tags.clear()
        thread.remark = ""
        line = self.world.line(thread, "你已取消关注")
        return await self._event(thread, "unsubscribe", line, {"EventKey": ""}, shown=False)

    async def scan(self, thread: Thread, *, ticket: str | None = None, scene: str | None = None) -> Done:
        """Scan a parameterised QR code: follows, or reports SCAN when already following."""
        qr = self._qr(thread, ticket, scene)
        qr.scans += 1
        if not thread.following:
            self.world.line(thread, "扫描了二维码")
            return await self.follow(thread, qr=qr)
        line = self.world.line(thread, "扫描了二维码")
        return await self._event(thread, "SCAN", line, {"EventKey": qr.scene, "Ticket": qr.ticket}, scene="scan")

    def _qr(self, thread: Thread, ticket: str | None, scene: str | None) -> QrCode:
        found = [
            qr
            for qr in self.world.qrcodes.values()
            if qr.appid == thread.appid and (qr.ticket == ticket if ticket else qr.scene == scene)
        ]
        field = "ticket" if ticket else "scene"
        if not found:
            raise ActionError("没有这个二维码", field, 404)
        now = self.world.clock.time()
        alive = [qr for qr in found if qr.expires_at is None or qr.expires_at > now]
        if not alive:
            raise ActionError("二维码已过期", field)
        return alive[-1]

    # messages

    async def text(self, thread: Thread, content: str) -> Done:
        """Write a text message."""
        if not content.strip():
            raise ActionError("不能发送空白消息", "content")
        return await self._say(thread, "text", {"text": content}, {"Content": content})

    async def image(self, thread: Thread, data: bytes, filename: str = "image.png") -> Done:
        """Send a picture."""
        if len(data) > IMAGE_BYTES:
            raise ActionError("图片不能超过 10 MB", "file", 413)
        try:
            with Image.open(io.BytesIO(data)) as picture:
                content_type = Image.MIME.get(picture.format or "", "image/png")
        except (Image.DecompressionBombError, UnidentifiedImageError, OSError, ValueError) as error:
            raise ActionError("图片无法识别", "file") from error
        media = self._keep(thread, "image", filename, content_type, data)
        url = media_url(media.id)
        body = {"PicUrl": self.wechat.base_url + url, "MediaId": media.id}
        return await self._say(thread, "image", {"url": url}, body)

    async def voice(self, thread: Thread, data: bytes = b"#!AMR\n", recognition: str = "") -> Done:
        """Send a voice message."""
        media = self._keep(thread, "voice", "voice.amr", "audio/amr", data)
        body = {"MediaId": media.id, "Format": "amr"} | ({"Recognition": recognition} if recognition else {})
        return await self._say(thread, "voice", {"url": media_url(media.id), "seconds": 2}, body)

    async def video(self, thread: Thread, data: bytes = b"\0\0\0\x18ftypmp42") -> Done:
        """Send a video."""
        media = self._keep(thread, "video", "video.mp4", "video/mp4", data)
        thumb = self._keep(thread, "thumb", "thumb.jpg", "image/jpeg", b"")
        content = {"url": media_url(media.id), "title": "", "description": "", "thumb": None}
        return await self._say(thread, "video", content, {"MediaId": media.id, "ThumbMediaId": thumb.id})

    async def location(self, thread: Thread, latitude: float, longitude: float, label: str) -> Done:
        """Send a place."""
        if not -90 <= latitude <= 90:
            raise ActionError("纬度应在 -90 到 90 之间", "latitude")
        if not -180 <= longitude <= 180:
            raise ActionError("经度应在 -180 到 180 之间", "longitude")
        content = {"latitude": latitude, "longitude": longitude, "label": label}
        body = {"Location_X": latitude, "Location_Y": longitude, "Scale": 16, "Label": label}
        return await self._say(thread, "location", content, body)

    async def link(self, thread: Thread, title: str, description: str, url: str) -> Done:
        """Send a link."""
        content = {"title": title, "description": description, "url": url}
        body = {"Title": title, "Description": description, "Url": url}
        return await self._say(thread, "link", content, body)

    async def choose(self, thread: Thread, message_id: int, item_id: str, content: str | None = None) -> Done:
        """Press an entry of a msgmenu message, or a link in a text that does the same.

        It sends the entry's words, but counts as a menu click; `content` tells links with one id apart.
        """
        message = next((m for m in thread.messages if m.id == message_id), None)
        found = messages.choices(message) if message is not None else []
        if not found:
            raise ActionError("没有这条菜单消息", "message_id", 404)
        item = next((i for i in found if i["id"] == item_id and content in (None, i["content"])), None)
        if item is None:
            raise ActionError("没有这个选项", "item_id", 404)
        words = item["content"]
        fields = {"Content": words, "bizmsgmenuid": item_id}
        return await self._say(thread, "text", {"text": words}, fields, scene="menu")

    # menu

    async def press(self, thread: Thread, path: list[int], result: str = "") -> Done:
        """Press the menu button at this path, [i] or [i, j]; `result` is what a scan button reads."""
        menu = menus.shown(self._account(thread), thread)
        if menu is None:
            raise ActionError("这个公众号还没有菜单", "path", 404)
        try:
            button = menu["button"][path[0]]
            button = button["sub_button"][path[1]] if len(path) > 1 else button
        except (IndexError, KeyError) as error:
            raise ActionError("没有这个菜单项", "path", 404) from error
        if button.get("sub_button"):
            raise ActionError("这一项只是展开子菜单", "path")
        return await self.press_button(thread, button, result)

    async def press_button(self, thread: Thread, button: Json, result: str = "") -> Done:
        """Press a button of the menu."""
        kind, name = button["type"], button["name"]
        if not thread.following:
            raise ActionError("请先关注公众号")
        line = self.world.line(thread, f"点击菜单：{name}")
        if kind == "click":
            return await self._event(thread, "CLICK", line, {"EventKey": button["key"]}, scene="menu")
        if kind in ("view", "miniprogram"):
            key = button["url"] if kind == "view" else button["pagepath"]
            event = "VIEW" if kind == "view" else "view_miniprogram"
            return await self._event(thread, event, line, {"EventKey": key, "MenuId": 0}, shown=False)
        if kind in ("media_id", "article_id", "article_view_limited"):
            self.world.post(thread, "account", "text", {"text": f"［{name}］"}, via="passive")
            return Done(line, Outcome("success"))
        extra: Json = {"EventKey": button["key"]}
        if kind.startswith("scancode"):
            extra["ScanCodeInfo"] = {"ScanType": "qrcode", "ScanResult": result or "https://example.com"}
        elif kind.startswith("pic_"):
            extra["SendPicsInfo"] = {"Count": 1, "PicList": {"item": [{"PicMd5Sum": self.world.hex(32)}]}}
        else:
            place = {"Location_X": "31.23", "Location_Y": "121.47", "Scale": "16", "Label": "上海", "Poiname": ""}
            extra["SendLocationInfo"] = place
        scene = "menu" if kind.startswith("scancode") else ""
        return await self._event(thread, kind, line, extra, scene=scene)

    # quieter events

    async def report_location(self, thread: Thread, latitude: float, longitude: float) -> Done:
        """Let the phone report where it is, as it does when the fan allowed it."""
        place = {"Latitude": latitude, "Longitude": longitude, "Precision": 30.0}
        return await self._event(thread, "LOCATION", None, place, shown=False)

    async def enter_session(self, thread: Thread, source: str = "") -> Done:
        """Open a mini-program's customer-service chat."""
        if self._account(thread).kind != "miniprogram":
            raise ActionError("只有小程序有客服会话", status=409)
        line = self.world.line(thread, "进入客服会话")
        return await self._event(
            thread, "user_enter_tempsession", line, {"SessionFrom": source}, scene="enter", shown=False
        )

    async def answer_subscribe(self, thread: Thread, answers: Mapping[str, bool]) -> Done:
        """Answer the subscribe-message dialogue: template id -> accepted."""
        for template_id, accepted in answers.items():
            if accepted:
                thread.subscriptions[template_id] = thread.subscriptions.get(template_id, 0) + 1
        return await self._subscribe_event(
            thread, "subscribe_msg_popup_event", "SubscribeMsgPopupEvent", answers, PopupScene="0"
        )

    async def revoke_subscribe(self, thread: Thread, template_id: str) -> Done:
        """Refuse a template in the account's settings; only refusals are pushed."""
        thread.subscriptions.pop(template_id, None)
        return await self._subscribe_event(
            thread, "subscribe_msg_change_event", "SubscribeMsgChangeEvent", {template_id: False}
        )

    async def _subscribe_event(
        self, thread: Thread, event: str, name: str, answers: Mapping[str, bool], **extra: str
    ) -> Done:
        entries: list[Json] = [
            {"TemplateId": template_id, "SubscribeStatusString": "accept" if ok else "reject"} | extra
            for template_id, ok in answers.items()
        ]
        fields = listed(self._account(thread).format, name, entries)
        if "List" in fields:  # in JSON, these events carry their numbers as strings
            fields["CreateTime"] = str(int(self.world.clock.time()))
        return await self._event(thread, event, None, fields, shown=False)

    def login_code(self, thread: Thread) -> str:
        """Return what `wx.login` hands to a mini-program: good once, for five minutes."""
        thread.last_seen = self.world.clock.time()
        code = "0" + self.world.word(31)
        self.wechat.login_codes[code] = LoginCode(thread, self.world.clock.time())
        return code

    def phone_code(self, thread: Thread) -> str:
        """Return what the phone-number button hands to a mini-program: good once, for five minutes."""
        code = self.world.hex(64)
        self.wechat.phone_codes[code] = LoginCode(thread, self.world.clock.time())
        return code

    # shared

    def _account(self, thread: Thread) -> Account:
        return self.world.accounts[thread.appid]

    def _keep(self, thread: Thread, kind: str, filename: str, content_type: str, data: bytes) -> Media:
        media = Media(self.world.word(64), thread.appid, kind, filename, content_type, data, self.world.clock.time())
        self.world.media[media.id] = media
        return media

    def _grant(self, thread: Thread, scene: str) -> None:
        windows.grant(thread, self._account(thread).kind, scene, self.world.clock.time())

    async def _say(self, thread: Thread, kind: str, content: Json, fields: Json, *, scene: str = "message") -> Done:
        account = self._account(thread)
        if account.kind != "miniprogram" and not thread.following:
            raise ActionError("请先关注公众号")
        thread.last_message = thread.last_seen = self.world.clock.time()
        self._grant(thread, scene)
        message = self.world.post(thread, "fan", kind, content, via="fan", status="sending")
        body = {
            "ToUserName": account.username,
            "FromUserName": thread.openid,
            "CreateTime": int(self.world.clock.time()),
            "MsgType": kind,
        }
        body |= fields | {"MsgId": self.world.next_id()}
        outcome = await self._push(thread, body, shown=True)
        message.status = "sent"
        self.world.show(thread, message)
        return Done(message, outcome)

    async def _event(
        self,
        thread: Thread,
        event: str,
        line: Message | None,
        fields: Json,
        *,
        scene: str = "",
        shown: bool = True,
    ) -> Done:
        thread.last_seen = self.world.clock.time()
        self._grant(thread, scene)
        body = self.wechat.event(thread, event, **fields)
        outcome = await self._push(thread, body, shown=shown)
        return Done(line, outcome)

    async def _push(self, thread: Thread, body: Json, *, shown: bool) -> Outcome:
        self.wechat.show_state(thread)
        outcome = await self.wechat.callbacks.push(thread, body)
        if outcome.shown is not None and shown:
            kind, content = outcome.shown
            self.world.post(thread, "system" if kind == "event" else "account", kind, content, via="passive")
        elif outcome.outcome == "failed" and outcome.attempts and shown:
            self.world.line(thread, OUT_OF_SERVICE)
        self.wechat.show_state(thread)
        return outcome


def listed(form: str, name: str, entries: list[Json]) -> Json:
    """Wrap the entries of a subscribe event: XML nests them; JSON has `List`, bare when it is one."""
    if form == "xml":
        return {name: {"List": entries}}
    return {"List": entries[0] if len(entries) == 1 else entries}
