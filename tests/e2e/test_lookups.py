"""Real workers learn who fans are whose follow the server was never told of, one of them killed while it asks."""

import pytest
from tortoise.context import TortoiseContext

from simulator.server import SimulatorServer
from tests.e2e.processes import Fensi, open_shop, until
from tests.factories import value

pytestmark = pytest.mark.e2e
BATCHGET = "/cgi-bin/user/info/batchget"


async def test_followers_from_before_are_asked_about_whoever_dies(
    db: TortoiseContext, fensi: Fensi, wechat: SimulatorServer
) -> None:
    shop = await open_shop(wechat)
    server = await fensi.serve()
    shop.answered_by(server)
    first, *others = shop.fans(4)
    slow = wechat.wechat.faults.add_api(path=BATCHGET, delay=60, times=None)
    doomed = await fensi.work(worker_port="0")
    await first.text(shop.account, "在吗")

    async def asked() -> bool:
        return any(call.path == BATCHGET for call in wechat.wechat.quotas.calls)

    await until(asked, what="the first worker asks")
    await doomed.kill()
    wechat.wechat.faults.api.remove(slow)
    await fensi.work(worker_port="0")
    for fan in others:
        await fan.text(shop.account, "在吗")

    async def known(count: int) -> bool:
        return bool(await value("SELECT count(*) FROM fan WHERE following AND lookup_due_at IS NULL") == count)

    await until(lambda: known(3), what="the second worker learns of three")
    # What the dead one had claimed is due again when its lease is over.
    assert await value("SELECT count(*) FROM fan WHERE lookup_due_at > now()") == 1
    await value("UPDATE fan SET lookup_due_at = now() WHERE lookup_due_at > now() RETURNING 1")
    await until(lambda: known(4), what="the second worker learns of the fourth")
    assert await value("SELECT count(*) FROM identity WHERE kind = 'unionid'") == 4
