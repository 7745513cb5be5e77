"""The demo brand's data: accounts, channels, texts, and two hundred members with a month behind them.

History goes through the very command that accepts pushes, with its times in the past, so that nothing in the
demo could not have happened.
"""

import json
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot import timeline
from kit.ids import key_of
from kit.seal import Sealer
from scrm import db
from scrm.accounts import service as accounts
from scrm.accounts.service import AccountView
from scrm.assistant.files import read_synonyms
from scrm.assistant.importing import import_file
from scrm.assistant.knowledge import set_synonyms
from scrm.assistant.settings import set_settings as set_assistant
from scrm.channels import service as channels
from scrm.db import Transaction, command
from scrm.members.service import link_unionid
from scrm.menus import service as menus
from scrm.migrate import ensure_months
from scrm.points.rulebook import install_preset
from scrm.pushes.accepting import Accepted, Arrival, accept
from scrm.replies import service as replies
from scrm.replies.queries import rules

ASSETS = Path(__file__).parent.parent / "assets" / "demo"
KNOWLEDGE = ASSETS.parent / "knowledge"
MEMBERS = 200
DAYS = 30
SEED = 20261122


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo file says, and the accounts it became."""

    data: dict[str, Any]
    service: AccountView
    miniprogram: AccountView


def read() -> dict[str, Any]:
    """Return the demo brand's file."""
    data: dict[str, Any] = json.loads((ASSETS / "brand.json").read_text())
    return data


async def ensure(sealer: Sealer, now: datetime) -> tuple[Demo, bool]:
    """Make what is not there yet; returns the demo and whether it was made just now."""
    data = read()
    known = {account.appid: account for account in await accounts.every(sealer)}
    fresh = data["accounts"]["service"]["appid"] not in known
    for described in data["accounts"].values():
        if described["appid"] not in known:
            await accounts.add(
                sealer,
                kind=described["kind"],
                name=described["name"],
                appid=described["appid"],
                secret=secrets.token_hex(16),
                token=secrets.token_hex(8),
                aes_key=_aes_key(),
                brand=data["brand"],
                now=now,
            )
    known = {account.appid: account for account in await accounts.every(sealer)}
    demo = Demo(
        data,
        service=known[data["accounts"]["service"]["appid"]],
        miniprogram=known[data["accounts"]["miniprogram"]["appid"]],
    )
    if not await db.fetch("SELECT 1 FROM fan WHERE account_id = $1 LIMIT 1", demo.service.id):
        await _write(demo, now)
    if not await db.fetch("SELECT 1 FROM knowledge_entry WHERE brand_id = $1 LIMIT 1", demo.service.brand_id):
        await _teach(demo.service.brand_id, now)
    return demo, fresh


@command
async def _teach(_tx: Transaction, brand_id: int, now: datetime) -> None:
    """Publish the brand's knowledge; once, so that what the demo's user edits stays."""
    for name, form in (("faq.csv", "csv"), ("articles.md", "md")):
        data = (KNOWLEDGE / name).read_bytes()
        await import_file(brand_id=brand_id, data=data, form=form, author="demo", now=now, publish=True)
    await set_synonyms(brand_id=brand_id, groups=read_synonyms((KNOWLEDGE / "synonyms.txt").read_bytes()))


def _aes_key() -> str:
    # 43 characters of base64 hold 258 bits; the last one must leave the two beyond 256 empty.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(letters) for _ in range(42)) + secrets.choice("AEIMQUYcgkosw048")


@command
async def _write(_tx: Transaction, demo: Demo, now: datetime) -> None:
    # All or nothing: a demo stopped half-way through its first start begins again at the next.
    await ensure_months(now.date(), behind=2)
    scenes: dict[str, int] = {}
    for channel in demo.data["channels"]:
        made = await channels.create(
            account_id=demo.service.id,
            scene=channel["scene"],
            name=channel["name"],
            cost_fen=channel["cost_fen"],
            now=now,
        )
        scenes[channel["scene"]] = made.id
    for welcome in demo.data["welcomes"]:
        await replies.set_welcome(
            account_id=demo.service.id,
            channel_id=scenes[welcome["channel"]] if "channel" in welcome else None,
            audience=welcome["audience"],
            reply={"type": "text", "content": welcome["text"]},
            now=now,
        )
    await install_preset(demo.service.brand_id, "qingyu", now, since=now - timedelta(days=DAYS + 1))
    await set_assistant(brand_id=demo.service.brand_id, data=demo.data["assistant"], now=now)
    await _history(demo, now)


def menu_of(demo: Demo, server_url: str) -> list[dict[str, Any]]:
    """Return the menu's buttons; what an old WeChat opens in place of the mini-program is at `server_url`."""
    buttons: list[dict[str, Any]] = json.loads(json.dumps(demo.data["menu"]).replace("{server}", server_url))
    return buttons


async def move(demo: Demo, old_url: str, new_url: str, now: datetime) -> None:
    """Let the menu and the rules, as they are by now, speak of the server at its new address."""

    def moved(said: Any) -> Any:
        return json.loads(json.dumps(said).replace(f"{old_url}/", f"{new_url}/"))

    if (buttons := await menus.wanted(demo.service.id)) is not None and moved(buttons) != buttons:
        await menus.define(account_id=demo.service.id, buttons=moved(buttons), now=now)
    for rule in await rules(demo.service.id):
        if moved(rule.reply) != rule.reply:
            await replies.set_rule(
                account_id=demo.service.id,
                match=rule.match,
                pattern=rule.pattern,
                priority=rule.priority,
                enabled=rule.enabled,
                reply=moved(rule.reply),
                now=now,
            )


async def write_rules(demo: Demo, media: dict[str, str], pictures_url: str, now: datetime) -> None:
    """Write the keyword and click rules; `media` gives the platform's media_id of each picture."""
    for rule in demo.data["rules"]:
        await replies.set_rule(
            account_id=demo.service.id,
            match=rule["match"],
            pattern=rule["pattern"],
            priority=rule.get("priority", 100),
            reply=_reply(rule, demo, media, pictures_url),
            now=now,
        )


def _reply(rule: dict[str, Any], demo: Demo, media: dict[str, str], pictures_url: str) -> dict[str, Any]:
    if "handoff" in rule:
        return {"type": "handoff", "skill": rule["handoff"]}
    if "text" in rule:
        return {"type": "text", "content": rule["text"]}
    if "image" in rule:
        return {"type": "image", "media_id": media[rule["image"]]}
    if "menu_of_teas" in rule:
        # Longer than 2048 bytes on purpose: it arrives as a reply and a message after it.
        lines = [
            f"{n}. {tea}：产地直采，手工制作，冷泡热泡皆宜，建议水温 85℃，每次取三克，可冲泡五次。"
            for n, tea in enumerate(demo.data["teas"], 1)
        ]
        return {"type": "text", "content": "青屿茶单\n\n" + "\n".join(lines)}
    if "news" in rule:
        news = rule["news"]
        return {
            "type": "news",
            "title": news["title"],
            "description": news["description"],
            "pic_url": f"{pictures_url}/{news['picture']}",
            "url": f"{pictures_url}/{news['picture']}",
        }
    card = rule["card"]
    return {
        "type": "miniprogrampage",
        "title": card["title"],
        "appid": demo.miniprogram.appid,
        "pagepath": card["pagepath"],
        "thumb_media_id": media[card["picture"]],
    }


# --- history ----------------------------------------------------------------------------------------------


async def _history(demo: Demo, now: datetime) -> None:
    chance = random.Random(SEED)  # noqa: S311  # a pretend past, the same for everybody
    arrivals = [arrival for n in range(MEMBERS) for arrival in _past_of(n, demo, now, chance)]
    arrivals.sort(key=lambda arrival: arrival.received_at)
    for start in range(0, len(arrivals), 200):
        await happened(arrivals[start : start + 200])
    # Every third member also uses the mini-program: one unionid makes the two fans one person.
    for n in range(0, MEMBERS, 3):
        for account in (demo.service, demo.miniprogram):
            rows = await db.fetch(
                "SELECT id FROM fan WHERE account_id = $1 AND openid = $2", account.id, _openid(account, n)
            )
            if rows:
                await link_unionid(fan_id=rows[0]["id"], unionid=f"u-demo-{n:04}", now=now)


@command
async def happened(tx: Transaction, arrivals: list[Arrival]) -> list[Accepted]:
    """Accept pushes of the past."""
    accepted = await accept(tx.connection, arrivals)
    # The past needs no asking: the platform knows nothing of these fans.
    await tx.connection.execute(
        "UPDATE fan SET lookup_due_at = NULL WHERE id = ANY($1::bigint[])", [one.fan_id for one in accepted]
    )
    return accepted


def openids(account: AccountView) -> list[str]:
    """Return the openids that the two hundred members have at an account."""
    return [_openid(account, n) for n in range(MEMBERS)]


def _openid(account: AccountView, n: int) -> str:
    return f"o{account.kind[0]}Demo{n:022}"


def _past_of(n: int, demo: Demo, now: datetime, chance: random.Random) -> list[Arrival]:
    channels_ = demo.data["channels"]
    weights = [channel["share"] for channel in channels_]
    followed = now - timedelta(days=DAYS * chance.random() ** 0.8, hours=1)
    scene = chance.choices([*(channel["scene"] for channel in channels_), None], [*weights, 12])[0]
    past = [_arrival(demo.service, n, "wechat.event.subscribe", {"scene": scene} if scene else {}, followed)]
    moment = followed
    for _ in range(int(chance.expovariate(1 / 6))):
        moment += timedelta(hours=chance.expovariate(1 / 60))
        if moment >= now - timedelta(minutes=5):
            break
        past.append(_arrival(demo.service, n, *_act(demo, chance), moment))
    moment = min(moment, now - timedelta(minutes=5))  # the next act may lie in the future: a past has none
    if n % 3 == 0:
        past.append(
            _arrival(demo.miniprogram, n, "wechat.event.user_enter_tempsession", {"session_from": "首页"}, moment)
        )
    if chance.random() < 0.12 and moment + timedelta(hours=2) < now:
        past.append(_arrival(demo.service, n, "wechat.event.unsubscribe", {}, moment + timedelta(hours=1)))
    return past


def _act(demo: Demo, chance: random.Random) -> tuple[str, dict[str, Any]]:
    kind = chance.choices(["text", "click", "scan", "view", "location", "image"], [50, 26, 9, 8, 4, 3])[0]
    if kind == "text":
        return "wechat.text", {"content": chance.choice(demo.data["chatter"])}
    if kind == "click":
        return "wechat.event.click", {"key": chance.choice(["ACTIVITY", "STORES", "BENEFITS", "HELP"])}
    if kind == "scan":
        return "wechat.event.scan", {"scene": chance.choice(demo.data["channels"])["scene"]}
    if kind == "view":
        return "wechat.event.view_miniprogram", {"page_path": "pages/index/index"}
    if kind == "location":
        label, latitude, longitude = chance.choice(demo.data["places"])
        return "wechat.location", {"label": label, "latitude": latitude, "longitude": longitude}
    return "wechat.image", {"media_id": "demo"}


def _arrival(account: AccountView, n: int, kind: str, payload: dict[str, Any], at: datetime) -> Arrival:
    at = at.replace(microsecond=0)
    openid = _openid(account, n)
    return Arrival(
        key=key_of("demo", account.appid, openid, kind, at.isoformat()),
        account_id=account.id,
        openid=openid,
        kind=kind,
        occurred_at=at,
        received_at=at,
        payload=payload,
        fields={},
        lease_until=at,
        answer={"type": "none"},
    )


assert timeline.TITLES  # noqa: S101  # importing it registers the kinds that history is made of
