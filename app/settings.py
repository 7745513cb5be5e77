"""Settings: FENSI_* variables, or the same names in a `.env` file; every one has a default that works alone."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from kit.seal import Sealer
from scrm.db import credentials
from web.addresses import LOOPBACK, Proxies


def _http_url(value: str) -> str:
    if _scheme(value) not in {"http", "https"} or not urlsplit(value).hostname:
        raise ValueError("must be an http:// or https:// address")
    return value.rstrip("/")


def _scheme(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port  # looks at it only now
    except ValueError:
        # Python's own words show a part of the address, and in a misspelt one that may be the password.
        raise ValueError("is not an address; its host or port is misspelt") from None
    return parts.scheme


def _optional_http_url(value: str | None) -> str | None:
    return _http_url(value) if value else None


def _database_url(value: str | None) -> str | None:
    if not value:
        return None
    if _scheme(value) not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    try:
        port = credentials(value)["port"]
    except ValueError as error:
        name, own, said = str(error).partition(": ")
        raise ValueError(said if own and name == "FENSI_DATABASE_URL" else "its port is no number") from None
    except OSError as error:
        raise ValueError(f"its certificate files cannot be used: {error.strerror}") from None
    if not 1 <= port <= 65535:
        raise ValueError("its port must be from 1 to 65535")
    return value


def _absent(value: object) -> object:
    return value or None


# Empty is absent.
_Text = Annotated[str | None, BeforeValidator(_absent)]


def here(port: int) -> str:
    """Return the address of a server on this machine."""
    return f"http://127.0.0.1:{port}"


def _redis_url(value: str | None) -> str | None:
    if value and _scheme(value) not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://")
    return value or None


def _proxies(value: object) -> object:
    if isinstance(value, str):
        return Proxies.parse(value) if value.strip() else LOOPBACK
    return value


class Settings(BaseSettings):
    """What can be set from outside; the field's name in capitals behind FENSI_ is the variable."""

    model_config = SettingsConfigDict(env_prefix="FENSI_", env_file=".env", extra="ignore", hide_input_in_errors=True)

    # Folder of local data: the embedded database, the generated key, the simulator's memory.
    var: Path = Path("var")
    # PostgreSQL >= 15. Absent: an embedded one under `var`.
    database_url: Annotated[str | None, AfterValidator(_database_url)] = None
    # A database for the demo alone. Absent: an embedded one under `var/demo`, whatever `database_url` is.
    demo_database_url: Annotated[str | None, AfterValidator(_database_url)] = None
    # Set by the demo for its own processes: there, staff whose password everybody knows are as they should be.
    demo: bool = False
    # Connections per process.
    database_pool: int = Field(default=10, ge=2, le=200)
    # Absent: in this process. With several processes, rate limits are then kept by each for itself.
    redis_url: Annotated[str | None, AfterValidator(_redis_url)] = None
    # Seals the accounts' secrets. Absent: one is made and kept in `var`.
    secret_key: Annotated[Annotated[str, Field(min_length=16)] | None, BeforeValidator(_absent)] = Field(
        default=None, repr=False
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8300, ge=0, le=65535)
    # Where the worker shows its health and metrics, on the same host; 0 shows them nowhere.
    worker_port: int = Field(default=8301, ge=0, le=65535)
    # Where the demo's simulated WeChat listens, on the same host.
    simulator_port: int = Field(default=8900, ge=1, le=65535)
    # Where the world reaches this server; for pictures in messages and for what `doctor` tells to set up. Absent: here.
    public_url: Annotated[str, AfterValidator(_http_url)] = Field(default_factory=lambda known: here(known["port"]))
    # Whose X-Forwarded-For is believed: addresses and networks between commas, or `none`. Absent: this machine only.
    trusted_proxies: Annotated[InstanceOf[Proxies], NoDecode, BeforeValidator(_proxies)] = LOOPBACK
    wechat_url: Annotated[str, AfterValidator(_http_url)] = "https://api.weixin.qq.com"
    # How far a push's timestamp may be from now, seconds.
    wechat_window: int = Field(default=600, ge=60, le=86400)
    # Seconds a push may take before WeChat is told success and the answer follows by itself.
    reply_budget: float = Field(default=4.5, ge=0.1, le=4.9)
    # Seconds a stopping server waits for what it has accepted.
    stop_seconds: float = Field(default=10, ge=0, le=600)
    # Days for which it is known what was said to whom and why, or why not. The gate itself looks back two.
    outreach_days: int = Field(default=365, ge=30, le=3650)
    # The language model: an OpenAI-compatible address (…/v1) and a model's name. Without both there is none.
    llm_base_url: Annotated[str | None, AfterValidator(_optional_http_url)] = None
    llm_model: _Text = None
    llm_api_key: str = Field(default="", repr=False)
    # Also used for embeddings, where the knowledge base wants them.
    llm_embedding_model: _Text = None
    # What a million tokens cost, in fen: budgets in money count with it.
    llm_price_in: int = Field(default=200, ge=0)
    llm_price_out: int = Field(default=800, ge=0)
    # Seconds a whole answer may take, tools included; what comes after 4.5 leaves by the door out.
    llm_seconds: float = Field(default=20, ge=1, le=50)
    # Requests under way at once in a process; as many again may wait.
    llm_concurrency: int = Field(default=8, ge=1, le=200)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @property
    def pages(self) -> Path:
        """The folder of built pages."""
        return Path(__file__).parent.parent / "web" / "static"


# Read elsewhere: by the set-up of the browser tests, and by our child processes.
_OTHERS = {"FENSI_CHROMIUM", "FENSI_SUPERVISOR"}


class SettingsError(Exception):
    """A setting is wrong; the message names each variable on a line of its own."""


def load() -> Settings:
    """Read the settings; raises SettingsError that names what is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"FENSI_{str(problem['loc'][0] if problem['loc'] else '').upper()}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
            # What follows from another setting says nothing of its own.
            if problem["type"] != "default_factory_not_called"
        ]
        raise SettingsError("\n".join(lines)) from None


def unknown_names() -> list[str]:
    """Return the FENSI_* names, set as variables or in `.env`, that are no settings: misspelt ones, mostly."""
    known = {f"FENSI_{name.upper()}" for name in Settings.model_fields}
    found = {name.upper() for name in (*os.environ, *DotEnvSettingsSource(Settings).env_vars)}
    return sorted(name for name in found - known - _OTHERS if name.startswith("FENSI_") and "_TEST_" not in name)


def demo_settings(settings: Settings) -> Settings:
    """Return what the demo works with: database, key, folder and shared state are never those of `serve`.

    Raises SettingsError when FENSI_DEMO_DATABASE_URL is the database that `serve` would use.
    """
    url = settings.demo_database_url
    if url and settings.database_url and _place(url) == _place(settings.database_url):
        raise SettingsError("FENSI_DEMO_DATABASE_URL: must be another database than FENSI_DATABASE_URL")
    simulator = f"http://127.0.0.1:{settings.simulator_port}"
    changes: dict[str, object] = {
        "demo": True,
        "var": settings.var / "demo",
        "database_url": url,
        "redis_url": None,
        "secret_key": None,
        "host": "127.0.0.1",
        "public_url": here(settings.port),
        "wechat_url": simulator,
    }
    if "log_level" not in settings.model_fields_set:
        changes["log_level"] = "warning"
    if not (settings.llm_base_url and settings.llm_model):
        changes |= {"llm_base_url": f"{simulator}/v1", "llm_model": "simulated-model", "llm_api_key": "demo"}
    return settings.model_copy(update=changes)


def _place(url: str) -> tuple[object, ...]:
    found = credentials(url)
    return found["host"], found["port"], found["database"]


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which a child process has these very settings, whatever its `.env` says."""
    return {f"FENSI_{name.upper()}": "" if value is None else str(value) for name, value in settings}


def sealer(settings: Settings) -> Sealer:
    """Return the sealer of FENSI_SECRET_KEY, making and keeping a key in `var` when none is set."""
    if settings.secret_key:
        return Sealer(settings.secret_key)
    try:
        return Sealer(_kept_key(settings))
    except OSError as error:
        raise _unusable(settings, error) from None


def data_folder(settings: Settings) -> Path:
    """Return the folder of local data, made when it is not there; raises SettingsError where it cannot be."""
    try:
        settings.var.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(settings, error) from None
    return settings.var


def _unusable(settings: Settings, error: OSError) -> SettingsError:
    said = "it is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
    return SettingsError(f"FENSI_VAR: {settings.var} cannot be used for data: {said}")


def _kept_key(settings: Settings) -> str:
    path = settings.var / "secret.key"
    if not path.exists():
        data_folder(settings)
        # Written apart and put into place whole: of two processes that start at once, one makes the key and both
        # use it, and nobody ever reads half of one.
        with tempfile.NamedTemporaryFile("w", dir=settings.var, prefix="secret.") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(file.name)
    return path.read_text().strip()
