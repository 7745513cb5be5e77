"""The export of the members list: the same filter, as a file that is written while it is sent."""

import json
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from console.members import CLEAR, MemberFilter, MemberItem, item
from console.surface import SURFACE, Call
from kit import csv_text
from kit.clock import SHANGHAI
from kit.seal import UnsealError
from scrm.accounts.queries import growth_word_of
from scrm.errors import Invalid
from scrm.people import listing
from scrm.people.search import Wanted
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.downloads import Download
from web.shapes import Shown, Taken

EXPORT = "members.export"
# From the click to the beginning of the download; it may then take as long as it takes.
TICKET_LASTS = timedelta(minutes=5)


class ExportTicket(Shown):
    """What the download is begun with, by the same person within five minutes; the filter is sealed in it."""

    ticket: str


class TicketQuery(Taken):
    """A ticket of `/members/exports`."""

    ticket: Annotated[str, Field(max_length=4000, pattern=r"^[A-Za-z0-9_=-]+$")]


@SURFACE.ask("/members/exports", permission=EXPORT)
async def prepare_member_export(call: Call, body: MemberFilter) -> ExportTicket:
    """准备导出会员.

    A browser saves a file only from an address, and addresses end up in logs: so the filter goes here, and the
    address of the file has it sealed.
    """
    call.within(body.brand)
    said = {
        "for": EXPORT,
        "staff": call.me.staff_id,
        "until": (call.now + TICKET_LASTS).isoformat(),
        "filter": body.model_dump(mode="json", exclude_defaults=True),
    }
    return ExportTicket(ticket=call.parts.sealer.seal(json.dumps(said, ensure_ascii=False)))


@SURFACE.download("/members/export", permission=EXPORT)
async def member_export(call: Call, query: TicketQuery) -> Download:
    """导出会员（CSV）."""
    asked = _opened(call, query.ticket)
    wanted = asked.wanted(call.within(asked.brand))
    clear = call.me.may(CLEAR)
    entry = Entry(
        "members.exported", "members", "会员列表", asked.brand, after={"filter": wanted.named, "clear": clear}
    )
    await audit.write(call.actor, entry, call.now)
    day = call.now.astimezone(SHANGHAI)
    word = await growth_word_of(call.within(asked.brand))
    return Download(f"会员-{day:%Y%m%d-%H%M}.csv", "text/csv; charset=utf-8", _csv(call, wanted, word))


HEADINGS = (
    "用户ID", "会员号", "昵称", "姓名", "手机号", "{growth}", "等级", "积分", "地域", "平台", "标签",
    "加入时间", "最近活跃",
)  # fmt: skip
PLATFORMS = {"service": "公众号", "subscription": "公众号", "miniprogram": "小程序"}


async def _csv(call: Call, wanted: Wanted, word: str) -> AsyncGenerator[bytes, None]:
    yield csv_text.MARK.encode() + csv_text.lines([[heading.format(growth=word) for heading in HEADINGS]])
    async for page in listing.every(call.parts.sealer, wanted, now=call.now):
        yield csv_text.lines(_cells(item(call, one)) for one in page)


def _cells(one: MemberItem) -> list[object]:
    platforms = dict.fromkeys(PLATFORMS[fan.kind] for fan in one.fans)
    return [
        "、".join(str(fan.id) for fan in one.fans),
        one.id,
        one.nickname,
        one.name,
        # Of a number in clear the country code of China is left out, or the plus would make it a formula.
        None if one.phone is None else one.phone.removeprefix("+86"),
        one.growth,
        "、".join(level.name for level in one.levels),
        one.points,
        one.location,
        "、".join(platforms),
        "、".join(tag.name for tag in one.tags),
        _local(one.joined_at),
        None if one.seen_at is None else _local(one.seen_at),
    ]


def _opened(call: Call, ticket: str) -> MemberFilter:
    """Return the filter of a ticket. Raises Invalid for one that is old, another's or no ticket at all."""
    try:
        said = json.loads(call.parts.sealer.open(ticket))
        fits = said["for"] == EXPORT and said["staff"] == call.me.staff_id
        if fits and call.now < datetime.fromisoformat(said["until"]):
            return MemberFilter.model_validate(said["filter"])
    except (UnsealError, ValueError, KeyError, TypeError):
        pass
    raise Invalid("下载链接已失效，请重新导出", field="ticket")


def _local(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
