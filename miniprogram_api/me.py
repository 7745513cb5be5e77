"""The member's own page: points, growth, level; and the task centre."""

from pydantic import BaseModel

from miniprogram_api.surface import SURFACE, Asset, Call
from scrm import db
from scrm.points import levels, summary, tasks


class LevelView(BaseModel):
    """A level 等级."""

    rank: int
    name: str
    threshold: int
    benefits: list[str]


class Me(BaseModel):
    """A member: `points` may be spent, `debt` is owed and repaid by what is earned next.

    `growth_word` is what the brand calls growth.
    """

    points: int
    debt: int
    growth: int
    growth_word: str
    level: LevelView | None
    next_level: LevelView | None
    growth_missing: int


class Task(BaseModel):
    """A line of the task centre. Amounts by asset; `left` null means that nothing limits it today."""

    code: str
    module: str
    name: str
    note: str
    frequency: str
    unit: str
    reward: dict[Asset, int]
    today: dict[Asset, int]
    left: dict[Asset, int | None]
    open: bool


class TaskList(BaseModel):
    """The task centre 任务中心."""

    items: list[Task]


@SURFACE.get("/me")
async def me(call: Call) -> Me:
    """我的积分、成长值和等级."""
    async with db.connection() as raw:
        mine = await summary.of(raw, call.me.member_id, call.account.brand_id, call.now)
    at = mine.standing
    return Me(
        points=mine.points.spendable,
        debt=max(0, mine.points.debt - mine.points.balance),
        growth=mine.growth.balance - mine.growth.debt,
        growth_word=mine.growth_word,
        level=_level(at.level) if at else None,
        next_level=_level(at.next) if at and at.next else None,
        growth_missing=at.missing if at else 0,
    )


@SURFACE.get("/tasks")
async def task_centre(call: Call) -> TaskList:
    """任务中心：今天的进度和还能获得的奖励."""
    async with db.connection() as raw:
        found = await tasks.today(raw, call.account.brand_id, call.me.member_id, call.now)
    return TaskList(
        items=[
            Task.model_validate(
                {
                    "code": task.rule.code,
                    "module": task.rule.module,
                    "name": task.rule.name,
                    "note": task.rule.note,
                    "frequency": task.rule.frequency,
                    "unit": task.rule.unit,
                    "reward": task.rule.worth,
                    "today": task.today,
                    "left": task.left,
                    "open": task.open,
                }
            )
            for task in found
        ]
    )


def _level(level: levels.Level) -> LevelView:
    return LevelView(rank=level.rank, name=level.name, threshold=level.threshold, benefits=list(level.benefits))
