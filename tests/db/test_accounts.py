"""Accounts: secrets sealed at rest, kept out of sight, and every wrong field named."""

from typing import Any

import pytest

from kit.seal import Sealer, UnsealError
from scrm.accounts import service
from scrm.accounts.models import Account, Brand
from scrm.db import Transaction, fetch
from scrm.errors import Conflict, Invalid
from tests.conftest import START
from tests.factories import AES_KEY, SEALER, make_account

SECRETS: dict[str, Any] = {"secret": "the-app-secret", "token": "thetoken", "aes_key": AES_KEY}


async def test_secrets_are_sealed_in_every_column(tx_db: Transaction) -> None:
    account = await make_account(**SECRETS)
    (row,) = await fetch("SELECT to_jsonb(a)::text AS everything, a.* FROM account a WHERE id = $1", account)
    for secret in SECRETS.values():
        assert secret not in row["everything"]
    assert {name: SEALER.open(row[f"{name}_sealed"]) for name in SECRETS} == SECRETS
    # Sealed anew each time: equal secrets of two accounts cannot be told from the database.
    other = await make_account(**SECRETS)
    (theirs,) = await fetch("SELECT * FROM account WHERE id = $1", other)
    assert all(row[f"{name}_sealed"] != theirs[f"{name}_sealed"] for name in SECRETS)


async def test_they_are_opened_for_use_and_never_shown(tx_db: Transaction) -> None:
    await make_account(**SECRETS)
    (view,) = await service.every(SEALER)
    assert {name: getattr(view, name) for name in SECRETS} == SECRETS
    for shown in (repr(view), str(view), f"{[view]}"):
        assert not [secret for secret in SECRETS.values() if secret in shown]


async def test_another_key_opens_nothing(tx_db: Transaction) -> None:
    await make_account(**SECRETS)
    with pytest.raises(UnsealError, match=r"^sealed with another FENSI_SECRET_KEY$"):
        await service.every(Sealer("another key of enough length"))


def test_a_seal_is_opened_only_whole_and_a_key_is_long_enough() -> None:
    sealed = SEALER.seal("粉丝")
    assert SEALER.open(sealed) == "粉丝"
    for broken in (sealed[:-2], "A" + sealed[1:], ""):
        with pytest.raises(UnsealError):
            SEALER.open(broken)
    with pytest.raises(ValueError, match="FENSI_SECRET_KEY: at least 16 characters"):
        Sealer("x" * 15)


@pytest.mark.parametrize(
    ("given_", "mode"),
    [
        ({"aes_key": AES_KEY}, "safe"),
        ({"aes_key": None}, "plain"),
        ({"aes_key": AES_KEY, "mode": "compatible"}, "compatible"),
        ({"aes_key": AES_KEY, "mode": "plain"}, "plain"),
    ],
)
async def test_the_mode_follows_from_the_key(tx_db: Transaction, given_: dict[str, Any], mode: str) -> None:
    await make_account(**given_)
    (view,) = await service.every(SEALER)
    assert (view.mode, view.aes_key) == (mode, given_["aes_key"])
    assert (view.kind, view.verified, view.enabled) == ("service", True, True)


async def test_accounts_share_their_brand(tx_db: Transaction) -> None:
    for brand in ("甲", "甲", "乙"):
        await make_account(brand=brand)
    assert await Brand.all().order_by("id").values("name") == [{"name": "甲"}, {"name": "乙"}]
    views = await service.every(SEALER)
    assert [view.id for view in views] == sorted(view.id for view in views)
    assert views[0].brand_id == views[1].brand_id != views[2].brand_id


async def test_an_appid_is_added_once(tx_db: Transaction) -> None:
    await make_account(appid="wx1")
    with pytest.raises(Conflict) as caught:
        await make_account(appid="wx1")
    assert caught.value.field == "appid"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "group"}, "kind"),
        ({"mode": "loose"}, "mode"),
        ({"name": " "}, "name"),
        ({"name": "名" * 65}, "name"),
        ({"brand": ""}, "brand"),
        ({"brand": "牌" * 65}, "brand"),
        ({"appid": ""}, "appid"),
        ({"appid": "wx 1"}, "appid"),
        ({"secret": ""}, "secret"),
        ({"token": "ab"}, "token"),
        ({"token": "a-b-c"}, "token"),
        ({"aes_key": "short"}, "aes_key"),
        ({"aes_key": None, "mode": "safe"}, "aes_key"),
        ({"aes_key": "", "mode": "compatible"}, "aes_key"),
    ],
)
async def test_what_is_wrong_is_named_and_no_secret_is_repeated(
    tx_db: Transaction, wrong: dict[str, Any], field: str
) -> None:
    given_: dict[str, Any] = {"kind": "service", "name": "号", "appid": "wx1", "now": START} | SECRETS | wrong
    with pytest.raises(Invalid) as caught:
        await service.add(SEALER, **given_)
    assert caught.value.field == field
    assert not [secret for secret in SECRETS.values() if secret in str(caught.value)]
    assert await Account.all().count() == await Brand.all().count() == 0
