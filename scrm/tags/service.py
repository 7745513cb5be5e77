"""Commands of tags: a brand's words, putting one on a member, taking it off."""

from datetime import datetime
from typing import Literal

from kit.ids import key_of
from scrm.db import Connection, Transaction, command
from scrm.errors import Conflict, Invalid, NotFound
from scrm.events import kinds
from scrm.events import service as events
from scrm.members.person import hold, refuse_erased

PUT = kinds.register("tag.put", "打上标签")
TAKEN = kinds.register("tag.taken", "移除标签")

Source = Literal["staff", "import", "rule"]
LONGEST = 32  # characters of a tag's name and of its category


@command
async def define(tx: Transaction, *, brand_id: int, name: str, category: str = "", now: datetime) -> int:
    """Return the id of a brand's tag of that name, made or taken out of the archive as needed.

    An empty `category` leaves the one it has. Raises Invalid naming the field, NotFound for an unknown brand.
    """
    name, category = _word(name, "name", 1), _word(category, "category", 0)
    if not await tx.connection.fetchval("SELECT EXISTS (SELECT FROM brand WHERE id = $1)", brand_id):
        raise NotFound("没有这个品牌", field="brand_id")
    made: int = await tx.connection.fetchval(
        """
        INSERT INTO tag (brand_id, name, category, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (brand_id, name) DO UPDATE
        SET archived_at = NULL, category = coalesce(nullif(excluded.category, ''), tag.category)
        RETURNING id
        """,
        brand_id,
        name,
        category,
        now,
    )
    return made


@command
async def rename(tx: Transaction, *, brand_id: int, tag_id: int, name: str, category: str) -> None:
    """Give a tag another name and category. Raises NotFound, Conflict when the brand has that name already."""
    name, category = _word(name, "name", 1), _word(category, "category", 0)
    raw = tx.connection
    # Two renames of a brand run one after the other, so the loser is told which name is taken.
    await raw.execute("SELECT FROM brand WHERE id = $1 FOR NO KEY UPDATE", brand_id)
    if await raw.fetchval("SELECT id FROM tag WHERE brand_id = $1 AND name = $2 AND id <> $3", brand_id, name, tag_id):
        raise Conflict("已有同名标签", code="tag_name_taken", field="name")
    done = await raw.fetchval(
        "UPDATE tag SET name = $3, category = $4 WHERE id = $1 AND brand_id = $2 RETURNING id",
        tag_id,
        brand_id,
        name,
        category,
    )
    if done is None:
        raise NotFound("没有这个标签", field="tag_id")


@command
async def archive(tx: Transaction, *, brand_id: int, tag_id: int, now: datetime) -> bool:
    """Offer a tag no more; False when that was so already, and nothing changes then. Raises NotFound."""
    raw = tx.connection
    row = await raw.fetchrow(
        "SELECT archived_at FROM tag WHERE id = $1 AND brand_id = $2 FOR NO KEY UPDATE", tag_id, brand_id
    )
    if row is None:
        raise NotFound("没有这个标签", field="tag_id")
    if row["archived_at"] is not None:
        return False
    await raw.execute("UPDATE tag SET archived_at = $2 WHERE id = $1", tag_id, now)
    return True


@command
async def put(
    tx: Transaction, *, brand_id: int, tag_id: int, member_id: int, source: Source, staff_id: int | None, now: datetime
) -> bool:
    """Put a tag on a member; False when the person has it already.

    Raises NotFound for a tag or a member that is not the brand's, Conflict `tag_archived`, and `account_deleted` for
    somebody who asked to be forgotten.
    """
    raw = tx.connection
    homes = await hold(raw, member_id)
    await refuse_erased(raw, member_id)
    await _of_brand(raw, homes, brand_id)
    tag = await raw.fetchrow("SELECT name, archived_at FROM tag WHERE id = $1 AND brand_id = $2", tag_id, brand_id)
    if tag is None:
        raise NotFound("没有这个标签", field="tag_id")
    if tag["archived_at"] is not None:
        raise Conflict("标签已停用", code="tag_archived", field="tag_id")
    if await raw.fetchval(
        "SELECT EXISTS (SELECT FROM member_tag WHERE tag_id = $1 AND member_id = ANY($2::bigint[]))", tag_id, homes
    ):
        return False
    row = await raw.fetchval(
        "INSERT INTO member_tag (tag_id, member_id, source, staff_id, put_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        tag_id,
        member_id,
        source,
        staff_id,
        now,
    )
    await _say(raw, PUT, row, member_id, {"tag": tag_id, "name": tag["name"], "source": source, "staff": staff_id}, now)
    return True


@command
async def take(
    tx: Transaction, *, brand_id: int, tag_id: int, member_id: int, staff_id: int | None, now: datetime
) -> bool:
    """Take a tag off a person, from whichever home has it; False when it is not there. Raises NotFound."""
    raw = tx.connection
    homes = await hold(raw, member_id)
    await _of_brand(raw, homes, brand_id)
    name = await raw.fetchval("SELECT name FROM tag WHERE id = $1 AND brand_id = $2", tag_id, brand_id)
    if name is None:
        raise NotFound("没有这个标签", field="tag_id")
    rows = await raw.fetch(
        "DELETE FROM member_tag WHERE tag_id = $1 AND member_id = ANY($2::bigint[]) RETURNING id, member_id",
        tag_id,
        homes,
    )
    for row in rows:
        payload = {"tag": tag_id, "name": name, "staff": staff_id}
        await _say(raw, TAKEN, row["id"], row["member_id"], payload, now)
    return bool(rows)


def _word(given: str, field: str, least: int) -> str:
    word = " ".join(given.split())
    if not least <= len(word) <= LONGEST:
        raise Invalid(f"长度为 {least} 到 {LONGEST} 个字符", field=field)
    return word


async def _of_brand(raw: Connection, homes: list[int], brand_id: int) -> None:
    if not await raw.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM fan f JOIN account a ON a.id = f.account_id
            WHERE f.member_id = ANY($1::bigint[]) AND a.brand_id = $2
        )
        """,
        homes,
        brand_id,
    ):
        raise NotFound("没有这位会员", field="member_id")


async def _say(
    raw: Connection, kind: kinds.Kind, row: int, member_id: int, payload: dict[str, object], now: datetime
) -> None:
    # A row's id is never used again, so each putting and each taking has a key of its own.
    await events.add(raw, kinds.Appended(key_of(kind.name, row), kind.name, now, member_id, None, None, payload, now))
