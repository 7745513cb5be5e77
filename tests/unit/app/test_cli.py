"""The commands that a person types: what they print, what they store, and a sentence for everything that is wrong."""

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.cli import main, parser
from app.commands import run_async
from kit.seal import Sealer
from scrm import db
from scrm.accounts.service import AccountView, every

KEY = "the key of the command line's tests"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ADD = ["accounts", "add", "--name", "花店", "--secret", "appsecret", "--token", "callbacktoken"]

Fensi = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets the logs up for its process, which here is that of all tests."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def fensi(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Fensi:
    """Type a command; returns its exit code and what it said on both outputs."""
    for name in list(os.environ):
        if name.startswith("FENSI_") and not name.startswith("FENSI_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FENSI_DATABASE_URL", database_url)
    monkeypatch.setenv("FENSI_SECRET_KEY", KEY)
    monkeypatch.setenv("FENSI_WECHAT_URL", "http://127.0.0.1:9")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def stored(url: str) -> list[AccountView]:
    async def read() -> list[AccountView]:
        async with db.database(url, pool=1):
            return await every(Sealer(KEY))

    # Not asyncio.run: it would take the current loop away from the test that follows.
    return run_async(read())


def test_an_account_is_added_sealed_and_listed_without_its_secrets(fensi: Fensi, database_url: str) -> None:
    code, out, _ = fensi(*ADD, "--kind", "service", "--appid", "wx1", "--aes-key", AES_KEY, "--json")
    added = json.loads(out)
    assert (code, added) == (0, {"id": added["id"], "callback": f"/wechat/{added['id']}"})
    code, out, _ = fensi(*ADD, "--kind", "subscription", "--appid", "wx2", "--unverified")
    assert code == 0
    assert out.endswith(f"its callback URL is http://127.0.0.1:8300/wechat/{added['id'] + 1}\n")

    code, out, _ = fensi("accounts", "list", "--json")
    assert [(row["kind"], row["mode"], row["verified"]) for row in json.loads(out)] == [
        ("service", "safe", True),
        ("subscription", "plain", False),
    ]
    text = fensi("accounts", "list")[1]
    for secret in ("appsecret", "callbacktoken", AES_KEY):
        assert secret not in out + text

    first, second = stored(database_url)
    assert (first.secret, first.token, first.aes_key) == ("appsecret", "callbacktoken", AES_KEY)
    assert second.aes_key is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--token", "a b"], "token: Token 为 3 到 32 位字母或数字"),
        (["--aes-key", "short"], "aes_key: EncodingAESKey 为 43 位字母或数字"),
        (["--mode", "safe"], "aes_key: 安全模式和兼容模式需要 EncodingAESKey"),
        (["--appid", "w x"], "appid: AppID 只含字母、数字、下划线和连字符"),
        (["--name", "  "], "name: 名称长度为 1 到 64 个字符，不含控制字符"),
        (["--name", "丙\x01"], "name: 名称长度为 1 到 64 个字符，不含控制字符"),
        (["--name", "丙\udcff"], "name: 名称长度为 1 到 64 个字符，不含控制字符"),
        (["--brand", "丙" * 300], "brand: 品牌名称长度为 1 到 64 个字符，不含控制字符"),
        (["--brand", ""], "brand: 品牌名称长度为 1 到 64 个字符，不含控制字符"),
        (["--brand", "丙\n丁"], "brand: 品牌名称长度为 1 到 64 个字符，不含控制字符"),
        (["--secret", ""], "secret: AppSecret 不能为空"),
    ],
)
def test_what_is_wrong_with_an_account_is_named(fensi: Fensi, change: list[str], said: str) -> None:
    assert fensi(*ADD, "--kind", "service", "--appid", "wx1", *change) == (2, "", said + "\n")
    assert json.loads(fensi("accounts", "list", "--json")[1]) == []


def audited(url: str) -> list[tuple[str, str, str, int, Any, Any]]:
    async def read() -> list[Any]:
        async with db.database(url, pool=1):
            return await db.fetch("SELECT * FROM audit WHERE action = 'account.changed' ORDER BY id")

    return [
        (row["staff_name"], row["subject"], row["subject_name"], row["brand_id"], row["before"], row["after"])
        for row in run_async(read())
    ]


def test_an_account_is_changed_and_the_trail_says_what(
    fensi: Fensi, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"]
    change = ("accounts", "set", str(account))
    # From plain to safe mode as docs/subsystems/callback.md tells: the key first.
    monkeypatch.setattr("sys.stdin", io.StringIO(f"another\n{AES_KEY}\n"))
    said = f"account {account}: secret, aes_key changed\n"
    assert fensi(*change, "--secret", "-", "--aes-key", "-") == (0, said, "")
    (now,) = stored(database_url)
    assert (now.secret, now.token, now.aes_key, now.mode) == ("another", "callbacktoken", AES_KEY, "plain")
    said = f"account {account}: name, mode, verified changed\n"
    assert fensi(*change, "--mode", "safe", "--name", " 花店二号 ", "--no-verified") == (0, said, "")
    (now,) = stored(database_url)
    assert (now.name, now.mode, now.verified, now.secret) == ("花店二号", "safe", False, "another")
    # Said again it changes nothing, and nothing is told.
    assert fensi(*change, "--mode", "safe", "--secret", "another")[1] == f"account {account}: nothing has changed\n"
    assert fensi(*change, "--aes-key", "", "--mode", "plain", "--verified")[0] == 0
    (now,) = stored(database_url)
    assert (now.mode, now.verified, now.aes_key) == ("plain", True, None)
    whose = ("命令行", f"account:{account}")
    assert [(*line[:3], *map(json.loads, line[4:])) for line in audited(database_url)] == [
        (*whose, "花店", {}, {"secret": "***", "aes_key": "***"}),
        (
            *whose,
            "花店二号",
            {"name": "花店", "mode": "plain", "verified": True},
            {"name": "花店二号", "mode": "safe", "verified": False},
        ),
        (*whose, "花店二号", {"mode": "safe", "verified": False}, {"mode": "plain", "verified": True, "aes_key": None}),
    ]
    assert {line[3] for line in audited(database_url)} == {now.brand_id}


def test_an_account_is_disabled_and_enabled_and_said_twice_it_changes_nothing(
    fensi: Fensi, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"]

    def turned(word: str) -> tuple[tuple[int, str, str], bool]:
        return fensi("accounts", word, str(account)), stored(database_url)[0].enabled

    said = f"account {account}: "
    assert turned("enable") == ((0, said + "was enabled already, nothing has changed\n", ""), True)
    # Also one whose secrets do not open.
    with monkeypatch.context() as patched:
        patched.setenv("FENSI_SECRET_KEY", "a key that nobody has ever used")
        assert turned("disable") == ((0, said + "disabled\n", ""), False)
    assert turned("disable") == ((0, said + "was disabled already, nothing has changed\n", ""), False)
    assert fensi("accounts", "list")[1].endswith("花店  (disabled)\n")
    assert turned("enable") == ((0, said + "enabled\n", ""), True)
    assert [(*line[:3], *map(json.loads, line[4:])) for line in audited(database_url)] == [
        ("命令行", f"account:{account}", "花店", {"enabled": True}, {"enabled": False}),
        ("命令行", f"account:{account}", "花店", {"enabled": False}, {"enabled": True}),
    ]
    for word in ("enable", "disable"):
        for unknown in ("77", "0", "9" * 23):
            assert fensi("accounts", word, unknown) == (2, "", "account: 没有这个账号\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--token", "a b"], "token: Token 为 3 到 32 位字母或数字"),
        (["--aes-key", "short"], "aes_key: EncodingAESKey 为 43 位字母或数字"),
        (["--mode", "safe"], "aes_key: 安全模式和兼容模式需要 EncodingAESKey"),
        (["--name", "  "], "name: 名称长度为 1 到 64 个字符，不含控制字符"),
        (["--name", ""], "name: 名称长度为 1 到 64 个字符，不含控制字符"),
        (["--secret", ""], "secret: AppSecret 不能为空"),
    ],
)
def test_what_is_wrong_with_a_change_is_named(fensi: Fensi, database_url: str, change: list[str], said: str) -> None:
    account = str(json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"])
    before = stored(database_url)
    assert fensi("accounts", "set", account, *change) == (2, "", said + "\n")
    assert (stored(database_url), audited(database_url)) == (before, [])


def test_a_change_of_nothing_of_nobody_or_under_another_key_is_refused(
    fensi: Fensi, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = str(json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"])
    assert fensi("accounts", "set", account) == (1, "", "nothing to change: fensi accounts set --help\n")
    for unknown in ("77", "0", "9" * 23):
        assert fensi("accounts", "set", unknown, "--verified") == (2, "", "account: 没有这个账号\n")
    before = stored(database_url)
    with monkeypatch.context() as patched:
        patched.setenv("FENSI_SECRET_KEY", "a key that nobody has ever used")
        said = "FENSI_SECRET_KEY: not the one the accounts were added with\n"
        assert fensi("accounts", "set", account, "--secret", "another") == (1, "", said)
    assert (stored(database_url), audited(database_url)) == (before, [])


def test_an_appid_is_added_once(fensi: Fensi) -> None:
    fensi(*ADD, "--kind", "service", "--appid", "wx1")
    assert fensi(*ADD, "--kind", "service", "--appid", "wx1") == (2, "", "appid: 这个 AppID 已经添加过\n")


def test_another_key_is_noticed(fensi: Fensi, monkeypatch: pytest.MonkeyPatch) -> None:
    account = json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"]
    monkeypatch.setenv("FENSI_SECRET_KEY", "a key that nobody has ever used")
    said = "FENSI_SECRET_KEY: not the one the accounts were added with\n"
    assert fensi("channels", "add", "--account", str(account), "--scene", "a", "--name", "甲") == (1, "", said)


def test_errands_to_an_unreachable_platform_end_in_a_sentence(fensi: Fensi, tmp_path: Path) -> None:
    account = str(json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"])
    code, _, said = fensi("channels", "add", "--account", account, "--scene", "a", "--name", "甲")
    assert (code, said.startswith("scene: 微信没有创建二维码：")) == (2, True)
    # It is there all the same, and the same command tries the code again.
    assert "甲" in fensi("channels", "list", "--account", account)[1]
    assert fensi("channels", "add", "--account", account, "--scene", "a", "--name", "甲")[0] == 2

    assert fensi("menus", "publish", "--account", account) == (2, "", "account: 这个账号还没有菜单定义\n")
    assert fensi("menus", "publish", "--account", "999") == (2, "", "account: 没有这个账号\n")
    menu = tmp_path / "menu.json"
    for content, complaint in [
        ("[]", f"--file: {menu} is no menu (TypeError)"),
        ("{}", f"--file: {menu} is no menu (KeyError)"),
        ("{", f"--file: {menu} is no menu (JSONDecodeError)"),
    ]:
        menu.write_text(content)
        assert fensi("menus", "publish", "--account", account, "--file", str(menu)) == (1, "", complaint + "\n")
    menu.write_text(json.dumps({"button": [{"name": "x" * 17, "type": "click", "key": "k"}]}))
    code, _, said = fensi("menus", "publish", "--account", account, "--file", str(menu))
    assert (code, said) == (2, "button[0].name: 菜单名称不能为空，最长 16 字节\n")
    assert fensi("menus", "publish", "--account", account, "--file", "nowhere")[0] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--name", "渠" * 65], "name: 渠道名称长度为 1 到 64 个字符，不含控制字符"),
        (["--name", ""], "name: 渠道名称长度为 1 到 64 个字符，不含控制字符"),
        (["--name", "丙\x01"], "name: 渠道名称长度为 1 到 64 个字符，不含控制字符"),
        (["--scene", "a\x00"], "scene: 场景值长度为 1 到 64 个字符，不含控制字符"),
        (["--cost-fen", "-1"], "cost_fen: 渠道成本不能为负"),
        (["--cost-fen", "9" * 20], "cost_fen: 渠道成本不能超过一百亿元"),
    ],
)
def test_what_is_wrong_with_a_channel_is_named(fensi: Fensi, change: list[str], said: str) -> None:
    account = str(json.loads(fensi(*ADD, "--kind", "service", "--appid", "wx1", "--json")[1])["id"])
    add = ["channels", "add", "--account", account, "--scene", "a", "--name", "甲"]
    assert fensi(*add, *change) == (2, "", said + "\n")
    assert len(fensi("channels", "list", "--account", account)[1].splitlines()) == 1


@pytest.mark.parametrize("account", ["77", "0", "-1", "9" * 23])
def test_channels_of_an_unknown_account_are_no_empty_list(fensi: Fensi, account: str) -> None:
    assert fensi("channels", "list", "--account", account) == (2, "", "account: 没有这个账号\n")


def test_knowledge_is_imported_and_asked(fensi: Fensi, tmp_path: Path) -> None:
    fensi(*ADD, "--kind", "service", "--appid", "wx1", "--brand", "花店")
    faq, page, words = tmp_path / "faq.csv", tmp_path / "page.md", tmp_path / "words.txt"
    faq.write_text("id,question,answer\na,花能保鲜几天？,七天。\nb,,没有问题\n")
    page.write_text("# 配送 {#shipping}\n\n同城当日送达。\n")
    words.write_text("配送 送货\n")
    rejected = f"{faq}:3: question: 标题或问题的长度为 1 到 200 个字符\n"
    brand = ("--brand", "花店")
    assert fensi("knowledge", "import", str(faq), *brand, "--publish") == (
        1,
        f"{rejected}1 created, 0 updated, 0 unchanged, 1 rejected\n",
        "",
    )
    assert fensi("knowledge", "import", str(page), *brand) == (0, "1 created, 0 updated, 0 unchanged, 0 rejected\n", "")
    assert fensi("knowledge", "ask", "怎么送货", *brand) == (0, "no answer\n", "")
    assert fensi("knowledge", "import", str(page), *brand, "--publish")[1].startswith("0 created, 1 updated")
    assert fensi("knowledge", "synonyms", str(words), *brand) == (0, "1 groups of synonyms\n", "")
    code, out, _ = fensi("knowledge", "ask", "怎么送货", *brand)
    assert (code, out.splitlines()[0]) == (0, "a menu of the nearest")
    assert out.splitlines()[1].endswith("配送  [送 送货=配送]")

    assert fensi("knowledge", "ask", "花能保鲜几天", *brand)[1].startswith("answered\n")
    assert fensi("knowledge", "ask", "花", "--brand", "别家") == (2, "", "--brand: 没有这个品牌\n")
    said = f"{tmp_path}/nowhere.csv: No such file or directory\n"
    assert fensi("knowledge", "import", f"{tmp_path}/nowhere.csv", *brand) == (1, "", said)
    said = "--format: md or csv? The file's name does not say\n"
    assert fensi("knowledge", "import", str(words), *brand) == (1, "", said)
    assert fensi("knowledge", "import", str(words), *brand, "--format", "csv")[0] == 2


def test_migrating_twice_changes_nothing(fensi: Fensi) -> None:
    assert fensi("migrate") == (0, "the database is at the present schema\n", "")


def test_a_wrong_setting_is_said_before_anything_is_done(fensi: Fensi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSI_PORT", "eighty")
    code, out, said = fensi("accounts", "list")
    assert (code, out) == (2, "")
    assert said.startswith("FENSI_PORT: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["serve", "--workers", "0"],
        ["serve", "--workers", "65"],
        ["serve", "--port", "99999"],
        ["accounts", "add"],
        ["accounts"],
        ["demo", "nonsense"],
        ["demo", "demo"],
    ],
)
def test_what_is_no_command_shows_how_it_is_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: fensi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "x"], "argument --workers: a number from 1 to 64 is needed"),
        (["--port", "-1"], "argument --port: a number from 0 to 65535 is needed"),
        (["--port", "٣"], "argument --port: a number from 0 to 65535 is needed"),
    ],
)
def test_a_number_that_is_none_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", *arguments])
    assert capsys.readouterr().err.splitlines()[-1] == f"fensi serve: error: {said}"


def test_a_folder_that_cannot_be_used_ends_in_a_sentence(
    fensi: Fensi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("FENSI_VAR", str(file))
    monkeypatch.setenv("FENSI_SECRET_KEY", "")
    said = f"FENSI_VAR: {file} cannot be used for data"
    assert fensi(*ADD, "--kind", "service", "--appid", "wx1") == (2, "", f"{said}: it is no folder\n")
    assert fensi("simulate") == (2, "", f"{said}: it is no folder\n")
    at_the_demo = f"FENSI_VAR: {file}/demo cannot be used for data: it is no folder\n"
    assert fensi("demo", "--no-wait") == (2, "", at_the_demo)
    code, out, err = fensi("doctor")
    assert (code, err, f"!!  {said}: it is no folder" in out.splitlines()) == (1, "", True)
    monkeypatch.setenv("FENSI_DATABASE_URL", "")
    code, out, err = fensi("doctor")
    assert (code, err, out.splitlines()[-1]) == (1, "", f"!!  {said}: it is no folder")


def test_the_commands_of_the_contract_are_there() -> None:
    commands = ["serve", "worker", "migrate", "demo", "doctor", "routes", "openapi", "simulate", "accounts"]
    help_text = parser().format_help()
    assert [command for command in commands if command not in help_text] == []


def test_routes_are_listed_with_what_they_do(fensi: Fensi) -> None:
    code, out, _ = fensi("routes")
    assert code == 0
    listed = {tuple(line.split()[:2]) for line in out.splitlines()}
    assert {("GET", "/wechat/{account}"), ("POST", "/wechat/{account}"), ("GET", "/healthz")} <= listed


def test_staff_are_added_listed_and_given_new_passwords(fensi: Fensi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fensi("staff", "list")[1] == "nobody yet: fensi staff add --help\n"
    code, out, _ = fensi("staff", "add", "--name", "陈青", "--login", "chen.qing")
    assert code == 0
    where, first, _ = out.split("\n")
    assert where == "chen.qing may sign in at http://127.0.0.1:8300/console/"
    assert re.fullmatch(r"first password \(to be changed\): \w{5}-\w{4}-\w{5}", first)
    fensi(*ADD, "--kind", "service", "--appid", "wx1", "--brand", "花店")
    monkeypatch.setattr("sys.stdin", io.StringIO("a-long-password\n"))
    code, out, _ = fensi("staff", "add", "--name", "li.na", "--role", "agent", "--brand", "花店", "--password", "-")
    assert (code, out) == (0, "li.na may sign in at http://127.0.0.1:8300/console/\n")
    assert [line.split()[1:] for line in fensi("staff", "list")[1].splitlines()] == [
        ["chen.qing", "管理员", "every", "brand", "陈青"],
        ["li.na", "客服", "brands", "1", "li.na"],
    ]
    code, out, _ = fensi("staff", "reset", "li.na")
    assert (code, out.startswith("new first password (to be changed): ")) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "--name", "陈青"], "login: 登录名为 2 到 32 位"),
        (["add", "--name", "chen.qing", "--brand", "没有"], "brand: 没有这个品牌：没有"),
        (["reset", "nobody"], "login: 没有这位员工"),
    ],
)
def test_what_is_wrong_about_staff_is_named(fensi: Fensi, arguments: list[str], said: str) -> None:
    code, out, err = fensi("staff", *arguments)
    assert (code, out, err.startswith(said)) == (2, "", True)
