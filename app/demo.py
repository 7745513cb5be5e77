"""`fensi demo`: database, simulator, server and worker on this machine, with a brand to try them on."""

import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from app import demo_club, demo_data, demo_desk, demo_month, demo_people, demo_staff, embedded, logs
from app.commands import CommandError, check_free, check_migrated, prepare, run_async
from app.processes import Child, Processes
from app.services import Services, services
from app.settings import Settings, data_folder, environment, sealer
from app.wechat import client_of, create_code, menu_differences, publish_menu
from kit.clock import SystemClock
from scrm import db
from scrm.channels.models import Channel

TOUR = """
Fensi 粉丝 演示已就绪

  手机（先打开这个）  {phone}
  工作台              {server}/console/
      登录名 {logins}，密码都是 {password}（仅供演示，本机可用）
  服务健康状况        {server}/readyz
  运行指标            {server}/metrics
  模拟微信的控制接口  {simulator}/sim/accounts

试试看：选一位粉丝 → 关注“青屿茶舍” → 点菜单、扫渠道码 → 发送“帮助”“签到”“优惠”“兴趣”“小程序”“茶单”，或直接提问
客服：用 li.na 登录工作台 →“会话”，已有粉丝在等；在手机上发送“人工”，会话会实时出现在那里
会员中心：菜单“会员”→“会员中心”（或左侧的青屿会员）→ 登录 → 签到、换好礼；在聊天里签到，积分也会变
命令行：在命令前加 demo，例如 .venv/bin/fensi demo doctor、.venv/bin/fensi demo accounts list
数据保存在 {var}，与正式服务的数据库互不相干；再次运行 make demo 会接着用。按 Ctrl-C 停止。
"""


def run_demo(settings: Settings, *, wait: bool = True) -> int:
    """Run the demo until Ctrl-C; a second start finds its data. With `wait` False, prepare the data and end.

    The settings are those of `app.settings.demo_settings`.
    """
    logs.configure(settings)
    data_folder(settings)
    simulator_url = settings.wechat_url
    if wait:
        for port in (settings.port, settings.simulator_port):
            check_free(settings.host, port)
    with embedded.database_url(settings) as url:
        made = run_async(_prepare(settings, url))
        print("演示数据已生成：200 位会员，一个月的互动记录" if made else "沿用已有的演示数据")
        if not wait:
            return 0
        variables = environment(settings.model_copy(update={"database_url": url}))
        simulator = Child(
            "simulator", ["app", "simulate", "--port", str(settings.simulator_port)], variables, quiet=True
        )
        children = [
            simulator,
            Child("server", ["app", "serve"], variables),
            Child("worker", ["app", "worker"], variables),
        ]

        def ready() -> None:
            _wait_for(f"{simulator_url}/sim/accounts", simulator)
            _wait_for(f"{settings.public_url}/readyz")
            run_async(_connect(settings, url))
            print(
                TOUR.format(
                    phone=f"{simulator_url}/phone/",
                    server=settings.public_url,
                    simulator=simulator_url,
                    var=settings.var,
                    logins="、".join(f"{one.login}（{one.title}）" for one in demo_staff.PEOPLE),
                    password=demo_staff.PASSWORD,
                ),
                flush=True,
            )

        return Processes(children, stop_seconds=45).run(ready)


async def _prepare(settings: Settings, url: str) -> bool:
    await prepare(settings, url)
    await check_migrated(settings, url)
    async with db.database(url, pool=2):
        if await _somebody_elses():
            raise CommandError("FENSI_DEMO_DATABASE_URL: holds accounts or staff that are not the demo's")
        seal, now = sealer(settings), SystemClock().now()
        demo, made = await demo_data.ensure(seal, now)
        await demo_club.ensure(demo, seal, now)
        await demo_people.ensure(demo, seal, now)
        await demo_staff.ensure(now)
        await demo_desk.ensure(demo, now)
        await demo_month.ensure(demo, now)
    return made


async def _somebody_elses() -> bool:
    """Tell whether there are accounts or staff, but not the demo's: no place for an administrator of ours."""
    appids = [one["appid"] for one in demo_data.read()["accounts"].values()]
    found = """
        SELECT (EXISTS (SELECT FROM account) OR EXISTS (SELECT FROM staff))
           AND NOT EXISTS (SELECT FROM account WHERE appid = ANY($1)) AS strange
    """
    return bool((await db.fetch(found, appids))[0]["strange"])


async def _connect(settings: Settings, url: str) -> None:
    """Introduce the simulator and our accounts to each other; what is there already is left alone."""
    async with services(settings, url) as opened:
        demo, _ = await demo_data.ensure(opened.sealer, opened.clock.now())
        described = demo.data["accounts"]
        before = {one["appid"]: one["server"] for one in _get(f"{settings.wechat_url}/sim/accounts")}
        for name, account in (("service", demo.service), ("miniprogram", demo.miniprogram)):
            _post(
                f"{settings.wechat_url}/sim/accounts",
                {
                    "kind": account.kind,
                    "name": account.name,
                    "description": described[name]["description"],
                    "appid": account.appid,
                    "secret": account.secret,
                    "token": account.token,
                    "aes_key": account.aes_key,
                    "mode": account.mode,
                    "callback_url": f"{settings.public_url}/wechat/{account.id}",
                    "verify": True,
                }
                | ({"server": settings.public_url} if account.kind == "miniprogram" else {}),
            )
        if not _get(f"{settings.wechat_url}/sim/fans"):
            fans = [
                {
                    "nickname": nickname,
                    "unionid": demo_club.unionid_of(n),
                    "openids": {demo.miniprogram.appid: demo_club.openid_of(n)},
                }
                for n, nickname in enumerate(demo.data["fans"], 1)
            ]
            _post(f"{settings.wechat_url}/sim/fans", {"fans": fans})
        old_url = before.get(demo.miniprogram.appid)
        if old_url and old_url != settings.public_url:
            await demo_data.move(demo, old_url, settings.public_url, opened.clock.now())
            if await menu_differences(opened, demo.service.id):
                await publish_menu(opened, account_id=demo.service.id)
        await _at_the_platform(opened, demo)
        await _call_in(opened, demo)


async def _at_the_platform(opened: Services, demo: demo_data.Demo) -> None:
    """Make what lives at the platform: QR codes, pictures, the menu; and the rules that speak of these."""
    known = {code["scene"] for code in _get(_phone(opened, f"accounts/{demo.service.appid}/qrcodes"))}
    for channel in await Channel.filter(account_id=demo.service.id).order_by("id"):
        if channel.scene not in known:
            await Channel.filter(id=channel.id).update(ticket="")
            await create_code(opened, account_id=demo.service.id, scene=channel.scene, name=channel.name)
    shown = await client_of(opened, demo.service.id).menu.get_menu_info()
    if shown.get("is_menu_open"):
        return
    media: dict[str, str] = {}
    for path in sorted(demo_data.ASSETS.glob("*.jpg")):
        with path.open("rb") as file:
            media[path.name] = (await client_of(opened, demo.service.id).material.add("image", file))["media_id"]
    await demo_data.write_rules(demo, media, f"{opened.settings.public_url}/assets/demo", opened.clock.now())
    buttons = demo_data.menu_of(demo, opened.settings.public_url)
    await publish_menu(opened, account_id=demo.service.id, buttons=buttons)
    # The server looks for new rules every second.
    await asyncio.sleep(2)


async def _call_in(opened: Services, demo: demo_data.Demo) -> None:
    """Let people ask for a person, at the phone as anybody does; not again once anybody ever has."""
    called = """
        SELECT FROM conversation c JOIN fan f ON f.id = c.fan_id
        WHERE c.account_id = $1 AND f.openid <> ALL($2::text[]) LIMIT 1
    """
    if await db.fetch(called, demo.service.id, demo_data.openids(demo.service)):
        return
    callers = demo.data["desk"]["callers"]
    known = {fan["nickname"]: fan["id"] for fan in _get(f"{opened.settings.wechat_url}/sim/fans")}
    if missing := [{"nickname": one["nickname"]} for one in callers if one["nickname"] not in known]:
        made = _post(f"{opened.settings.wechat_url}/sim/fans", {"fans": missing})
        known |= {fan["nickname"]: fan["id"] for fan in made}
    for one in callers:
        thread = _phone(opened, f"threads/{demo.service.appid}/{known[one['nickname']]}")
        _post(f"{thread}/follow", {})
        for text in one["says"]:
            _post(f"{thread}/text", {"content": text})
        if "answered" in one:
            openid = _get(thread)["openid"]
            await demo_desk.take(demo, openid, one["answered"], one["note"], opened.clock.now())


def _phone(opened: Services, path: str) -> str:
    return f"{opened.settings.wechat_url}/phone/api/{path}"


def _wait_for(url: str, child: Child | None = None, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            _get(url)
        except (urllib.error.URLError, OSError, ValueError):
            if child is not None and child.process is not None and child.process.poll() is not None:
                raise CommandError(f"the {child.name} did not start; it says why above") from None
            if time.monotonic() > deadline:
                raise CommandError(f"{url} does not answer") from None
            time.sleep(0.1)
        else:
            return


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  # our own addresses
        return json.load(response)


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310  # same
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  # same
            return json.load(response)
    except urllib.error.HTTPError as error:
        print(error.read().decode(), file=sys.stderr)
        raise CommandError(f"{url} answers {error.code}") from None
