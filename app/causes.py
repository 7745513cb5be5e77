"""Why a part does not answer, in words for the person who set it up; never with a secret or an address's password."""

import socket
from collections.abc import Iterator, Sequence

import aiohttp
import asyncpg


def of_database(error: BaseException, name: str) -> str:
    """Say why the database called `name` could not be opened."""
    for each in _chain(error):
        match each:
            case asyncpg.InvalidCatalogNameError():
                return f"database “{name}” does not exist: createdb {name}"
            case asyncpg.InvalidAuthorizationSpecificationError():  # a wrong password is one, too
                return "PostgreSQL refuses this user or password"
            case _ if said := _of_connection(each):
                return f"PostgreSQL does not answer: {said}"
    return f"PostgreSQL does not answer or refuses ({type(error.__cause__ or error).__name__})"


def is_missing(error: BaseException) -> bool:
    """Tell whether the server answers, and has no such database."""
    return any(isinstance(each, asyncpg.InvalidCatalogNameError) for each in _chain(error))


def of_schema(missing: Sequence[str], *, demo: bool) -> str:
    """Say that a database lacks these migrations, and what to do; the demo's is a house of its own."""
    return f"the database lacks {len(missing)} migrations: run `fensi {'demo ' if demo else ''}migrate`"


def of_request(error: BaseException) -> str:
    """Say why an HTTP request got no answer."""
    for each in _chain(error):
        if isinstance(each, aiohttp.ClientSSLError):
            return "its TLS certificate is not accepted"
        if said := _of_connection(each):
            return said
    return "the connection broke off"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # aiohttp keeps what the system said beside the chain.
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__


def _of_connection(error: BaseException) -> str | None:
    match error:
        case socket.gaierror() | aiohttp.ClientConnectorDNSError():
            return "there is no host of this name"
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "no answer in time"
        case FileNotFoundError():
            return "there is no socket in this folder"
    return None
