"""Inviting friends at the API: a code, a new member who brings it, the list of friends."""

from datetime import timedelta

from scrm.points.rulebook import install_preset
from tests.api.conftest import Mini


async def test_a_friend_comes_and_both_earn(mini: Mini) -> None:
    since = mini.clock.now() - timedelta(days=1)
    await install_preset(await mini.brand(), "zippo", since, since=since)
    old = await mini.member("老朋友")
    code = (await old.get("/invitation")).body["code"]
    assert (await old.get("/invitation")).body == {"code": code}
    assert (await old.get("/invitations")).body == {"items": [], "next": None}
    friends = []
    for name in ("小红", "小绿", "小蓝"):
        friends.append(await mini.phone(name).sign_in(invited_by=code))
        mini.clock.advance(seconds=1)
    await friends[1].call("PUT", "/profile", {"nickname": "小绿绿"})
    for phone, points in ((old, 9), (friends[0], 3)):
        me = (await phone.get("/me")).body
        assert (me["points"], me["growth"]) == (points, points // 3 * 5)
    page = (await old.get("/invitations?limit=2")).body
    assert [item["nickname"] for item in page["items"]] == ["微信用户", "小**"]
    assert page["items"][0]["came_at"] == "2026-03-09T04:00:02Z"
    assert [(item["state"], item["earned"]) for item in page["items"]] == [("counts", {"points": 3, "growth": 5})] * 2
    rest = (await old.get(f"/invitations?limit=2&before={page['next']}")).body
    assert (len(rest["items"]), rest["next"]) == (1, None)
    assert (await friends[0].get("/invitations")).body == {"items": [], "next": None}


async def test_a_code_that_brings_nothing_hinders_nobody(mini: Mini) -> None:
    phone = await mini.phone().sign_in(invited_by="NOBODYS1")
    assert (await phone.get("/me")).body["points"] == 0
    too_long = await phone.post("/sign-in", {"code": "c", "invited_by": "x" * 65})
    assert (too_long.status, too_long.body["field"]) == (422, "invited_by")
