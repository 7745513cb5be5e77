"""The ceiling of reads: bare aiohttp + asyncpg that answer what ours does. `python -m bench.peers.reads PORT URL KEY`.

Each handler verifies the token's HMAC, runs one statement that somebody who wants just this answer would write, and
dumps what it found with the standard library. It knows no sessions that were ended, no limits, no request ids, no
validation and no refusals in Chinese.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

import asyncpg
import uvloop
from aiohttp import web

from scrm.access.tokens import Tokens
from scrm.db import credentials

POOL = web.AppKey[Any]("pool")
TOKENS = web.AppKey("tokens", Tokens)

_PERSON = """
WITH home AS (SELECT coalesce(m.merged_into_id, m.id) AS id, f.account_id
              FROM fan f JOIN member m ON m.id = f.member_id WHERE f.id = $1),
     homes AS (SELECT id FROM home UNION ALL SELECT m.id FROM member m JOIN home ON m.merged_into_id = home.id)
"""
_HOLDS = """
SELECT coalesce(sum(b.balance - coalesce(gone.amount, 0)), 0)::bigint
FROM ledger_balance b LEFT JOIN LATERAL (
    SELECT sum(l.remaining) AS amount FROM ledger_lot l
    WHERE l.holder_id = b.holder_id AND l.asset = b.asset AND l.remaining > 0 AND l.expires_at <= $2
) gone ON true
WHERE b.asset = '{asset}' AND b.holder_id IN (SELECT id FROM homes)
"""
_OWES = """
SELECT coalesce(sum(debt), 0)::bigint FROM ledger_balance
WHERE asset = '{asset}' AND holder_id IN (SELECT id FROM homes)
"""
_LEVELS = """
SELECT json_agg(json_build_object('rank', l.rank, 'name', l.name, 'threshold', l.threshold, 'benefits', l.benefits)
                ORDER BY l.rank)
FROM level l WHERE l.brand_id = (SELECT brand_id FROM account WHERE id = (SELECT account_id FROM home))
"""
_SUMS = f"""
({_HOLDS.format(asset="points")}) AS points, ({_OWES.format(asset="points")}) AS debt,
({_HOLDS.format(asset="growth")}) AS growth, ({_OWES.format(asset="growth")}) AS growth_debt, ({_LEVELS}) AS levels
"""  # put together from the texts above
ME = f"{_PERSON} SELECT {_SUMS}"
STATEMENT = f"""
{_PERSON}
SELECT e.id, e.occurred_at, p.amount, p.owed, e.kind, e.description, e.platform, e.event_key, e.rule
FROM (
    SELECT entry_id, sum(amount)::bigint AS amount,
           coalesce(sum(amount) FILTER (WHERE account = 'debt'), 0)::bigint AS owed
    FROM ledger_posting WHERE holder_id IN (SELECT id FROM homes) AND asset = 'points'
    GROUP BY entry_id ORDER BY entry_id DESC LIMIT 21
) p JOIN ledger_entry e ON e.id = p.entry_id ORDER BY e.id DESC
"""  # noqa: S608
GIFTS = f"""
{_PERSON}
SELECT {_SUMS}, ARRAY(
    SELECT json_build_object(
        'id', g.id, 'name', g.name, 'kind', g.kind, 'price', g.price, 'stock', g.stock, 'per_person', g.per_person,
        'level', g.level, 'on_sale_from', g.on_sale_from, 'on_sale_until', g.on_sale_until, 'picture', g.picture,
        'taken', (SELECT count(*) FROM redemption r WHERE r.gift_id = g.id AND r.state <> 'cancelled'
                  AND r.member_id IN (SELECT id FROM homes)))
    FROM gift g
    WHERE g.brand_id = (SELECT brand_id FROM account WHERE id = (SELECT account_id FROM home)) AND g.enabled
      AND (g.on_sale_until IS NULL OR g.on_sale_until > $2) ORDER BY g.id
) AS gifts
"""  # noqa: S608


def fan_of(request: web.Request) -> int:
    """Return whose token this is."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    return request.app[TOKENS].read(token, datetime.now(UTC)).fan_id


def reached(row: Any) -> tuple[int, list[dict[str, Any]]]:
    """Return the rank that growth has reached, and all levels."""
    levels, growth = json.loads(row["levels"]), row["growth"] - row["growth_debt"]
    return max(n for n, level in enumerate(levels) if level["threshold"] <= growth), levels


async def me(request: web.Request) -> web.Response:
    """Points, growth and level."""
    row = await request.app[POOL].fetchrow(ME, fan_of(request), datetime.now(UTC))
    rank, levels = reached(row)
    following = levels[rank + 1] if rank + 1 < len(levels) else None
    growth = row["growth"] - row["growth_debt"]
    return web.json_response(
        {
            "points": max(0, row["points"] - row["debt"]),
            "debt": max(0, row["debt"] - row["points"]),
            "growth": growth,
            "level": levels[rank],
            "next_level": following,
            "growth_missing": following["threshold"] - growth if following else 0,
        }
    )


async def statement(request: web.Request) -> web.Response:
    """The first page of the statement of points."""
    rows = await request.app[POOL].fetch(STATEMENT, fan_of(request))
    lines = [
        dict(row)
        | {
            "occurred_at": row["occurred_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "event_key": str(row["event_key"]) if row["event_key"] else None,
        }
        for row in rows[:20]
    ]
    return web.json_response({"items": lines, "next": lines[-1]["id"] if len(rows) > 20 else None})


async def gifts(request: web.Request) -> web.Response:
    """The mall, with what stands against redeeming each gift."""
    row = await request.app[POOL].fetchrow(GIFTS, fan_of(request), datetime.now(UTC))
    rank, levels = reached(row)
    names, spendable = {level["name"] for level in levels[: rank + 1]}, max(0, row["points"] - row["debt"])
    items = []
    for gift in map(json.loads, row["gifts"]):
        taken = gift.pop("taken")
        against = {
            "sold_out": gift["stock"] == 0,
            "level_too_low": gift["level"] is not None and gift["level"] not in names,
            "limit_reached": gift["per_person"] is not None and taken >= gift["per_person"],
            "not_enough": spendable < gift["price"],
        }
        items.append(gift | {"why_not": [code for code, so in against.items() if so]})
    return web.json_response({"items": items})


async def serve(port: int, url: str, key: bytes) -> None:
    """Serve until killed; sockets and pool as in our own server."""
    app = web.Application()
    app[TOKENS] = Tokens(key)
    app.router.add_get("/api/mp/{appid}/me", me)
    app.router.add_get("/api/mp/{appid}/points/statement", statement)
    app.router.add_get("/api/mp/{appid}/gifts", gifts)
    async with asyncpg.create_pool(**credentials(url), min_size=1, max_size=10, server_settings={"jit": "off"}) as app[
        POOL
    ]:
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True, backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])))
