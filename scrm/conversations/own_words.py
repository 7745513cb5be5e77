"""What a brand, or one of its accounts, tells fans around a conversation in words of its own."""

import json
import re
from collections.abc import Mapping

from scrm.conversations.words import DEFAULTS, NEEDED
from scrm.db import Connection, Transaction, command
from scrm.errors import Invalid, NotFound

# WeChat takes 2048 bytes; a Chinese letter is three, and what is filled in needs room.
LONGEST = 600
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

_OWN = """
SELECT d.texts AS brand, w.texts AS account
FROM account a LEFT JOIN desk_words d ON d.brand_id = a.brand_id LEFT JOIN account_words w ON w.account_id = a.id
WHERE a.id = $1
"""


async def texts_of(raw: Connection, account_id: int) -> Mapping[str, str]:
    """Return what an account's fans are told: its own words, else its brand's, else the usual ones."""
    row = await raw.fetchrow(_OWN, account_id)
    own = [json.loads(row[name]) for name in ("brand", "account") if row[name]] if row else []
    texts = dict(DEFAULTS)
    for said in own:
        texts.update(said)
    return texts


@command
async def set_words(tx: Transaction, *, brand_id: int, account_id: int | None, texts: Mapping[str, str]) -> None:
    """Set all of a brand's own words, or of one of its accounts; what is missing or empty is said as usual.

    Raises Invalid naming the text, such as `texts.outside`, NotFound for an account that is not the brand's.
    """
    kept = {name: text.strip() for name, text in texts.items() if text.strip()}
    for name, text in kept.items():
        _check(name, text)
    raw = tx.connection
    written = json.dumps(kept, ensure_ascii=False)
    if account_id is None:
        await raw.execute(
            """
            INSERT INTO desk_words (brand_id, texts) VALUES ($1, $2::jsonb)
            ON CONFLICT (brand_id) DO UPDATE SET texts = excluded.texts
            """,
            brand_id,
            written,
        )
        return
    if not await raw.fetchval(
        "SELECT EXISTS (SELECT FROM account WHERE id = $1 AND brand_id = $2)", account_id, brand_id
    ):
        raise NotFound("没有这个账号")
    await raw.execute(
        """
        INSERT INTO account_words (account_id, texts) VALUES ($1, $2::jsonb)
        ON CONFLICT (account_id) DO UPDATE SET texts = excluded.texts
        """,
        account_id,
        written,
    )


def _check(name: str, text: str) -> None:
    where = f"texts.{name}"
    if name not in DEFAULTS:
        raise Invalid("没有这种话术", field="texts")
    if len(text) > LONGEST:
        raise Invalid(f"话术最长 {LONGEST} 个字", field=where)
    needed = NEEDED.get(name)
    if needed is not None and needed not in text:
        raise Invalid(f"这段话要包含 {needed}，发送时会换成实际内容", field=where)
    for found in _PLACEHOLDER.findall(text):
        if found != needed:
            raise Invalid(f"这段话里不能用 {found}", field=where)
