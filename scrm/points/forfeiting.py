"""What the erased leave behind is forfeited: booked as expired, and promises are cancelled. Nothing is assigned."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from kit.ids import key_of
from scrm.db import Connection
from scrm.points.holders import SYSTEM, lock
from scrm.points.postings import GROWTH, POINTS, Draw, Entry, Origin, Posting, book, enter, take

REASON = "account_deleted"


async def forfeit(raw: Connection, homes: Sequence[int], now: datetime) -> dict[str, int]:
    """Let go all points and growth of a person and cancel what was promised; returns what went, by asset.

    Part of the caller's transaction, which holds the person. What they owe stays in the books, owed by nobody.
    """
    await raw.execute(
        """
        UPDATE pending_award SET state = 'cancelled', reason = $2, settled_at = $3 WHERE id IN (
            SELECT id FROM pending_award WHERE holder_id = ANY($1::bigint[]) AND state = 'pending'
            ORDER BY id FOR NO KEY UPDATE
        )
        """,
        list(homes),
        REASON,
        now,
    )
    await lock(raw, [(home, asset) for home in homes for asset in (POINTS, GROWTH)], now)
    lots = await raw.fetch(
        """
        SELECT id, holder_id, asset, remaining FROM ledger_lot WHERE holder_id = ANY($1::bigint[]) AND remaining > 0
        ORDER BY holder_id, asset, id
        """,
        list(homes),
    )
    gone = {POINTS: 0, GROWTH: 0}
    draws: list[Draw] = []
    postings: list[Posting] = []
    for (home, asset), group in groupby(lots, key=lambda lot: (lot["holder_id"], lot["asset"])):
        own = list(group)
        amount = sum(lot["remaining"] for lot in own)
        key = key_of("forfeit", home, asset)
        origin = Origin("注销账号，余额清零", SYSTEM, now)
        entry_id = (await enter(raw, [Entry(key, "expire", asset, home, -amount, origin, now)]))[key]
        draws += [Draw(entry_id, lot["id"], lot["remaining"]) for lot in own]
        postings += [
            Posting(entry_id, asset, "holder", home, -amount),
            Posting(entry_id, asset, "expired", None, amount),
        ]
        gone[asset] += amount
    await take(raw, draws)
    await book(raw, postings)
    return gone
