"""The members' API under whatever may be sent to it (tests.fuzzing); and what one answer gives to the next."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import settings
from schemathesis import Case, Response

import miniprogram_api
from scrm.checkins.service import set_policy
from scrm.gifts import catalogue, service
from scrm.gifts.catalogue import GiftTerms
from scrm.points.rulebook import install_preset
from tests.api.conftest import NO_LIMITS, Mini, Phone
from tests.api.test_repetitions import HOME, gift
from tests.fuzzing import Stage, as_many, name_of, operations_of, schema_of

SCHEMA = schema_of(miniprogram_api.document())
OPERATIONS = operations_of(SCHEMA)


@dataclass(kw_only=True)
class Member(Stage):
    """A member who has something of everything."""

    phone: Phone

    ENDING = frozenset({"sign_out", "refresh", "delete_me"})

    def signed(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.phone.access}"}}

    async def sign_in(self) -> object:
        return await self.phone.sign_in()

    def code(self, which: str) -> Any:
        return self.wait(self.phone.code(which))


@pytest.fixture
async def stage(mini: Mini) -> AsyncIterator[Member]:
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
    await catalogue.load_codes(mini.services.sealer, gift_id=virtual, codes=[f"code-{n}" for n in range(20)], now=now)
    made = (await phone.post(f"/gifts/{physical}/redeem", {"address_id": place})).body["id"]
    coded = (await phone.post(f"/gifts/{virtual}/redeem", {})).body["id"]
    async with mini.limited(NO_LIMITS) as phone.address:
        stage = Member(phone.address, asyncio.get_running_loop(), {"appid": phone.appid}, phone=phone)
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
async def test_every_answer_is_documented(stage: Member, name: str) -> None:
    if name in {"sign_in", "bind"}:
        stage.real["code"] = lambda: stage.code("login_code" if name == "sign_in" else "phone_code")
    elif name == "show_code":
        stage.real["redemption_id"] = stage.real["virtual_redemption_id"]
    elif name == "confirm_arrival":
        sent = {"company": "顺丰", "number": "SF1"}
        await service.ship(redemption_id=stage.real["redemption_id"](), **sent, now=datetime.now(UTC))
    elif name == "delete_me":
        # While a gift is on its way nobody leaves.
        for open_one in ("redemption_id", "virtual_redemption_id"):
            assert (await stage.phone.post(f"/redemptions/{stage.real[open_one]()}/cancel", {})).status == 200
    answered = await stage.play(OPERATIONS[name])
    # Neither was everything let in, nor everything turned away at the door.
    assert min(answered) < 300, answered
    assert max(answered) >= 400, answered


async def test_what_one_answer_gives_goes_into_the_next_request(stage: Member) -> None:
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
            return {"base_url": stage.address, "session": session, **stage.signed()}

        def validate_response(self, response: Response, case: Case[Any], **_more: Any) -> None:
            if stage.judge(case, response) < 300:
                done.add(name_of(case.operation))

    with requests.Session() as session:
        await asyncio.to_thread(Workflow.run, settings=settings(as_many, stateful_step_count=12))
    assert {"add_address", "address", "remove_address", "cancel_redemption", "redemption"} <= done
