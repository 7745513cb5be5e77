"""A member's profile at the API: optional fields, what is left out stays, the phone number masked."""

from tests.api.conftest import Mini

EMPTY = dict.fromkeys(("nickname", "name", "phone", "gender", "birthday", "province", "city", "avatar"))


async def test_a_profile_is_filled_in_step_by_step(mini: Mini) -> None:
    phone = await mini.member()
    assert (await phone.get("/profile")).body == EMPTY
    given = {"nickname": " 小明 ", "name": "王小明", "birthday": "1990-05-01", "avatar": "https://example.com/a.png"}
    first = await phone.call("PUT", "/profile", given, key="a")
    assert (first.status, first.body) == (200, EMPTY | given | {"nickname": "小明"})
    second = await phone.call("PUT", "/profile", {"birthday": None, "gender": "female"})
    assert second.body == first.body | {"birthday": None, "gender": "female"}
    assert (await phone.get("/profile")).body == second.body
    assert (await phone.call("PUT", "/profile", given, key="a")).body == first.body
    assert (await phone.get("/profile")).body == second.body, "a repetition does nothing again"


async def test_a_bound_number_is_shown_masked_and_cannot_be_written(mini: Mini) -> None:
    phone = await mini.member()
    bound = (await phone.post("/phone", {"code": await phone.code("phone_code")})).body
    shown = (await phone.get("/profile")).body["phone"]
    assert shown == bound["phone"]
    assert (len(shown), shown[3:7]) == (11, "****")
    refused = await phone.call("PUT", "/profile", {"phone": "+8613800008000"})
    assert (refused.status, refused.body["field"]) == (422, "phone")


async def test_wrong_fields_are_named(mini: Mini) -> None:
    phone = await mini.member()
    for given in (
        {"nickname": "长" * 33},
        {"name": "   "},
        {"gender": "x"},
        {"birthday": "3000-01-01"},
        {"birthday": "1990-13-01"},
        {"birthday": 641520000},
        {"birthday": "1990-05-01T00:00:00"},
        {"avatar": "http://x"},
    ):
        refused = await phone.call("PUT", "/profile", given)
        assert (refused.status, refused.body["field"]) == (422, next(iter(given)))
    assert (await phone.get("/profile")).body == EMPTY


async def test_everybody_has_their_own(mini: Mini) -> None:
    one, other = await mini.member(), await mini.member("小红")
    await one.call("PUT", "/profile", {"nickname": "一"})
    assert (await other.get("/profile")).body == EMPTY
