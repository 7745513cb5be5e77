"""The audit trail: who changed what."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from console.surface import SURFACE, BrandPage, Call
from kit.clock import midnight
from scrm.staff import audit
from web.shapes import Day, Moment, RowId, Shown, Text


class AuditQuery(BrandPage):
    """A page of the trail. `action` is a word, or a group such as `staff.`; days are of Asia/Shanghai, inclusive."""

    staff: RowId | None = None
    action: Annotated[str, Field(max_length=48, pattern=r"^[a-z_.]+$")] | None = None
    subject: Annotated[Text, Field(max_length=64)] | None = None
    since: Day | None = None
    until: Day | None = None


class AuditLine(Shown):
    """A line: who did what to what, from where; of a change what differed, personal data masked."""

    id: int
    at: Moment
    staff_id: int | None
    staff_name: str
    address: str
    action: str
    subject: str
    subject_name: str
    brand_id: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditTrail(BaseModel):
    """A page of the trail, newest first; `next` goes into `before`, null at the end."""

    items: list[AuditLine]
    next: int | None


@SURFACE.get("/audit", permission="audit.read")
async def audit_trail(call: Call, query: AuditQuery) -> AuditTrail:
    """操作日志."""
    found = await audit.lines(
        brands=call.within(query.brand),
        staff_id=query.staff,
        action=query.action,
        subject=query.subject,
        since=None if query.since is None else midnight(query.since),
        until=None if query.until is None else midnight(query.until) + timedelta(days=1),
        before=query.before,
        limit=query.limit + 1,
    )
    shown = found[: query.limit]
    return AuditTrail(
        items=[AuditLine.model_validate(one) for one in shown],
        next=shown[-1].id if len(found) > query.limit else None,
    )
