"""The Idempotency-Key of a write: the same key and request get the same answer, done once."""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from kit.clock import Clock
from kit.seal import Sealer
from scrm.access import requests
from scrm.access.requests import Answered
from scrm.errors import DomainError, Invalid
from web.problems import problem

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def key_of_request(request: web.Request) -> str | None:
    """Return the key of a request, None without one. Raises Invalid for one that is none."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid("应为 1 到 64 位字母、数字或 _ . : -", field=HEADER)
    return key


class Repetitions:
    """Answers writes that come again."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    async def once(
        self,
        request: web.Request,
        body: bytes,
        work: Callable[[], Awaitable[Answered]],
        *,
        scope: str,
        key: str,
        network: bool,
    ) -> Answered:
        """Return the answer of `work`, done once for this scope and key.

        Work without network shares the transaction that keeps its answer. Work with network opens its own, and
        has to be harmless when a process dies in between and another does it again.
        """
        digest = hashlib.sha256(b"\0".join([request.method.encode(), request.path_qs.encode(), body])).hexdigest()
        claimed = await requests.claim(
            self._sealer, scope=scope, key=key, request_hash=digest, owner=uuid.uuid4(), now=self._clock.now()
        )
        if isinstance(claimed, Answered):
            return claimed
        try:
            if not network:
                return await requests.carry_out(self._sealer, claimed, work)
            answer = await work()
        except DomainError as error:
            if error.status >= 500 or error.status == 429 or error.code == "in_flight":
                await requests.give_up(claimed)
                raise
            # A refusal is an answer: whoever asks again with this key is told the same.
            answer = Answered(error.status, problem(error.status, error.code, error.title, error.field).text or "")
        except BaseException:
            await requests.give_up(claimed)
            raise
        await requests.keep(self._sealer, claimed, answer)
        return answer
