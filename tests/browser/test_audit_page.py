"""The audit page in a real browser: what was done reads as sentences, never as a machine's words."""

from typing import Any

import pytest
from playwright.async_api import expect

from scrm.staff import audit
from scrm.staff.audit import COMMAND_LINE, Entry
from tests.browser.test_console import Desk, desk  # noqa: F401  # the fixture

pytestmark = pytest.mark.browser

Values = dict[str, Any] | None
# Action, before, after, and the sentences that the page says.
LINES: list[tuple[str, Values, Values, list[str]]] = [
    ("session.refused", None, None, ["登录名或密码不对"]),
    ("session.revoked", None, {"session": 7}, ["退出了一台设备"]),
    ("session.revoked", None, {"sessions": 3}, ["退出了 3 台设备"]),
    (
        "staff.added",
        None,
        {"login": "li.na", "brands": "全部品牌", "skills": ["售后", "会员"], "capacity": 5, "status": "active"},
        ["登录名为“li.na”", "负责的品牌为“全部品牌”", "技能为“售后”、“会员”", "同时接待为 5", "状态为在职"],
    ),
    (
        "staff.changed",
        {"role": "客服", "skills": ["售后"], "status": "active"},
        {"role": "运营", "skills": ["会员"], "status": "disabled"},
        ["角色由“客服”改为“运营”", "技能：增加 “会员”，去掉 “售后”", "状态由在职改为已停用"],
    ),
    (
        "role.changed",
        {"permissions": ["audit.read"]},
        {"permissions": ["audit.read", "members.read"]},
        ["权限：增加 查看会员"],
    ),
    ("knowledge.added", None, {"kind": "qa"}, ["类型为问答"]),
    ("knowledge.changed", {"version": 2}, {"version": 3}, ["在第 2 版之后写了第 3 版"]),
    (
        "knowledge.published",
        {"status": "draft", "published": None},
        {"status": "published", "published": 3},
        ["状态由草稿改为已发布", "粉丝看到的版本由空改为第 3 版"],
    ),
    (
        "knowledge.imported",
        None,
        {"created": 3, "updated": 1, "rejected": 0, "publish": False},
        ["新增 3 条，更新 1 条，没有导入 0 条", "导入为草稿，还没有发布"],
    ),
    (
        "rule.changed",
        {"reply": {"type": "text", "content": "您好"}, "enabled": False, "match": "exact"},
        {"reply": {"type": "handoff", "skill": ""}, "enabled": True, "match": "contains"},
        ["回复由“您好”改为“转给客服同事”", "启用", "匹配方式由完全相同改为包含"],
    ),
    (
        "welcome.set",
        None,
        {"audience": "new", "channel": "全部渠道", "reply": {"type": "text", "content": "欢迎"}},
        ["对象为新粉丝", "渠道为“全部渠道”", "回复为“欢迎”"],
    ),
    ("desk.numbers", {"idle_minutes": 30}, {"idle_minutes": 60}, ["自动结束（分钟）由 30 改为 60"]),
    ("desk.texts", {}, {"queue": "请稍候"}, ["话术“排队”为“请稍候”"]),
    ("desk.served_by", {"wechat": False}, {"wechat": True}, ["改由微信客服接待"]),
    ("desk.skill_removed", {"skills": ["售后"]}, None, ["删除了队列“售后”，排队中的会话改由任何客服接待"]),
    (
        "desk.day",
        None,
        {"day": "2026-10-01", "kind": "restday", "note": ""},
        ["日期为“2026-10-01”", "类型为休息", "备注为空"],
    ),
    (
        "members.exported",
        None,
        {"filter": ["phone", "points_min", "points_max"], "clear": False},
        ["按手机号、积分筛选", "文件里的姓名和手机号已打码"],
    ),
    ("members.exported", None, {"filter": [], "clear": True}, ["没有筛选，全部会员", "文件里有完整的姓名和手机号"]),
    ("tag.put", None, {"tag": "老客"}, ["打上标签“老客”"]),
    (
        "member.split",
        None,
        {"merge": 1, "evidence": "unionid", "members": [3, 9]},
        ["撤回合并的证据：相同的微信 UnionID", "拆分为会员 3 和会员 9"],
    ),
    (
        "account.changed",
        {"mode": "safe"},
        {"mode": "plain", "aes_key": None},
        ["加密模式由安全模式改为明文模式", "去掉了 EncodingAESKey"],
    ),
    ("account.changed", {}, {"aes_key": "any"}, ["换了新的 EncodingAESKey"]),
    (
        "points_rule.changed",
        {
            "version": 1,
            "settings": {"fen_per_unit": 1000, "days": 7},
            "effective_from": "2026-03-09 04:00:00+00:00",
            "effective_until": None,
        },
        {
            "version": 2,
            "settings": {"fen_per_unit": 2050, "days": 7},
            "effective_from": "2026-03-12 04:00:00+00:00",
            "effective_until": "2026-03-31 16:00:00+00:00",
        },
        [
            "版本由第 1 版改为第 2 版",
            "每满（元）由 10 改为 20.5",
            "生效时间由 2026/03/09 12:00:00 改为 2026/03/12 12:00:00",
            "结束时间由空改为 2026/04/01 00:00:00",
        ],
    ),
    ("points_rule.added", None, {"points": 3, "settings": {}}, ["积分为 3"]),
    ("points_rule.word", {"growth_word": "成长值"}, {"growth_word": "经验"}, ["“成长值”改称“经验”"]),
    (
        "points_rule.added",
        None,
        {"settings": {"points_days": 5, "points_calendar": "natural", "growth_days": 3, "growth_calendar": "working"}},
        ["积分到账天数为 5", "积分到账日为自然日", "成长值到账天数为 3", "成长值到账日为工作日"],
    ),
    ("points.adjusted", None, {"asset": "points", "amount": -30, "reason": "补扣"}, ["积分 −30", "原因：补扣"]),
    ("points.given", None, {"amount": 50, "why": "久等了"}, ["赠送 50 积分", "原因：久等了"]),
    (
        "tag.batch_begun",
        None,
        {"tag": "老客", "action": "take", "filter": ["people"], "total": 2},
        ["给 2 位会员移除“老客”", "按手工选择筛选"],
    ),
    ("tag.batch_undone", None, {"changed": 2}, ["2 位会员恢复原样"]),
    ("conversation.transferred", None, {"to_staff": "王强", "to_skill": None}, ["转给同事 王强"]),
    ("conversation.transferred", None, {"to_staff": None, "to_skill": "售后服务"}, ["转到“售后服务”队列"]),
    ("conversation.transferred", None, {"to_staff_id": None, "to_skill": ""}, ["转到不限技能的队列"]),
    ("conversation.closed", None, {"summary": False}, ["没有写小结"]),
    ("conversation.closed", None, {"summary": True}, ["写了小结"]),
]


async def test_what_was_done_reads_as_sentences(desk: Desk) -> None:  # noqa: F811
    await desk.person("chen.qing", "admin")
    page = await desk.page()
    await page.goto("/console/audit")
    await desk.sign_in(page, "chen.qing")
    await expect(page.get_by_role("row").filter(has_text="登录").first).to_be_visible()
    for action, before, after, _ in LINES:
        entry = Entry(action, "test:1", "某人", None, before=before, after=after)
        await audit.write(COMMAND_LINE, entry, desk.clock.now())
    await page.reload()
    rows = page.locator("tbody tr").filter(has_text="某人")
    await expect(rows).to_have_count(len(LINES))
    shown = [await rows.nth(n).locator(".change").all_inner_texts() for n in range(len(LINES) - 1, -1, -1)]
    # What is told of a state is kept in no order.
    assert [sorted(said) for said in shown] == [sorted(said) for *_, said in LINES]
