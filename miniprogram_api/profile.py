"""What a member says of themselves; every field is optional."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from miniprogram_api.surface import SURFACE, Call, Day, Taken, Text
from scrm.errors import Conflict
from scrm.members import profiles

Gender = Literal["male", "female", "other"]
Short = Annotated[Text, Field(min_length=1, max_length=32)]


class ProfileInput(Taken):
    """What is to change: a field that is left out stays, null clears it. The phone number is bound, not written."""

    nickname: Short | None = None
    name: Short | None = None
    gender: Gender | None = None
    birthday: Day | None = None
    province: Short | None = None
    city: Short | None = None
    avatar: Annotated[Text, Field(max_length=500, pattern=r"^https://\S+$")] | None = None


class ProfileView(BaseModel):
    """The member's profile; null is not known. `phone` is masked."""

    nickname: str | None
    name: str | None
    phone: str | None
    gender: Gender | None
    birthday: date | None
    province: str | None
    city: str | None
    avatar: str | None


@SURFACE.get("/profile")
async def profile(call: Call) -> ProfileView:
    """我的资料."""
    return _view(await profiles.of(call.parts.sealer, call.me.member_id))


# PUT, although it changes only what it names: wx.request knows no PATCH.
@SURFACE.put("/profile", errors=[Conflict])
async def change_profile(call: Call, body: ProfileInput) -> ProfileView:
    """修改我的资料.

    A field that is left out stays as it is; null clears it.
    """
    me = call.me
    changed = await profiles.update(
        call.parts.sealer,
        member_id=me.member_id,
        account_id=me.account_id,
        fan_id=me.fan_id,
        changes={field: getattr(body, field) for field in body.model_fields_set},
        now=call.now,
    )
    return _view(changed)


def _view(found: profiles.Profile) -> ProfileView:
    return ProfileView.model_validate(
        {
            "nickname": found.nickname,
            "name": found.name,
            "phone": found.masked_phone,
            "gender": found.gender,
            "birthday": found.birthday,
            "province": found.province,
            "city": found.city,
            "avatar": found.avatar,
        }
    )
