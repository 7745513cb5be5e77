"""`python -m simulator`: run the simulated WeChat by itself, against any WeChat server."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from simulator.server import SimulatorServer

GUIDE = """模拟微信已启动：{url}
手机页面：{url}/phone/

接入任意微信服务端：
1. 把服务端调用的接口地址 https://api.weixin.qq.com 换成 {url}
2. 添加一个账号（未给出的密钥会自动生成并返回）：
   curl -X POST {url}/sim/accounts -d '{{"kind": "service", "name": "我的公众号",
     "callback_url": "http://127.0.0.1:8080/wechat", "mode": "safe", "verify": false}}'
3. 打开手机页面，新建粉丝、关注、发消息

已有账号：{accounts}
按 Ctrl-C 停止。
"""


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110  # nobody tells a process that its parent was killed
        await asyncio.sleep(1)
    stop.set()


async def run(port: int, pages: Path | None, state: Path | None, *, with_parent: bool = False) -> None:
    """Run until SIGINT or SIGTERM, or `with_parent` until whoever started us is gone.

    Raises OSError when the port is taken.
    """
    stop = asyncio.Event()
    watching = asyncio.create_task(_watch_parent(os.getppid(), stop)) if with_parent else None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with SimulatorServer(port=port, pages=pages, state=state) as server:
        names = "、".join(f"{a.name} {a.appid}" for a in server.world.accounts.values())
        sys.stdout.write(GUIDE.format(url=server.url, accounts=names or "（无）"))
        sys.stdout.flush()
        await stop.wait()
    if watching is not None:
        watching.cancel()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("应为 0 到 65535 的端口号")
    return int(text)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="模拟微信平台")
    parser.add_argument("--port", type=_port, default=8900)
    parser.add_argument("--pages", type=Path, help="构建好的手机页面所在文件夹")
    parser.add_argument("--state", type=Path, help="保存状态的 JSON 文件，只能由一个模拟器使用")
    parser.add_argument("--with-parent", action="store_true", help="启动它的进程结束时一同结束")
    given = parser.parse_args()
    try:
        asyncio.run(run(given.port, given.pages, given.state, with_parent=given.with_parent))
    except (OSError, ValueError) as error:
        sys.exit(f"模拟微信无法启动：{error}")


if __name__ == "__main__":
    main()
