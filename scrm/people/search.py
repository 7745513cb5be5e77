"""Which people a filter means, as one piece of SQL: for lists, counts, exports and batches alike.

A person is a row `m` of `member` that is merged into nobody; what is asked of them is asked of all their homes. Rare
things (a name, a tag) are looked up by their own index, common ones (points, a platform) are asked person by person
while a page is filled. docs/subsystems/members.md has the measured times.
"""

# ruff: noqa: S608  # conditions are written here; what people type only ever is an argument

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kit.seal import Sealer
from scrm.errors import Invalid
from scrm.members.phones import fingerprint
from scrm.members.profiles import name_fingerprint

PLATFORMS = {"wechat": ("service", "subscription"), "miniprogram": ("miniprogram",)}

# All homes of the person `m`.
HOMES = "(SELECT m.id UNION ALL SELECT x.id FROM member x WHERE x.merged_into_id = m.id)"
_ROOT = "coalesce(h.merged_into_id, h.id)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What staff look for (mission A079); None or empty asks nothing.

    `brands` are those the asker may see, None is all. `number` is a user id (fan) or a member number. `nickname` is a
    part of it; `name` and `phone` are whole, since they are sealed. `since` and `until` (not included) are about
    joining. `level` is the id of a row of `level`; `tags` have all to be there; points are spendable ones.
    """

    brands: Sequence[int] | None = None
    number: int | None = None
    nickname: str = ""
    name: str = ""
    phone: str = ""
    since: datetime | None = None
    until: datetime | None = None
    platform: str = ""
    level: int | None = None
    tags: Sequence[int] = ()
    points_min: int | None = None
    points_max: int | None = None
    people: Sequence[int] | None = None

    @property
    def named(self) -> list[str]:
        """The fields that ask something, for the audit trail: what is asked may be personal."""
        fields = ("number", "nickname", "name", "phone", "since", "until", "platform", "level", "tags")
        asked = [one for one in fields if getattr(self, one)]
        return asked + [one for one in ("points_min", "points_max", "people") if getattr(self, one) is not None]


@dataclass(slots=True)
class _Where:
    """Conditions and their arguments, numbered as they come."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def mark(self, value: Any) -> str:
        """Take an argument and return its place."""
        self.values.append(value)
        return f"${len(self.values)}"


def where(sealer: Sealer, wanted: Wanted, now: datetime) -> tuple[str, list[Any]]:
    """Return the condition on `m` and its arguments, from $1 on. Raises Invalid naming the field."""
    found = _Where(["m.merged_into_id IS NULL AND m.erased_at IS NULL"])
    _known_to(found, wanted)
    _identified(found, sealer, wanted)
    _tagged(found, wanted)
    _worth(found, wanted, now)
    return " AND ".join(found.parts), found.values


def _known_to(found: _Where, wanted: Wanted) -> None:
    if wanted.brands is not None or wanted.platform:
        if wanted.platform and wanted.platform not in PLATFORMS:
            raise Invalid("没有这种平台", field="platform")
        brands = found.mark(None if wanted.brands is None else list(wanted.brands))
        kinds = found.mark(list(PLATFORMS[wanted.platform]) if wanted.platform else None)
        found.parts.append(
            f"""EXISTS (
                SELECT FROM {HOMES} h JOIN fan f ON f.member_id = h.id
                WHERE f.account_id = ANY(ARRAY(
                    SELECT id FROM account
                    WHERE ({brands}::bigint[] IS NULL OR brand_id = ANY({brands}))
                      AND ({kinds}::text[] IS NULL OR kind = ANY({kinds}))
                ))
            )"""
        )
    if wanted.since is not None:
        found.parts.append(f"m.created_at >= {found.mark(wanted.since)}")
    if wanted.until is not None:
        found.parts.append(f"m.created_at < {found.mark(wanted.until)}")
    if wanted.people is not None:
        found.parts.append(f"m.id = ANY({found.mark(list(wanted.people))}::bigint[])")


def _identified(found: _Where, sealer: Sealer, wanted: Wanted) -> None:
    if wanted.number is not None:
        number = found.mark(wanted.number)
        found.parts.append(
            f"""m.id IN (
                SELECT {_ROOT} FROM member h WHERE h.id = {number}::bigint
                UNION ALL SELECT {_ROOT} FROM fan f JOIN member h ON h.id = f.member_id WHERE f.id = {number}
            )"""
        )
    if wanted.nickname:
        part = wanted.nickname.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        _said(found, "nickname", f"p.nickname ILIKE {found.mark(f'%{part}%')}")
    if wanted.name:
        _said(found, "name", f"p.name_fingerprint = {found.mark(name_fingerprint(sealer, wanted.name))}")
    if wanted.phone:
        subject = found.mark(fingerprint(sealer, _number(wanted.phone)))
        found.parts.append(
            f"""m.id IN (
                SELECT {_ROOT} FROM identity i JOIN member h ON h.id = i.member_id
                WHERE i.kind = 'phone' AND i.subject = {subject}
            )"""
        )


def _said(found: _Where, name: str, condition: str) -> None:
    # Somewhere it was said, and it is the latest word of all homes (scrm.members.profiles).
    found.parts.append(
        f"""m.id IN (
            SELECT {_ROOT} FROM member_profile p JOIN member h ON h.id = p.member_id
            WHERE {condition} AND NOT EXISTS (
                SELECT FROM member o JOIN member_profile later ON later.member_id = o.id
                WHERE (o.id = {_ROOT} OR o.merged_into_id = {_ROOT}) AND o.id <> p.member_id
                  AND (later.said_at->>'{name}')::timestamptz > (p.said_at->>'{name}')::timestamptz
            )
        )"""
    )


def _number(phone: str) -> str:
    digits = phone.replace(" ", "").replace("-", "")
    return digits if digits.startswith("+") else f"+86{digits}"


def _tagged(found: _Where, wanted: Wanted) -> None:
    brands = found.mark(None if wanted.brands is None else list(wanted.brands)) if wanted.tags else ""
    for tag in map(found.mark, wanted.tags):
        # The id by itself, so that the planner knows how rare the tag is.
        found.parts.append(
            f"""EXISTS (
                SELECT FROM tag WHERE id = {tag}::bigint AND ({brands}::bigint[] IS NULL OR brand_id = ANY({brands}))
            ) AND m.id IN (
                SELECT {_ROOT} FROM member_tag mt JOIN member h ON h.id = mt.member_id WHERE mt.tag_id = {tag}
            )"""
        )


def _worth(found: _Where, wanted: Wanted, now: datetime) -> None:
    if wanted.points_min is not None or wanted.points_max is not None:
        moment = found.mark(now)
        # What expired but was not swept yet is not counted.
        points = f"""(
            SELECT greatest(0, coalesce(sum(b.balance - b.debt - coalesce((
                SELECT sum(l.remaining) FROM ledger_lot l
                WHERE l.holder_id = b.holder_id AND l.asset = 'points' AND l.remaining > 0 AND l.expires_at <= {moment}
            ), 0)), 0)) FROM {HOMES} h JOIN ledger_balance b ON b.holder_id = h.id AND b.asset = 'points'
        )"""
        low, high = wanted.points_min or 0, wanted.points_max
        if high is None:
            found.parts.append(f"{points} >= {found.mark(low)}::bigint")
        else:
            found.parts.append(f"{points} BETWEEN {found.mark(low)}::bigint AND {found.mark(high)}::bigint")
    if wanted.level is not None:
        level = found.mark(wanted.level)
        brands = found.mark(None if wanted.brands is None else list(wanted.brands))
        # As scrm.points.levels.standing decides: the highest whose threshold is reached, the lowest for anybody else.
        found.parts.append(
            f"""EXISTS (
                SELECT FROM level l
                CROSS JOIN LATERAL (
                    SELECT coalesce(sum(b.balance - b.debt), 0) AS growth
                    FROM {HOMES} h JOIN ledger_balance b ON b.holder_id = h.id AND b.asset = 'growth'
                ) g
                WHERE l.id = {level}::bigint AND ({brands}::bigint[] IS NULL OR l.brand_id = ANY({brands}))
                  AND (l.rank = 0 OR g.growth >= l.threshold)
                  AND NOT EXISTS (
                      SELECT FROM level n
                      WHERE n.brand_id = l.brand_id AND n.threshold > l.threshold AND n.threshold <= g.growth
                  )
                  AND EXISTS (
                      SELECT FROM {HOMES} h JOIN fan f ON f.member_id = h.id JOIN account a ON a.id = f.account_id
                      WHERE a.brand_id = l.brand_id
                  )
            )"""
        )
