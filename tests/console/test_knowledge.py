"""The knowledge base through the API: versions, who came too late, import, synonyms, brands apart, the trail."""

from typing import Any

import aiohttp

from scrm import db
from tests.console.conftest import Browser, Office


def qa(title: str, body: str = "十点。", **more: Any) -> dict[str, Any]:
    return {"title": title, "body": body, **more}


async def written(who: Browser, brand_id: int, title: str = "几点开门？", body: str = "十点。") -> int:
    """Write a draft and return its id."""
    made = await who.post("/knowledge/entries", {"brand_id": brand_id, "kind": "qa", **qa(title, body)})
    assert made.status == 201, made
    found: int = made.body["id"]
    return found


async def knowledge_trail(office: Office) -> list[tuple[str, str]]:
    return [line for line in await office.trail() if line[0].startswith("knowledge.")]


async def test_an_entry_from_draft_to_archive_leaves_a_line_for_each_change(office: Office) -> None:
    who, (brand_id, _) = await office.signed_in("operator"), office.brands
    made = await written(who, brand_id)
    path = f"/knowledge/entries/{made}"
    shown = (await who.get(path)).body
    assert (shown["status"], shown["newest"]["number"], shown["published"]) == ("draft", 1, None)
    assert shown["newest"]["author"].startswith("员工")
    assert (await who.call("PUT", path, {**qa("几点开门？", "九点半。"), "expected": 1})).body == {"number": 2}
    # The same again is no change, and leaves no line.
    assert (await who.call("PUT", path, {**qa("几点开门？", "九点半。"), "expected": 2})).body == {"number": 2}
    for version in (2, 2, 1):
        assert (await who.post(f"{path}/publish", {"version": version})).status == 204
    shown = (await who.get(path)).body
    assert (shown["newest"]["body"], shown["published"]["body"]) == ("九点半。", "十点。")
    assert (await who.post(f"{path}/publish", {"version": 3})).said == (404, "not_found")
    for verb in ("withdraw", "withdraw", "archive"):
        assert (await who.post(f"{path}/{verb}")).status == 204
    assert (await who.post(f"{path}/publish", {"version": 1})).said == (409, "archived")
    assert (await who.post(f"{path}/restore")).status == 204
    assert [action for action, _ in await knowledge_trail(office)] == [
        "knowledge.added",
        "knowledge.changed",
        "knowledge.published",
        "knowledge.published",
        "knowledge.withdrawn",
        "knowledge.archived",
        "knowledge.restored",
    ]
    versions = (await who.get(f"{path}/versions?limit=1")).body
    assert ([one["number"] for one in versions["items"]], versions["next"]) == ([2], 2)
    versions = (await who.get(f"{path}/versions?before=2")).body
    assert ([one["number"] for one in versions["items"]], versions["next"]) == ([1], None)


async def test_who_saves_too_late_changes_nothing(office: Office) -> None:
    first, second = await office.signed_in("operator"), await office.signed_in("supervisor")
    made = await written(first, office.brands[0])
    path = f"/knowledge/entries/{made}"
    assert (await first.call("PUT", path, {**qa("几点开门？", "九点。"), "expected": 1})).body == {"number": 2}
    trail = await office.trail()
    late = await second.call("PUT", path, {**qa("几点开门？", "八点。"), "expected": 1})
    assert late.said == (409, "stale_version")
    assert (await second.get(path)).body["newest"]["body"] == "九点。"
    assert await office.trail() == trail


async def test_lists_are_filtered_and_paged(office: Office) -> None:
    who, (brand_id, _) = await office.signed_in("operator"), office.brands
    ids = [await written(who, brand_id, f"问题 {n}") for n in range(3)]
    await who.post(f"/knowledge/entries/{ids[0]}/publish", {"version": 1})
    await who.post(f"/knowledge/entries/{ids[1]}/archive")

    async def listed(**more: Any) -> tuple[list[int], int | None]:
        page = (await who.post("/knowledge/search", {"brand": brand_id, **more})).body
        return [one["id"] for one in page["items"]], page["next"]

    assert await listed() == ([ids[2], ids[0]], None)
    assert await listed(limit=1) == ([ids[2]], ids[2])
    assert await listed(limit=1, before=ids[2]) == ([ids[0]], None)
    assert await listed(status="archived") == ([ids[1]], None)
    assert await listed(status="published") == ([ids[0]], None)
    assert await listed(text="问题 2") == ([ids[2]], None)
    assert await listed(text="%") == ([], None)
    assert await listed(kind="article") == ([], None)


async def test_another_brands_knowledge_does_not_exist(office: Office) -> None:
    ours, theirs = office.brands
    boss = await office.signed_in()
    made = await written(boss, theirs)
    path = f"/knowledge/entries/{made}"
    who = await office.signed_in("operator", [ours])
    answers = [
        await who.post("/knowledge/search", {"brand": theirs}),
        await who.get(path),
        await who.get(f"{path}/versions"),
        await who.call("PUT", path, {**qa("x"), "expected": 1}),
        await who.post(f"{path}/publish", {"version": 1}),
        await who.post(f"{path}/archive"),
        await who.post("/knowledge/entries", {"brand_id": theirs, "kind": "qa", **qa("x")}),
        await who.get(f"/knowledge/synonyms?brand={theirs}"),
        await who.call("PUT", "/knowledge/synonyms", {"brand_id": theirs, "groups": [["a", "b"]], "expected": 0}),
        await who.post("/knowledge/question", {"brand": theirs, "text": "x"}),
        await who.get(f"/assistant/answers?brand={theirs}"),
        await who.get(f"/assistant/unanswered?brand={theirs}"),
        await who.get(f"/assistant/settings?brand={theirs}"),
    ]
    assert [answer.said for answer in answers] == [(404, "not_found")] * len(answers)
    row = (await db.fetch("SELECT status, newest FROM knowledge_entry WHERE id = $1", made))[0]
    assert (row["status"], row["newest"]) == ("draft", 1)


async def test_a_file_is_imported_once_and_reported_by_line(office: Office) -> None:
    who, (brand_id, _) = await office.signed_in("operator"), office.brands
    table = "编号,问题,答案\nopen,几点开门？,十点。\nbad,没有答案,\n"

    async def imported(data: bytes, more: str = "") -> tuple[int, Any]:
        url = f"{office.address}/knowledge/import?brand={brand_id}&format=csv{more}"
        headers = {"Cookie": f"fensi_staff={who.cookie}", "X-CSRF-Token": who.csrf}
        async with aiohttp.ClientSession() as http, http.post(url, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    status, report = await imported(table.encode())
    assert (status, report["created"], report["rejected"]) == (200, 1, 1)
    assert [(one["line"], one["outcome"]) for one in report["lines"]] == [(3, "rejected"), (2, "created")]
    assert "1 到 2000" in report["lines"][0]["reason"]
    assert (await imported(table.encode()))[1]["unchanged"] == 1
    assert (await imported(table.encode(), "&publish=true"))[1]["updated"] == 1
    status, problem = await imported(b"a,b\n1,2\n")
    assert (status, problem["field"]) == (422, "file")
    assert [action for action, _ in await knowledge_trail(office)] == ["knowledge.imported", "knowledge.imported"]


async def test_synonyms_are_changed_by_who_has_seen_them(office: Office) -> None:
    who, (brand_id, _) = await office.signed_in("operator"), office.brands
    assert (await who.get(f"/knowledge/synonyms?brand={brand_id}")).body == {"groups": [], "number": 0}

    async def put(groups: list[list[str]], expected: int) -> Any:
        body = {"brand_id": brand_id, "groups": groups, "expected": expected}
        return await who.call("PUT", "/knowledge/synonyms", body)

    assert (await put([["运费", "邮费"]], 0)).body == {"number": 1}
    assert (await put([["运费", "邮费"]], 1)).body == {"number": 1}
    assert (await put([["积分", "分数"]], 0)).said == (409, "stale_version")
    assert (await put([["运费"]], 1)).said == (422, "invalid")
    assert (await who.get(f"/knowledge/synonyms?brand={brand_id}")).body == {"groups": [["运费", "邮费"]], "number": 1}
    assert await knowledge_trail(office) == [("knowledge.synonyms", (await who.get("/me")).body["name"])]
