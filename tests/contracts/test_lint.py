"""Each lint objects to what it should and to nothing else; then all of them read the whole tree."""

from typing import NamedTuple

import pytest

from tests.contracts.lint import Rule, Source, database, lint, running, text
from tests.contracts.repository import ROOT, repository_files

RULES: list[Rule] = [*database.RULES, *running.RULES, *text.RULES]


class Case(NamedTuple):
    """A path with a line that is refused there and one that is fine."""

    rule: str
    path: str
    bad: str
    good: str


CASES = [
    Case("save-fields", "scrm/members/service.py", "await fan.save()", 'await fan.save(update_fields=["nickname"])'),
    Case("save-fields", "scrm/members/service.py", "await fan.save(using_db=tx)", "await fan.save(**chosen)"),
    Case("save-fields", "gateways/poster.py", "fan.save()", 'picture.save(buffer, "PNG")'),
    Case("save-fields", "gateways/poster.py", "await fan.save(tx)", 'picture.save(buffer, format="PNG")'),
    Case("save-fields", "scrm/a/service.py", "await fan.save(None)", 'await fan.save(tx, update_fields=["nickname"])'),
    Case("save-fields", "scrm/a/service.py", "await fan.save(tx, ['a'])", "await fan.save(update_fields=chosen)"),
    Case("save-fields", "scrm/a/service.py", "await fan.save(update_fields=None)", "save(fan)"),
    Case("upsert", "scrm/a/service.py", "await Menu.update_or_create(account_id=1)", "await Menu.create(account_id=1)"),
    Case("upsert", "scrm/a/service.py", "await Menu.all().get_or_create(a=1)", "await Menu.get_or_none(a=1)"),
    Case("db-index", "scrm/members/models.py", "a = fields.CharField(9, db_index=True)", "a = fields.CharField(9)"),
    Case("db-index", "scrm/members/models.py", "a = CharField(9, index=True)", "a = Index(fields=['a'], name='x')"),
    Case("enum-field", "scrm/a/models.py", "a = fields.CharEnumField(State)", "a = fields.CharField(9)"),
    Case("enum-field", "scrm/a/models.py", "a = fields.IntEnumField(State)", "a = fields.IntField()"),
    Case("python-default", "scrm/a/models.py", "a = fields.IntField(default=0)", "a = fields.IntField(db_default=0)"),
    Case("python-default", "scrm/a/models.py", "a = fields.JSONField[dict](default=dict)", "a: int = Field(default=0)"),
    Case("lock-kind", "scrm/a/service.py", "q.select_for_update(skip_locked=True)", "q.select_for_update(no_key=True)"),
    Case("own-transaction", "scrm/a/service.py", "from tortoise.transactions import atomic", "from scrm.db import x"),
    Case("own-transaction", "worker/a.py", "import tortoise.transactions", "import tortoise.fields"),
    Case("own-transaction", "worker/a.py", "c = connections.get('default')", "c = settings.get('default')"),
    Case("own-transaction", "worker/a.py", "c = asyncpg.connect(url)", "raise asyncpg.DeadlockDetectedError"),
    Case("own-transaction", "worker/a.py", "p = asyncpg.create_pool(url)", "p = redis.create_pool(url)"),
    Case("own-transaction", "worker/a.py", "t = raw.transaction()", "t = db.transaction()"),
    Case("wall-clock", "scrm/a/service.py", "now = datetime.now(UTC)", "now = clock.now()"),
    Case("wall-clock", "scrm/a/service.py", "now = datetime.datetime.utcnow()", "now = datetime.fromtimestamp(1, UTC)"),
    Case("wall-clock", "bot/a.py", "now = time.time()", "now = time.monotonic()"),
    Case("wall-clock", "bot/a.py", "from time import time", "from time import monotonic"),
    Case("wall-clock", "bot/a.py", "field(default_factory=datetime.today)", "field(default_factory=dict)"),
    Case("stray-task", "bot/a.py", "asyncio.create_task(work())", "tasks.spawn(work(), 'name')"),
    Case("stray-task", "bot/a.py", "asyncio.get_running_loop().create_task(work())", "group.create_task(work())"),
    Case("stray-task", "bot/a.py", "self._loop.create_task(work())", "self._group.create_task(work())"),
    Case("stray-task", "bot/a.py", "from asyncio import ensure_future", "from asyncio import gather"),
    Case("clear-quota", "gateways/a.py", "await api.clear_quota()", "'refused: clear_quota'"),
    Case("clear-quota", "gateways/a.py", "post('/cgi-bin/clear_quota')", "post('/cgi-bin/openapi/quota/get')"),
    Case("too-long", "bot/a.py", "a = 1\n" * 501, "a = 1\n" * 500),
    Case("machine-trace", "README.md", "run /{}/bin/x".format("root"), "run ./bin/x, or https://example.com/root/x"),
    Case("machine-trace", "a.lock", "https://registry.{}/vue".format("npmjs.org"), "sha512-/root0/work0/tmp0/"),
]  # fmt: skip
EXEMPT = [
    ("own-transaction", "scrm/db.py"),
    ("wall-clock", "kit/clock.py"),
    ("wall-clock", "tests/db/test_x.py"),
    ("stray-task", "kit/tasks.py"),
    ("clear-quota", "simulator/api/quota.py"),
    ("enum-field", "web/forms.py"),
]


def rule_named(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)


def test_names_and_skip_codes_are_unique_and_each_rule_has_a_case() -> None:
    assert len({rule.name for rule in RULES}) == len({rule.skip_code for rule in RULES}) == len(RULES)
    assert {case.rule for case in CASES} == {rule.name for rule in RULES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.bad.splitlines()[0]}")
def test_a_rule_objects_to_the_bad_line_only(case: Case) -> None:
    rule = rule_named(case.rule)
    line = 501 if case.rule == "too-long" else 1
    assert lint(Source(case.path, case.bad), [rule]) == [f"{case.path}:{line}: {rule.summary} [{rule.skip_code}]"]
    assert lint(Source(case.path, case.good), [rule]) == []


@pytest.mark.parametrize(("name", "path"), EXEMPT)
def test_a_rule_leaves_alone_the_places_made_for_it(name: str, path: str) -> None:
    bad = next(case.bad for case in CASES if case.rule == name)
    assert lint(Source(path, bad), [rule_named(name)]) == []


def test_a_skip_needs_its_code_its_reason_and_something_to_skip() -> None:
    def found(code: str) -> list[str]:
        return lint(Source("bot/a.py", code), RULES)

    assert found("t = time.time()  # lint: wall-clock a file's age is the wall's\n") == []
    assert found("# lint: wall-clock a file's age is the wall's\nt = time.time()\n") == []
    assert found("t = time.time()  # lint: wall-clock\n") == [
        "bot/a.py:1: a skip needs a reason: # lint: <code> <reason>"
    ]
    assert found("t = 1  # lint: wall-clock it was here once\n") == [
        "bot/a.py:1: this skip of wall-clock skips nothing"
    ]
    assert found("t = 1  # lint: nonsense why not\n") == ["bot/a.py:1: there is no lint called nonsense here"]


def test_the_tree_has_no_objections() -> None:
    objections = []
    for name in repository_files():
        try:
            source = Source(name, (ROOT / name).read_text())
        except UnicodeDecodeError:
            continue  # a picture or a font
        objections += lint(source, RULES)
    assert not objections, "\n".join(objections)
