"""Everything we hold about a person (PIPL, the right to a copy): section by section, page by page.

A section is one statement over the person's homes ($1) and fans ($2) whose column `n` orders its rows: those after $3,
at most $4. A column named `…_sealed` is opened, one named `…_json` is JSON; it is their own data, so nothing is masked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from kit.seal import Sealer
from scrm import db
from scrm.errors import Invalid
from scrm.events import kinds
from scrm.points.ledger import homes_of

LIMIT = 500


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of thing that is held; `title` is for the person who reads it."""

    name: str
    title: str
    sql: str


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """Rows of one section. Kept out of logs by having no repr."""

    name: str
    title: str
    items: list[dict[str, Any]]


SECTIONS = (
    Section("members", "会员", "SELECT id AS n, id AS member, created_at FROM member WHERE id = ANY($1::bigint[])"),
    Section(
        "profile",
        "会员资料",
        """
        SELECT id AS n, nickname, name_sealed, phone_sealed, gender, birthday, province, city, avatar,
               said_at AS said_at_json
        FROM member_profile WHERE member_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "identities",
        "身份",
        """
        SELECT id AS n, kind, CASE kind WHEN 'unionid' THEN subject END AS unionid, created_at
        FROM identity WHERE member_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "merges",
        "账号合并",
        """
        SELECT id AS n, evidence->>'kind' AS evidence, merged_at, split_at FROM member_merge
        WHERE (evidence->>'one')::bigint = ANY($1::bigint[]) OR (evidence->>'other')::bigint = ANY($1::bigint[])
        """,
    ),
    Section(
        "accounts",
        "公众号和小程序",
        """
        SELECT f.id AS n, a.name AS account, f.openid, f.following, f.follow_changed_at, f.follow_count,
               first.name AS first_channel, f.first_touch_at, last.name AS last_channel, f.last_touch_at, f.created_at
        FROM fan f JOIN account a ON a.id = f.account_id
        LEFT JOIN channel first ON first.id = f.first_channel_id LEFT JOIN channel last ON last.id = f.last_channel_id
        WHERE f.id = ANY($2::bigint[])
        """,
    ),
    Section(
        "channels",
        "渠道",
        """
        SELECT t.id AS n, c.name AS channel, t.first_at, t.last_at, t.followed_at
        FROM channel_touch t JOIN channel c ON c.id = t.channel_id WHERE t.fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "sessions",
        "登录",
        """
        SELECT id AS n, created_at, expires_at, revoked_at, revoked_why FROM member_session
        WHERE fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "addresses",
        "收货地址",
        """
        SELECT id AS n, sealed AS address_sealed_json, is_default, created_at FROM member_address
        WHERE member_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "statement",
        "积分和成长值明细",
        """
        SELECT e.id AS n, e.occurred_at, e.asset, p.amount, e.kind, e.description, e.platform, e.rule
        FROM (
            SELECT entry_id, sum(amount)::bigint AS amount FROM ledger_posting
            WHERE holder_id = ANY($1::bigint[]) GROUP BY entry_id
        ) p JOIN ledger_entry e ON e.id = p.entry_id
        """,
    ),
    Section(
        "coming",
        "待到账",
        """
        SELECT id AS n, asset, amount - withdrawn AS amount, description, state, due_at, reason, created_at
        FROM pending_award WHERE holder_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "levels",
        "等级变动",
        "SELECT id AS n, name, growth, changed_at FROM member_level WHERE member_id = ANY($1::bigint[])",
    ),
    Section(
        "checkins",
        "签到",
        "SELECT id AS n, day, kind, occurred_at FROM checkin WHERE member_id = ANY($1::bigint[])",
    ),
    Section(
        "redemptions",
        "兑换",
        """
        SELECT r.id AS n, g.name AS gift, r.points, r.state, r.address_sealed AS address_sealed_json,
               r.shipping_company, r.shipping_number,
               r.placed_at, r.shipped_at, r.completed_at, r.cancelled_at, r.cancel_reason
        FROM redemption r JOIN gift g ON g.id = r.gift_id WHERE r.member_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "invitation",
        "邀请码",
        "SELECT id AS n, code, created_at FROM invitation WHERE member_id = ANY($1::bigint[])",
    ),
    Section(
        "referrals",
        "邀请好友",
        """
        SELECT id AS n, came_at, state,
               CASE WHEN invitee_id = ANY($1::bigint[]) THEN '受邀' ELSE '邀请' END AS side
        FROM referral WHERE invitee_id = ANY($1::bigint[]) OR inviter_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "messages",
        "发给您的消息",
        """
        SELECT o.id AS n, a.name AS account, d.purpose, o.body AS body_json, o.state, o.created_at, o.sent_at
        FROM outbox o JOIN outreach_decision d ON d.id = o.decision_id JOIN account a ON a.id = o.account_id
        WHERE o.fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "tags",
        "标签",
        """
        SELECT m.id AS n, t.name AS tag, m.source, m.put_at FROM member_tag m JOIN tag t ON t.id = m.tag_id
        WHERE m.member_id = ANY($1::bigint[])
        """,
    ),
    Section(
        "conversations",
        "会话",
        """
        SELECT id AS n, state, reason, opened_at, closed_at, close_reason, summary, rating FROM conversation
        WHERE fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "conversation_notes",
        "会话记录",
        """
        SELECT id AS n, at, kind, actor, reason, text FROM conversation_change WHERE fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "answers",
        "智能回答",
        """
        SELECT id AS n, outcome, said, ai, answered_at FROM assistant_answer WHERE fan_id = ANY($2::bigint[])
        """,
    ),
    Section(
        "events",
        "行为记录",
        """
        SELECT e.id AS n, e.kind, e.occurred_at, a.name AS account, e.payload AS payload_json
        FROM event e LEFT JOIN account a ON a.id = e.account_id WHERE e.member_id = ANY($1::bigint[])
        """,
    ),
)
_NAMES = [section.name for section in SECTIONS]


async def page(
    sealer: Sealer, member_id: int, *, after: str | None = None, limit: int = LIMIT
) -> tuple[list[Part], str | None]:
    """Return the next rows of what is held about a person, and what `after` is for the page that follows.

    That is None on the last page. A page has at most `limit` rows. Raises Invalid naming `after`.
    """
    at, last = _read(after)
    parts: list[Part] = []
    titles = {kind.name: kind.title for kind in kinds.every()}
    async with db.connection() as raw:
        homes = await homes_of(raw, member_id)
        fans = [row["id"] for row in await raw.fetch("SELECT id FROM fan WHERE member_id = ANY($1::bigint[])", homes)]
        for section in SECTIONS[at:]:
            rows = await raw.fetch(
                f"SELECT s.* FROM ({section.sql}) s WHERE s.n > $3 AND $1::bigint[] IS NOT NULL"  # noqa: S608  # written above
                " AND $2::bigint[] IS NOT NULL ORDER BY s.n LIMIT $4",
                homes,
                fans,
                last,
                limit + 1,
            )
            shown = rows[:limit]
            if shown:
                parts.append(Part(section.name, section.title, [_item(sealer, row, titles) for row in shown]))
            if len(rows) > limit or len(shown) == limit:
                return parts, f"{section.name}.{shown[-1]['n']}"
            limit, last = limit - len(shown), 0
    return parts, None


def _read(after: str | None) -> tuple[int, int]:
    if after is None:
        return 0, 0
    name, _, last = after.partition(".")
    if name not in _NAMES or not (last.isascii() and last.isdigit()) or len(last) > 18:
        raise Invalid("不是上一页给出的位置", field="after")
    return _NAMES.index(name), int(last)


def _item(sealer: Sealer, row: asyncpg.Record, titles: Mapping[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for column, value in row.items():
        name = column
        if column == "n":
            continue
        if name.endswith("_json"):
            name, value = name.removesuffix("_json"), value and json.loads(_opened(sealer, name, value))
        elif name.endswith("_sealed"):
            value = value and _opened(sealer, name, value)
        item[name.removesuffix("_sealed")] = value
    if "payload" in item:
        item["title"] = titles.get(item["kind"], item["kind"])
    return item


def _opened(sealer: Sealer, column: str, value: str) -> str:
    return sealer.open(value) if "_sealed" in column else value
