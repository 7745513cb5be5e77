"""What staff may do: the permissions that routes name, and the built-in roles.

A permission is a stable word on the line of a route. Adding one is a line in PERMISSIONS, and in the built-in roles
that should have it; custom roles choose from the same list.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission: its word, and how it reads where roles are edited."""

    code: str
    title: str
    group: str


SUPERVISE = "inbox.supervise"
PERMISSIONS = (
    Permission("inbox.answer", "接待会话", "客服"),
    Permission("inbox.gift", "向粉丝赠送积分", "客服"),
    Permission(SUPERVISE, "查看全部会话、转接与实时看板", "客服"),
    Permission("service.manage", "排班与客服设置", "客服"),
    Permission("knowledge.read", "查看知识库", "客服"),
    Permission("knowledge.edit", "编辑知识库", "客服"),
    Permission("assistant.manage", "设置智能客服与预算", "客服"),
    Permission("members.read", "查看会员", "会员"),
    Permission("members.phone", "查看完整姓名与手机号", "会员"),
    Permission("members.edit", "给会员打标签、拆分合并", "会员"),
    Permission("members.export", "导出会员", "会员"),
    Permission("points.adjust", "人工调整积分", "会员"),
    Permission("points.rules", "设置积分规则", "运营"),
    Permission("mall.manage", "管理积分商城与发货", "运营"),
    Permission("mall.parcels", "查看完整收货地址", "运营"),
    Permission("rules.edit", "编辑自动回复与规则", "运营"),
    Permission("reports.read", "查看报表", "运营"),
    Permission("accounts.read", "查看公众号与小程序", "设置"),
    Permission("staff.manage", "管理员工与角色", "设置"),
    Permission("audit.read", "查看操作日志", "设置"),
)
KNOWN = frozenset(one.code for one in PERMISSIONS)


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A role that every installation has; the migration writes its row, these are its permissions."""

    code: str
    name: str
    permissions: frozenset[str]


_AGENT = {"inbox.answer", "inbox.gift", "knowledge.read", "members.read"}
BUILT_IN = {
    one.code: one
    for one in (
        BuiltIn("admin", "管理员", KNOWN),
        BuiltIn(
            "supervisor",
            "客服主管",
            frozenset(
                _AGENT
                | {"inbox.supervise", "service.manage", "knowledge.edit", "assistant.manage"}
                | {"members.phone", "members.edit", "points.adjust", "rules.edit", "reports.read"}
            ),
        ),
        BuiltIn("agent", "客服", frozenset(_AGENT)),
        BuiltIn(
            "operator",
            "运营",
            frozenset(
                {"knowledge.read", "knowledge.edit", "members.read", "members.edit", "members.export"}
                | {"points.rules", "mall.manage", "mall.parcels", "rules.edit", "reports.read", "accounts.read"}
            ),
        ),
        BuiltIn("viewer", "只读", frozenset({"knowledge.read", "members.read", "reports.read", "accounts.read"})),
    )
}


def granted(code: str | None, chosen: Iterable[str]) -> frozenset[str]:
    """Return what a role allows: a built-in one by its code, a custom one what was chosen and still exists."""
    return BUILT_IN[code].permissions if code is not None else KNOWN & set(chosen)
