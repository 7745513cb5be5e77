"""Keyword rules of an account, and trying what they answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from console.surface import SURFACE, Call
from scrm.errors import Conflict, Invalid, NotFound
from scrm.replies import content, editing, queries
from scrm.replies.queries import RuleView
from scrm.replies.rules import PATTERN_LIMIT, PRIORITIES
from scrm.staff import audit
from scrm.staff.audit import Entry
from web.shapes import Moment, RowId, Taken, Text

EDIT = "rules.edit"

Match = Literal["exact", "contains", "regex", "click"]
Reply = Annotated[
    content.Text | content.Image | content.News | content.MiniProgramCard | content.Handoff,
    Field(discriminator="type"),
]


class AccountQuery(Taken):
    """One account."""

    account: RowId


class BrandsQuery(Taken):
    """One brand, or all that the caller works for."""

    brand: RowId | None = None


class RuleAccount(BaseModel):
    """An account that may have automatic replies."""

    id: int
    brand_id: int
    kind: Literal["service", "subscription", "miniprogram"]
    name: str
    enabled: bool


class RuleAccounts(BaseModel):
    """The accounts of the caller's brands."""

    items: list[RuleAccount]


class RuleItem(BaseModel):
    """A rule. Lower `priority` is tried first, of equals the older."""

    id: int
    match: Match
    pattern: str
    reply: Reply
    priority: int
    enabled: bool
    version: int
    created_at: Moment


class RuleList(BaseModel):
    """All rules of an account, the disabled too, in the order in which they are tried."""

    items: list[RuleItem]


class RuleInput(Taken):
    """A rule as it is to be."""

    match: Match
    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_LIMIT)]
    reply: Reply
    priority: Annotated[int, Field(ge=0, lt=len(PRIORITIES))] = 100
    enabled: bool = True


class ChangedRule(RuleInput):
    """A rule as it is to be; `expected` is the version that it was made from."""

    expected: Annotated[int, Field(ge=1, le=2**31 - 1)]


class NewRule(RuleInput):
    """A new rule of an account."""

    account_id: RowId


class RuleMade(BaseModel):
    """The new rule."""

    id: int


class TryQuery(AccountQuery):
    """What somebody writes, or the key of a menu that they press."""

    text: Annotated[Text, Field(min_length=1, max_length=2000)]
    click: bool = False


class Tried(BaseModel):
    """The rule that answers; null: none, and the next in line does. `hidden`: others that match, but come later."""

    rule: RuleItem | None
    hidden: list[RuleItem]


@SURFACE.get("/rules/accounts", permission=EDIT, errors=[NotFound])
async def rule_accounts(call: Call, query: BrandsQuery) -> RuleAccounts:
    """可以设置自动回复的账号."""
    found = await queries.accounts(call.within(query.brand))
    return RuleAccounts(
        items=[
            RuleAccount.model_validate(
                {"id": one.id, "brand_id": one.brand_id, "kind": one.kind, "name": one.name, "enabled": one.enabled}
            )
            for one in found
        ]
    )


@SURFACE.get("/rules", permission=EDIT, errors=[NotFound])
async def rules(call: Call, query: AccountQuery) -> RuleList:
    """一个账号的自动回复规则."""
    await brand_of(call, query.account)
    return RuleList(items=[_item(one) for one in await queries.rules(query.account)])


@SURFACE.post("/rules", permission=EDIT, status=201, errors=[NotFound, Invalid, Conflict])
async def add_rule(call: Call, body: NewRule) -> RuleMade:
    """新建规则.

    409 `rule_exists`: the account has a rule of the same match and pattern.
    """
    brand_id = await brand_of(call, body.account_id)

    async def change() -> int:
        return await editing.add_rule(
            account_id=body.account_id,
            match=body.match,
            pattern=body.pattern,
            reply=body.reply.model_dump(),
            priority=body.priority,
            enabled=body.enabled,
            now=call.now,
        )

    def line(made: int) -> Entry:
        return Entry("rule.added", f"rule:{made}", body.pattern, brand_id, after=_told(body))

    return RuleMade(id=await audit.along(call.actor, change, line, call.now))


@SURFACE.put("/rules/{rule_id}", permission=EDIT, status=204, errors=[NotFound, Invalid, Conflict])
async def change_rule(call: Call, rule_id: int, body: ChangedRule) -> None:
    """修改规则.

    409 `stale_version`: somebody has changed it meanwhile; `rule_exists`: another has that match and pattern.
    """
    before = await _rule(call, rule_id)

    async def change() -> RuleView:
        await editing.change_rule(
            rule_id=rule_id,
            match=body.match,
            pattern=body.pattern,
            reply=body.reply.model_dump(),
            priority=body.priority,
            enabled=body.enabled,
            expected=body.expected,
        )
        return await _rule(call, rule_id)

    def line(after: RuleView) -> Entry | None:
        if after == before:
            return None
        return Entry("rule.changed", f"rule:{rule_id}", after.pattern, after.brand_id, _told(before), _told(after))

    await audit.along(call.actor, change, line, call.now)


@SURFACE.delete("/rules/{rule_id}", permission=EDIT, status=204, errors=[NotFound])
async def remove_rule(call: Call, rule_id: int) -> None:
    """删除规则."""
    before = await _rule(call, rule_id)

    async def change() -> None:
        await editing.remove_rule(rule_id=rule_id)

    def line(_: None) -> Entry:
        return Entry("rule.removed", f"rule:{rule_id}", before.pattern, before.brand_id, before=_told(before))

    await audit.along(call.actor, change, line, call.now)


@SURFACE.ask("/rules/try", permission=EDIT, errors=[NotFound])
async def try_rules(call: Call, body: TryQuery) -> Tried:
    """试一试：粉丝这样说时哪条规则会回复."""
    await brand_of(call, body.account)
    own = [one for one in await queries.rules(body.account) if one.enabled]
    first = _first(own, body)
    if first is None:
        return Tried(rule=None, hidden=[])
    later = own[own.index(first) + 1 :]
    hidden = [one for one in later if _first([one], body) is not None]
    return Tried(rule=_item(first), hidden=[_item(one) for one in hidden[:20]])


def _first(own: list[RuleView], query: TryQuery) -> RuleView | None:
    book = queries.book_of(own)
    found = book.for_click(query.text) if query.click else book.for_text(query.text)
    return next((one for one in own if found is not None and one.id == found.id), None)


async def brand_of(call: Call, account_id: int) -> int:
    """Return the brand of an account that the caller works for. Raises NotFound for any other."""
    brand_id = await queries.brand_of_account(account_id)
    if brand_id is None:
        raise NotFound("没有这个账号")
    return call.brand(brand_id)


async def _rule(call: Call, rule_id: int) -> RuleView:
    found = await queries.rule(rule_id)
    if found is None:
        raise NotFound("没有这条规则")
    call.brand(found.brand_id)
    return found


def _told(rule: RuleInput | RuleView) -> dict[str, object]:
    """Return a rule as the trail tells it."""
    reply = rule.reply if isinstance(rule, RuleView) else rule.reply.model_dump()
    return {
        "match": rule.match,
        "pattern": rule.pattern,
        "reply": reply,
        "priority": rule.priority,
        "enabled": rule.enabled,
    }


def _item(view: RuleView) -> RuleItem:
    return RuleItem.model_validate(
        {
            "id": view.id,
            "match": view.match,
            "pattern": view.pattern,
            "reply": view.reply,
            "priority": view.priority,
            "enabled": view.enabled,
            "version": view.version,
            "created_at": view.created_at,
        }
    )
