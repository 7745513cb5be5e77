"""Accounts and rules change while servers run: each learns of it by itself within about a second."""

import asyncio
from dataclasses import replace

from handlers import ROUTERS
from kit.clock import ManualClock
from kit.seal import Sealer
from scrm.accounts.service import change, set_enabled
from tests.bot.house import AES_KEY, SECRET_KEY, House, Server, until


def watching(server: Server) -> asyncio.Task[None]:
    return server.services.tasks.spawn(server.services.directory.watch(), "directory")


async def test_a_changed_rule_is_used_within_a_second(house: House) -> None:
    account = await house.account()
    await house.rule(account, "exact", "地址", "旧址")
    server = await house.server(*ROUTERS)
    watcher = watching(server)
    try:
        assert (await account.text("oFan", "地址").to(server)).text == "旧址"
        await house.rule(account, "exact", "地址", "新址")

        async def renewed() -> bool:
            return (await account.text("oFan", "地址").to(server)).text == "新址"

        await until(renewed, within=3)
        await house.rows("DELETE FROM reply_rule WHERE account_id = $1 RETURNING id", account.id)

        async def gone() -> bool:
            return (await account.text("oFan", "地址").to(server)).text not in {"旧址", "新址"}

        await until(gone, within=3)
    finally:
        watcher.cancel()


async def test_a_new_account_is_served_at_once_and_a_disabled_one_no_longer(house: House, clock: ManualClock) -> None:
    server = await house.server(*ROUTERS)
    account = await house.account()
    assert (await account.text("oFan", "你好").to(server)).status == 200
    # Strangers cannot make us look again and again.
    other = await house.account()
    assert (await other.text("oFan", "你好").to(server)).status == 404
    clock.advance(seconds=0.5)
    assert (await other.text("oFan", "你好").to(server)).status == 200
    await house.rows("UPDATE account SET enabled = false WHERE id = $1 RETURNING id", account.id)
    await server.refresh()
    assert (await account.text("oFan", "你好").to(server)).status == 404
    assert (await other.text("oFan", "你好").to(server)).status == 200


async def test_an_account_is_disabled_and_enabled_within_a_second(house: House) -> None:
    account = await house.account()
    server = await house.server(*ROUTERS)
    watcher = watching(server)

    async def answered(status: int) -> bool:
        return (await account.text("oFan", "你好").to(server)).status == status

    try:
        assert await answered(200)
        await set_enabled(account_id=account.id, enabled=False)
        await until(lambda: answered(404), within=3)
        assert account.id not in server.services.directory.accounts()
        await set_enabled(account_id=account.id, enabled=True)
        await until(lambda: answered(200), within=3)
    finally:
        watcher.cancel()


async def test_a_changed_mode_is_obeyed(house: House) -> None:
    account = await house.account(mode="plain")
    server = await house.server(*ROUTERS)
    plain = account.render(account.text("oFan", "你好").body)
    assert (await account.post(server, plain, {**account.signed(), "x": "1"})).status == 200
    await house.rows("UPDATE account SET mode = 'safe' WHERE id = $1 RETURNING id", account.id)
    await server.refresh()
    assert (await account.post(server, plain, account.signed())).status == 403


async def test_a_changed_token_key_and_mode_are_used_within_a_second(house: House) -> None:
    account = await house.account(mode="plain")
    server = await house.server(*ROUTERS)
    watcher = watching(server)
    renewed = replace(account, token="anothertoken", aes_key=AES_KEY[::-1], mode="safe")
    try:
        assert (await account.text("oFan", "你好").to(server)).status == 200
        await change(
            Sealer(SECRET_KEY),
            account_id=account.id,
            token=renewed.token,
            aes_key=renewed.aes_key,
            mode="safe",
            secret="renewed",
        )

        async def taken() -> bool:
            return (await renewed.text("oFan", "你好").to(server)).status == 200

        await until(taken, within=3)
        assert (await account.text("oFan", "你好").to(server)).status == 403
        assert server.services.directory.accounts()[account.id].secret == "renewed"
    finally:
        watcher.cancel()


async def test_one_account_that_cannot_be_opened_does_not_take_the_others_away(
    house: House, clock: ManualClock
) -> None:
    account = await house.account()
    server = await house.server(*ROUTERS)
    watcher = watching(server)
    broken = await house.account()
    await house.rows("UPDATE account SET token_sealed = 'nonsense' WHERE id = $1 RETURNING id", broken.id)

    async def noticed() -> bool:
        return server.services.directory.shut == [broken.id]

    try:
        assert (await account.text("oFan", "你好").to(server)).status == 200
        await until(noticed)
        assert (await account.text("oFan", "你好").to(server)).status == 200
        assert not watcher.done()
    finally:
        await house.rows("DELETE FROM account WHERE id = $1 RETURNING id", broken.id)
        watcher.cancel()
