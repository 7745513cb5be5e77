"""Whatever is sent to the members' API, what comes back is what its OpenAPI document says.

schemathesis makes the requests, right ones and wrong ones, and judges the answers. FENSI_TEST_EXAMPLES=1000 makes it a
long run; without it the requests are the same each time.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
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

import miniprogram_api
from scrm.checkins.service import set_policy
from scrm.gifts import catalogue
from scrm.gifts.catalogue import GiftTerms
from scrm.points.rulebook import install_preset
from tests.api.conftest import NO_LIMITS, Mini, Phone
from tests.api.test_repetitions import HOME, gift

EXAMPLES = int(os.environ.get("FENSI_TEST_EXAMPLES", "15"))
SCHEMA = schemathesis.openapi.from_dict(miniprogram_api.document())  # it changes what it is given


def name_of(operation: Any) -> str:
    name: str = operation.definition.raw["operationId"]
    return name


# After these the member may have to sign in again.
ENDING = {"sign_out", "refresh", "delete_me"}
OPERATIONS = {name_of(found.ok()): found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}
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


@dataclass
class Stage:
    """A server without limits, and a member who has something of everything. The requests come from a thread."""

    phone: Phone
    loop: asyncio.AbstractEventLoop
    real: dict[str, Callable[[], Any]]
    """What stands for something real: a name in a path or a body, and its value."""

    def code(self, which: str) -> str:
        return asyncio.run_coroutine_threadsafe(self.phone.code(which), self.loop).result()

    def put_in(self, case: Case[Any]) -> None:
        """Put what there is in the place of what was made up."""
        for part in (case.path_parameters, case.body):
            if isinstance(part, dict):
                part.update({name: self.real[name]() for name in part.keys() & self.real.keys()})

    def judge(self, case: Case[Any], response: Response) -> int:
        """Hold an answer against the document, and go on as a member whose session may have ended."""
        assert response.status_code < 500, (case.as_curl_command(), response.content)
        case.validate_response(response, checks=CHECKS)
        if response.status_code == 401 or name_of(case.operation) in ENDING:
            asyncio.run_coroutine_threadsafe(self.phone.sign_in(), self.loop).result()
        return response.status_code

    @property
    def signed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.phone.access}"}


@pytest.fixture
async def stage(mini: Mini) -> AsyncIterator[Stage]:
    since, now = mini.clock.now() - timedelta(days=100), mini.clock.now()
    brand = await mini.brand()
    await install_preset(brand, "zippo", since, since=since)
    await set_policy(brand_id=brand, cards_per_month=5)
    phone = await mini.member()
    await phone.earn(10**6)
    place = (await phone.post("/addresses", HOME)).body["id"]
    physical = await gift(mini, stock=10**4)
    virtual = await catalogue.create_gift(
        brand_id=brand, kind="virtual", terms=GiftTerms(name="电子券", price=1), now=now
    )
    await catalogue.load_codes(mini.services.sealer, gift_id=virtual, codes=[f"code-{n}" for n in range(20)])
    made = (await phone.post(f"/gifts/{physical}/redeem", {"address_id": place})).body["id"]
    coded = (await phone.post(f"/gifts/{virtual}/redeem", {})).body["id"]
    async with mini.limited(NO_LIMITS) as phone.address:
        stage = Stage(phone, asyncio.get_running_loop(), {})
        stage.real = {
            "address_id": lambda: place,
            "gift_id": lambda: physical,
            "redemption_id": lambda: made,
            "virtual_redemption_id": lambda: coded,
            "refresh_token": lambda: phone.refresh,
            "day": lambda: "2026-03-08",
        }
        yield stage


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_answer_is_documented(stage: Stage, name: str) -> None:
    operation = OPERATIONS[name]
    answered: set[int] = set()
    if name in {"sign_in", "bind"}:
        stage.real["code"] = lambda: stage.code("login_code" if name == "sign_in" else "phone_code")
    elif name == "show_code":
        stage.real["redemption_id"] = stage.real["virtual_redemption_id"]
    elif name == "delete_me":
        # While a gift is on its way nobody leaves.
        for open_one in ("redemption_id", "virtual_redemption_id"):
            assert (await stage.phone.post(f"/redemptions/{stage.real[open_one]()}/cancel", {})).status == 200

    def play(mode: GenerationMode) -> None:
        fixed = {"appid": stage.phone.appid}

        @as_many
        @given(
            case=operation.as_strategy(generation_mode=mode, path_parameters=fixed),
            real=st.booleans(),
            own_token=st.integers(0, 15).map(lambda n: n == 15),
        )
        def holds(case: Case[Any], real: bool, own_token: bool) -> None:
            if real:
                stage.put_in(case)
            response = case.call(
                base_url=stage.phone.address, session=session, headers={} if own_token else stage.signed
            )
            answered.add(stage.judge(case, response))

        with requests.Session() as session:
            holds()

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        await asyncio.to_thread(play, mode)
    # Neither was everything let in, nor everything turned away at the door.
    assert min(answered) < 300, answered
    assert max(answered) >= 400, answered


async def test_what_one_answer_gives_goes_into_the_next_request(stage: Stage) -> None:
    """Chains that schemathesis finds in the document, such as add, change and remove an address."""
    done: set[str] = set()

    class Workflow(SCHEMA.as_state_machine()):  # type: ignore[misc]  # made at run time
        def before_call(self, case: Case[Any]) -> None:
            case.path_parameters["appid"] = stage.phone.appid
            # Chains begin with these two; so that they go on, they are right ones. Wrong ones are made above.
            if name_of(case.operation) == "add_address":
                case.body = dict(HOME)
            elif name_of(case.operation) == "cancel_redemption":
                stage.put_in(case)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"base_url": stage.phone.address, "headers": stage.signed, "session": session}

        def validate_response(self, response: Response, case: Case[Any], **_more: Any) -> None:
            if stage.judge(case, response) < 300:
                done.add(name_of(case.operation))

    with requests.Session() as session:
        await asyncio.to_thread(Workflow.run, settings=settings(as_many, stateful_step_count=12))
    assert {"add_address", "address", "remove_address", "cancel_redemption", "redemption"} <= done
