"""Commands about accounts; their secrets are sealed before they are stored."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from tortoise.exceptions import IntegrityError

from kit.names import is_name
from kit.seal import Sealer, UnsealError
from scrm.accounts.models import Account
from scrm.db import Transaction, command
from scrm.errors import Conflict, Invalid, NotFound

Kind = Literal["service", "subscription", "miniprogram"]
Mode = Literal["plain", "compatible", "safe"]


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with its secrets opened. They are kept out of `repr`, so out of logs and traces too."""

    id: int
    brand_id: int
    kind: Kind
    name: str
    appid: str
    mode: Mode
    verified: bool
    enabled: bool
    secret: str = field(repr=False)
    token: str = field(repr=False)
    aes_key: str | None = field(repr=False)


_BRAND = """
-- The brand of that name, made if there is none; written as it is, so that its id is returned in either case.
INSERT INTO brand (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
"""


@command
async def add(
    tx: Transaction,
    sealer: Sealer,
    *,
    kind: str,
    name: str,
    appid: str,
    secret: str,
    token: str,
    aes_key: str | None,
    now: datetime,
    mode: str | None = None,
    verified: bool = True,
    brand: str = "默认品牌",
) -> int:
    """Add an account and return its id. Without `mode` it is safe when there is an AES key, else plain.

    Raises Invalid naming the field that is wrong, Conflict when the appid is there already.
    """
    name, brand = name.strip(), brand.strip()
    mode = mode or ("safe" if aes_key else "plain")
    if kind not in get_args(Kind):
        raise Invalid("类型只能是 service、subscription 或 miniprogram", field="kind")
    if not is_name(brand, 64):
        raise Invalid("品牌名称长度为 1 到 64 个字符，不含控制字符", field="brand")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", appid):
        raise Invalid("AppID 只含字母、数字、下划线和连字符", field="appid")
    _check(name, mode, secret, token, aes_key)
    if await Account.filter(appid=appid).exists():
        raise Conflict("这个 AppID 已经添加过", field="appid")
    brand_id = await tx.connection.fetchval(_BRAND, brand, now)
    try:
        account = await Account.create(
            brand_id=brand_id,
            kind=kind,
            name=name,
            appid=appid,
            mode=mode,
            verified=verified,
            secret_sealed=sealer.seal(secret),
            token_sealed=sealer.seal(token),
            aes_key_sealed=sealer.seal(aes_key) if aes_key else None,
            created_at=now,
        )
    except IntegrityError:
        # Somebody added it between our look and our insert.
        raise Conflict("这个 AppID 已经添加过", field="appid") from None
    return account.id


def _check(name: str, mode: str, secret: str, token: str, aes_key: str | None) -> None:
    """Raise Invalid naming the field that is wrong of those that may change later, too."""
    if not is_name(name, 64):
        raise Invalid("名称长度为 1 到 64 个字符，不含控制字符", field="name")
    if mode not in get_args(Mode):
        raise Invalid("模式只能是 plain、compatible 或 safe", field="mode")
    if not secret:
        raise Invalid("AppSecret 不能为空", field="secret")
    if not re.fullmatch(r"[A-Za-z0-9]{3,32}", token):
        raise Invalid("Token 为 3 到 32 位字母或数字", field="token")
    if aes_key and not re.fullmatch(r"[A-Za-z0-9]{43}", aes_key):
        raise Invalid("EncodingAESKey 为 43 位字母或数字", field="aes_key")
    if mode != "plain" and not aes_key:
        raise Invalid("安全模式和兼容模式需要 EncodingAESKey", field="aes_key")


@command
async def change(
    _tx: Transaction,
    sealer: Sealer,
    *,
    account_id: int,
    name: str | None = None,
    mode: str | None = None,
    verified: bool | None = None,
    secret: str | None = None,
    token: str | None = None,
    aes_key: str | None = None,
) -> tuple[AccountView, AccountView]:
    """Change what is given of an account, None leaves it; returns it before and after. An empty AES key takes it away.

    Servers and workers use it within about a second. Raises NotFound, Invalid naming the field that is wrong, and
    UnsealError when this key did not seal the account: nobody would be able to open the rest of it.
    """
    account = None
    if 0 < account_id < 1 << 63:
        account = await Account.filter(id=account_id).select_for_update(no_key=True).get_or_none()
    if account is None:
        raise NotFound("没有这个账号", field="account")
    before = _view(account, sealer)
    given: dict[str, Any] = {
        "name": name and name.strip(),
        "mode": mode,
        "verified": verified,
        "secret": secret,
        "token": token,
    }
    after = replace(before, **{field: value for field, value in given.items() if value is not None})
    if aes_key is not None:
        after = replace(after, aes_key=aes_key or None)
    _check(after.name, after.mode, after.secret, after.token, after.aes_key)
    if after != before:
        account.name, account.mode, account.verified = after.name, after.mode, after.verified
        account.secret_sealed, account.token_sealed = sealer.seal(after.secret), sealer.seal(after.token)
        account.aes_key_sealed = sealer.seal(after.aes_key) if after.aes_key else None
        sealed = ("secret_sealed", "token_sealed", "aes_key_sealed")
        await account.save(update_fields=("name", "mode", "verified", *sealed))
    return before, after


@dataclass(frozen=True, slots=True)
class Turned:
    """An account that was enabled or disabled, and whether it was otherwise before."""

    brand_id: int
    name: str
    changed: bool


@command
async def set_enabled(tx: Transaction, *, account_id: int, enabled: bool) -> Turned:
    """Serve an account, or serve it no more; again changes nothing. Its secrets are not asked for.

    Servers and workers know it within about a second. What is disabled answers no push and is refused new messages by
    the gate; what waits in the outbox stays until it is enabled again, or until its window closes. Raises NotFound.
    """
    raw = tx.connection
    row = None
    if 0 < account_id < 1 << 63:
        row = await raw.fetchrow(
            "SELECT brand_id, name, enabled FROM account WHERE id = $1 FOR NO KEY UPDATE", account_id
        )
    if row is None:
        raise NotFound("没有这个账号", field="account")
    if row["enabled"] != enabled:
        await raw.execute("UPDATE account SET enabled = $2 WHERE id = $1", account_id, enabled)
    return Turned(row["brand_id"], row["name"], row["enabled"] != enabled)


@command
async def name_growth(tx: Transaction, *, brand_id: int, word: str) -> str:
    """Set what a brand calls growth 成长值, everywhere people read it; returns the word before.

    Raises NotFound for a brand that there is not, Invalid naming the field `word` unless it has 1 to 8 characters.
    """
    if not is_name(word, 8):
        raise Invalid("名称长度为 1 到 8 个字符，不含控制字符", field="word")
    raw = tx.connection
    before: str | None = await raw.fetchval("SELECT growth_word FROM brand WHERE id = $1 FOR NO KEY UPDATE", brand_id)
    if before is None:
        raise NotFound("没有这个品牌")
    await raw.execute("UPDATE brand SET growth_word = $2 WHERE id = $1", brand_id, word)
    return before


async def every(sealer: Sealer) -> list[AccountView]:
    """Return all accounts, secrets opened. Raises UnsealError when FENSI_SECRET_KEY is not the one they had."""
    return [_view(account, sealer) for account in await Account.all().order_by("id")]


async def readable(sealer: Sealer) -> tuple[list[AccountView], list[int]]:
    """Return the accounts whose secrets open, and the ids of those whose do not: one must not silence the others."""
    views, shut = [], []
    for account in await Account.all().order_by("id"):
        try:
            views.append(_view(account, sealer))
        except UnsealError:
            shut.append(account.id)
    return views, shut


def _view(account: Account, sealer: Sealer) -> AccountView:
    return AccountView(
        id=account.id,
        brand_id=account.brand_id,
        kind=account.kind,  # type: ignore[arg-type]  # the check constraint holds it to these words
        name=account.name,
        appid=account.appid,
        mode=account.mode,  # type: ignore[arg-type]  # same
        verified=account.verified,
        enabled=account.enabled,
        secret=sealer.open(account.secret_sealed),
        token=sealer.open(account.token_sealed),
        aes_key=sealer.open(account.aes_key_sealed) if account.aes_key_sealed else None,
    )
