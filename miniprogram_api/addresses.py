"""Where a member wants things sent: masked in lists, in clear only to its owner editing it."""

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, Field

from miniprogram_api.surface import SURFACE, Call, Taken, Text
from scrm.errors import Conflict, NotFound
from scrm.gifts import addresses
from scrm.gifts.addresses import Address


class AddressInput(Taken):
    """A postal address in China."""

    name: Annotated[Text, Field(min_length=1, max_length=32)]
    phone: Annotated[Text, Field(min_length=5, max_length=20, pattern=r"^\+?[0-9][0-9-]{4,19}$")]
    region: Annotated[Text, Field(min_length=1, max_length=64)]
    detail: Annotated[Text, Field(min_length=1, max_length=128)]


class NewAddress(AddressInput):
    """A new address; the first is the default anyway."""

    is_default: bool = False


class MaskedAddress(BaseModel):
    """An address, masked."""

    id: int
    name: str
    phone: str
    region: str
    detail: str
    is_default: bool


class AddressList(BaseModel):
    """All addresses, the default first."""

    items: list[MaskedAddress]


class ClearAddress(BaseModel):
    """An address in clear."""

    name: str
    phone: str
    region: str
    detail: str


class AddressMade(BaseModel):
    """The id of a new address."""

    id: int


@SURFACE.get("/addresses")
async def address_list(call: Call) -> AddressList:
    """我的收货地址."""
    found = await addresses.every(call.parts.sealer, call.me.member_id)
    return AddressList(items=[MaskedAddress.model_validate(asdict(one)) for one in found])


@SURFACE.post("/addresses", status=201, errors=[Conflict])
async def add_address(call: Call, body: NewAddress) -> AddressMade:
    """新增收货地址."""
    made = await addresses.add(
        call.parts.sealer,
        member_id=call.me.member_id,
        address=_address(body),
        now=call.now,
        default=body.is_default,
    )
    return AddressMade(id=made)


@SURFACE.get("/addresses/{address_id}", errors=[NotFound])
async def address(call: Call, address_id: int) -> ClearAddress:
    """一个收货地址（编辑用，不打码）."""
    found = await addresses.one(call.parts.sealer, call.me.member_id, address_id)
    return ClearAddress.model_validate(asdict(found))


@SURFACE.put("/addresses/{address_id}", status=204, errors=[NotFound])
async def change_address(call: Call, address_id: int, body: AddressInput) -> None:
    """修改收货地址."""
    await addresses.change(
        call.parts.sealer, member_id=call.me.member_id, address_id=address_id, address=_address(body)
    )


@SURFACE.delete("/addresses/{address_id}", status=204, errors=[NotFound])
async def remove_address(call: Call, address_id: int) -> None:
    """删除收货地址."""
    await addresses.remove(member_id=call.me.member_id, address_id=address_id)


@SURFACE.post("/addresses/{address_id}/default", status=204, errors=[NotFound])
async def default_address(call: Call, address_id: int) -> None:
    """设为默认地址."""
    await addresses.set_default(member_id=call.me.member_id, address_id=address_id)


def _address(given: AddressInput) -> Address:
    return Address(given.name, given.phone, given.region, given.detail)
