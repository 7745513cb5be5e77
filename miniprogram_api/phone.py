"""Binding the phone number that WeChat vouches for."""

from typing import Annotated

from pydantic import BaseModel, Field

from kit import masking
from miniprogram_api.surface import SURFACE, Call, Taken
from miniprogram_api.wechat import asked, away, client_of
from scrm.errors import Forbidden, Unavailable
from scrm.members import queries
from scrm.members.phones import bind_phone


class PhoneCode(Taken):
    """A code of the phone-number button: it counts once, for five minutes."""

    code: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]


class PhoneBound(BaseModel):
    """The number, masked."""

    phone: str


@SURFACE.post("/phone", network=True, errors=[Forbidden, Unavailable])
async def bind(call: Call, body: PhoneCode) -> PhoneBound:
    """绑定手机号.

    Whoever has this number elsewhere is the same member from then on.
    """
    fan = await queries.fan(call.me.fan_id)
    assert fan is not None  # noqa: S101  # the guard has just read the session of this fan
    answer = await asked(client_of(call).login.phone_number(body.code, fan.openid), "phone number")
    number, country = answer.get("purePhoneNumber"), answer.get("countryCode")
    # The country comes as a text or as a number.
    if not isinstance(number, str) or not number or not isinstance(country, str | int) or not country:
        raise away()
    await bind_phone(call.parts.sealer, fan_id=fan.id, number=f"+{country}{number}", now=call.now)
    return PhoneBound(phone=masking.phone(f"+{country}{number}"))
