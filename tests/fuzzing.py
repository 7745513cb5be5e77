"""Whatever is sent to one of our APIs, what comes back is what its OpenAPI document says: schemathesis on a stage.

schemathesis makes the requests, right ones and wrong ones, and judges the answers. FENSI_TEST_EXAMPLES=1000 makes it a
long run; without it the requests are the same each time.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = int(os.environ.get("FENSI_TEST_EXAMPLES", "8"))
# Bytes of a request's first line; of a longer one nothing of ours hears, aiohttp refuses it.
LONGEST_LINE = 8000
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]

as_many = settings(
    max_examples=EXAMPLES,
    derandomize="FENSI_TEST_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def name_of(operation: Any) -> str:
    """Return an operation's name."""
    name: str = operation.definition.raw["operationId"]
    return name


def schema_of(document: dict[str, Any]) -> Any:
    """Return schemathesis's view of a document, which it changes."""
    return schemathesis.openapi.from_dict(document)


def operations_of(schema: Any) -> dict[str, Any]:
    """Return all operations by their names."""
    return {name_of(found.ok()): found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)}


@dataclass
class Stage(ABC):
    """A server without limits, and somebody who has something of everything. The requests come from a thread."""

    address: str
    loop: asyncio.AbstractEventLoop
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What always stands in a path."""
    real: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """What stands for something real: a name in a path, a query or a body, and its value."""
    right: Any = None
    """A body that is right, for an operation whose rules no schema says; it stands in the place of the whole."""

    UNAVAILABLE: ClassVar[frozenset[str]] = frozenset()
    """These operations may say 503: what they need besides us is not there."""
    ENDING: ClassVar[frozenset[str]]
    """After these operations whoever asks may have to sign in again."""

    @abstractmethod
    def signed(self) -> dict[str, Any]:
        """Return what a call carries of whoever is signed in, such as headers."""

    @abstractmethod
    async def sign_in(self) -> object:
        """Sign in again."""

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the test's loop do something, from the thread of the requests."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def put_in(self, case: Case[Any]) -> None:
        """Put what there is in the place of what was made up."""
        if self.right is not None:
            case.body = deepcopy(self.right)
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                part.update({name: self.real[name]() for name in part.keys() & self.real.keys()})

    def judge(self, case: Case[Any], response: Response) -> int:
        """Hold an answer against the document, and go on as somebody whose session may have ended."""
        if response.status_code == 400 and len(response.request.url or "") > LONGEST_LINE:
            return 400
        away = response.status_code == 503 and name_of(case.operation) in self.UNAVAILABLE
        assert response.status_code < 500 or away, (case.as_curl_command(), response.content)
        case.validate_response(response, checks=CHECKS)
        if response.status_code == 401 or name_of(case.operation) in self.ENDING:
            self.wait(self.sign_in())
        return response.status_code

    async def play(self, operation: Any) -> set[int]:
        """Ask for one operation rightly and wrongly, signed in and not; returns the statuses of the answers."""
        answered: set[int] = set()
        fixed = {"path_parameters": dict(self.fixed)} if self.fixed else {}

        def ask(mode: GenerationMode) -> None:
            @as_many
            @given(
                case=operation.as_strategy(generation_mode=mode, **fixed),
                real=st.booleans(),
                own_token=st.integers(0, 15).map(lambda n: n == 15),
            )
            def holds(case: Case[Any], real: bool, own_token: bool) -> None:
                if real:
                    self.put_in(case)
                session.cookies.clear()
                carried = {} if own_token else self.signed()
                response = case.call(base_url=self.address, session=session, **carried)
                answered.add(self.judge(case, response))

            with requests.Session() as session:
                holds()

        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            await asyncio.to_thread(ask, mode)
        return answered
