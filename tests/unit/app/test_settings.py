"""Settings, and the key that seals secrets: defaults that work alone, errors that name a variable but not its value."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.settings import Settings, SettingsError, demo_settings, environment, load, sealer, unknown_names
from kit.seal import Sealer, UnsealError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable and no .env of whoever runs the tests."""
    import os

    for name in list(os.environ):
        if name.startswith("FENSI_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default_that_works_alone() -> None:
    settings = load()
    assert (settings.database_url, settings.redis_url, settings.secret_key) == (None, None, None)
    assert (settings.var, settings.host, settings.port) == (Path("var"), "127.0.0.1", 8300)
    assert settings.wechat_url == "https://api.weixin.qq.com"
    assert settings.reply_budget == 4.5


def test_variables_win_over_the_env_file_and_empty_means_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("FENSI_PORT=9000\nFENSI_HOST=0.0.0.0\nFENSI_REDIS_URL=\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("FENSI_PORT", "9001")
    monkeypatch.setenv("FENSI_DATABASE_URL", "")
    monkeypatch.setenv("FENSI_PUBLIC_URL", "https://fensi.example/")
    settings = load()
    assert (settings.port, settings.host) == (9001, "0.0.0.0")
    assert (settings.database_url, settings.redis_url) == (None, None)
    assert settings.public_url == "https://fensi.example"


def test_the_public_address_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().public_url == "http://127.0.0.1:8300"
    monkeypatch.setenv("FENSI_PORT", "8710")
    assert load().public_url == "http://127.0.0.1:8710"


@pytest.mark.parametrize(
    ("value", "trusted"),
    [
        ("", "127.0.0.0/8, ::1/128"),
        ("none", "none"),
        ("10.0.0.7", "10.0.0.7/32"),
        (" 10.1.2.3/8 ,fd00::/8", "10.0.0.0/8, fd00::/8"),
    ],
)
def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, value: str, trusted: str) -> None:
    monkeypatch.setenv("FENSI_TRUSTED_PROXIES", value)
    assert str(load().trusted_proxies) == trusted


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "eighty", "Input should be a valid integer"),
        ("PORT", "65536", "Input should be less than or equal to 65535"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x", "must start with postgresql://"),
        ("DATABASE_URL", "postgresql://root:hunter2@db:99999/x", "is not an address; its host or port is misspelt"),
        ("DATABASE_URL", "postgresql://root:hunter2/@db/x", "is not an address; its host or port is misspelt"),
        ("DATABASE_URL", "postgresql://[::1/x", "is not an address; its host or port is misspelt"),
        ("DATABASE_URL", "postgresql://db/x?foo=1", "foo is not supported"),
        ("DATABASE_URL", "postgresql://db/x?port=abc", "its port is no number"),
        ("DATABASE_URL", "postgresql://db/x?port=99999", "its port must be from 1 to 65535"),
        ("DATABASE_URL", "postgresql://db/x?sslmode=maybe", "sslmode=maybe is not known"),
        (
            "DATABASE_URL",
            "postgresql://db/x?sslrootcert=/nowhere",
            "its certificate files cannot be used: No such file or directory",
        ),
        ("REDIS_URL", "http://:hunter2@redis", "must start with redis://"),
        ("REDIS_URL", "redis://:hunter2@redis:abc", "is not an address; its host or port is misspelt"),
        ("PUBLIC_URL", "http://[::1", "is not an address; its host or port is misspelt"),
        ("PUBLIC_URL", "https://:443", "must be an http:// or https:// address"),
        ("PUBLIC_URL", "fensi.example", "must be an http:// or https:// address"),
        ("WECHAT_URL", "https://", "must be an http:// or https:// address"),
        ("SECRET_KEY", "hunter2", "String should have at least 16 characters"),
        ("REPLY_BUDGET", "5", "Input should be less than or equal to 4.9"),
        ("TRUSTED_PROXIES", "10.0.0.1, hunter2", "must be addresses or networks such as 10.0.0.0/8"),
        ("OUTREACH_DAYS", "29", "Input should be greater than or equal to 30"),
        ("LOG_LEVEL", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"FENSI_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value).startswith(f"FENSI_{name}: ")
    assert str(caught.value).removeprefix(f"FENSI_{name}: ").startswith(said)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_everything_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSI_PORT", "x")
    monkeypatch.setenv("FENSI_DATABASE_POOL", "0")
    with pytest.raises(SettingsError) as caught:
        load()
    assert sorted(line.partition(":")[0] for line in str(caught.value).splitlines()) == [
        "FENSI_DATABASE_POOL",
        "FENSI_PORT",
    ]


def test_the_demo_has_a_house_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://fensi:pw@db/fensi",
        "REDIS_URL": "redis://db",
        "SECRET_KEY": "the key of the real accounts",
        "PUBLIC_URL": "https://fensi.example",
        "HOST": "0.0.0.0",  # what must not come through
        "PORT": "9000",
        "SIMULATOR_PORT": "9900",
    }.items():
        monkeypatch.setenv(f"FENSI_{name}", value)
    demo = demo_settings(load())
    assert (demo.demo, demo.var, demo.database_url, demo.redis_url) == (True, Path("var/demo"), None, None)
    assert (demo.secret_key, demo.host, demo.log_level) == (None, "127.0.0.1", "warning")
    assert (demo.public_url, demo.wechat_url) == ("http://127.0.0.1:9000", "http://127.0.0.1:9900")
    assert (demo.llm_base_url, demo.llm_model) == ("http://127.0.0.1:9900/v1", "simulated-model")
    monkeypatch.setenv("FENSI_DEMO_DATABASE_URL", "postgresql://fensi:pw@db/demo")
    monkeypatch.setenv("FENSI_LOG_LEVEL", "info")
    demo = demo_settings(load())
    assert (demo.database_url, demo.log_level) == ("postgresql://fensi:pw@db/demo", "info")
    # By another user and in another spelling it is the same one all the same.
    monkeypatch.setenv("FENSI_DEMO_DATABASE_URL", "postgres://other@db:5432/fensi?sslmode=disable")
    with pytest.raises(SettingsError) as caught:
        demo_settings(load())
    assert str(caught.value) == "FENSI_DEMO_DATABASE_URL: must be another database than FENSI_DATABASE_URL"


def test_a_child_has_the_very_settings_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    # Also where a variable is not there and the file would have its say.
    Path(".env").write_text(
        "FENSI_DATABASE_URL=postgresql://db/fensi\nFENSI_REDIS_URL=redis://db\nFENSI_SECRET_KEY=0123456789abcdef\n"
        "FENSI_TRUSTED_PROXIES=none\nFENSI_LLM_MODEL=deepseek-chat\nFENSI_LLM_EMBEDDING_MODEL=bge\n"
    )
    for given in (load(), demo_settings(load()), Settings(_env_file=None)):
        with monkeypatch.context() as child:
            for name, value in environment(given).items():
                child.setenv(name, value)
            assert load() == given


def test_the_key_is_not_in_the_settings_words() -> None:
    assert "sixteen characters!" not in repr(Settings(_env_file=None, secret_key="sixteen characters!"))


def test_misspelt_names_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("FENSI_DATABSE_URL=x\nFENSI_PORT=9000\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("FENSI_LOGLEVEL", "debug")
    monkeypatch.setenv("FENSI_CHROMIUM", "/usr/bin/chromium")
    assert unknown_names() == ["FENSI_DATABSE_URL", "FENSI_LOGLEVEL"]


class TestSealer:
    def test_a_folder_that_is_none_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "secret.key").mkdir()
        for var, said in [
            (tmp_path / "file", "it is no folder"),
            (Path("/proc/x"), "No such file or directory"),
            (tmp_path, "Is a directory"),
        ]:
            with pytest.raises(SettingsError) as caught:
                sealer(Settings(_env_file=None, var=var))
            assert str(caught.value) == f"FENSI_VAR: {var} cannot be used for data: {said}"

    def test_a_key_is_made_once_for_this_user_alone(self, tmp_path: Path) -> None:
        settings = Settings(_env_file=None, var=tmp_path / "deep" / "var")
        sealed = sealer(settings).seal("秘密")
        path = settings.var / "secret.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_text()) >= 32
        assert sealer(settings).open(sealed) == "秘密"
        assert [found.name for found in settings.var.iterdir()] == ["secret.key"]

    def test_processes_that_start_at_once_agree_on_one_key(self, tmp_path: Path) -> None:
        for n in range(20):
            settings = Settings(_env_file=None, var=tmp_path / str(n))
            start = Barrier(8)

            def begin(settings: Settings = settings, start: Barrier = start) -> Sealer:
                start.wait()
                return sealer(settings)

            with ThreadPoolExecutor(8) as pool:
                sealers = [future.result() for future in [pool.submit(begin) for _ in range(8)]]
            sealed = sealers[0].seal("秘密")
            assert [each.open(sealed) for each in sealers] == ["秘密"] * 8

    def test_a_key_that_is_set_is_used_and_none_is_made(self, tmp_path: Path) -> None:
        settings = Settings(_env_file=None, var=tmp_path, secret_key="sixteen characters!")
        assert Sealer("sixteen characters!").open(sealer(settings).seal("秘密")) == "秘密"
        assert list(tmp_path.iterdir()) == []


class TestSeal:
    def test_a_seal_opens_only_with_its_key_and_whole(self) -> None:
        one, other = Sealer("0123456789abcdef"), Sealer("0123456789abcdeX")
        sealed = one.seal("secret 秘密 😀")
        assert one.open(sealed) == "secret 秘密 😀"
        assert sealed.isascii()
        assert one.seal("secret 秘密 😀") != sealed
        for wrong in (sealed[:-4], sealed[:20] + "A" + sealed[21:], "", "nonsense", "é"):
            with pytest.raises(UnsealError):
                one.open(wrong)
        with pytest.raises(UnsealError) as caught:
            other.open(sealed)
        assert "FENSI_SECRET_KEY" in str(caught.value)

    def test_a_short_key_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="FENSI_SECRET_KEY: at least 16 characters"):
            Sealer("too short")
