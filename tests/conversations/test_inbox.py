"""What the inbox reads: lists with keyset, unread counts, windows; that it is told live; and a thousand at once."""

import asyncio
import json
from datetime import timedelta
from time import perf_counter

from tortoise.context import TortoiseContext

from kit.delivery import Delivery, Outcome
from kit.ids import key_of
from scrm import db as scrm_db
from scrm.conversations import closing, lines, queries, service
from scrm.conversations.changes import CHANNEL
from scrm.conversations.queries import Cursor, InboxRow, View
from scrm.conversations.watching import sweep
from scrm.db import Transaction, fetch
from scrm.outreach import service as outreach
from scrm.outreach.chances import Chance, chance_of
from scrm.outreach.service import MARGIN
from tests.conversations.office import Office, open_office
from tests.factories import TEXT, at, happens


async def listed(office: Office, view: View, staff: int, when: float, limit: int = 50) -> list[InboxRow]:
    """Return a whole list, page by page."""
    rows: list[InboxRow] = []
    after: Cursor | None = None
    while page := await queries.inbox(
        brand_id=office.brand, staff_id=staff, view=view, now=at(when), after=after, limit=limit
    ):
        rows += page
        after = page[-1].cursor(view)
    return rows


async def test_the_three_lists_in_their_orders_page_by_page(tx_db: Transaction) -> None:
    office, other = await open_office(), await open_office()
    await other.asks(await other.fan("人工"))
    me, colleague = await office.seat(0), await office.seat(0)
    ids = [(await office.asks(await office.fan("人工", when=n), n)).conversation_id for n in range(9)]
    for n in (0, 1, 2):
        await service.pull(conversation_id=ids[n], brand_id=office.brand, staff_id=me, now=at(20 + n))
    await service.pull(conversation_id=ids[3], brand_id=office.brand, staff_id=colleague, now=at(30))
    await office.says(ids[0], me, when=40)
    # The colleague's browser is gone: hers is next, before those who never had anybody.
    await sweep(at(59))
    await service.transfer(
        conversation_id=ids[3], brand_id=office.brand, staff_id=colleague, key=key_of(1), to_skill="", now=at(59)
    )
    for limit in (1, 2, 50):
        assert [row.id for row in await listed(office, "mine", me, 60, limit)] == [ids[n] for n in (0, 2, 1)]
        assert [row.id for row in await listed(office, "waiting", me, 60, limit)] == [
            ids[n] for n in (3, 4, 5, 6, 7, 8)
        ]
        assert [row.id for row in await listed(office, "all", me, 60, limit)] == [
            ids[n] for n in (0, 8, 7, 6, 5, 4, 3, 2, 1)
        ]
    # Whom she has answered she has read, and nothing of hers waits there.
    counted = await queries.counts(brand_id=office.brand, staff_id=me, now=at(60))
    assert counted == queries.Counts(3, 6, 9, unread=2, unanswered=2)
    await closing.close(conversation_id=ids[0], brand_id=office.brand, staff_id=me, now=at(61))
    assert [row.id for row in await listed(office, "mine", me, 62)] == [ids[2], ids[1]]


async def test_what_is_tapped_is_shown_and_renews_no_48_hours(tx_db: Transaction) -> None:
    office = await open_office()
    me = await office.seat()
    fan = await office.fan("人工")
    conversation = (await office.asks(fan)).conversation_id
    await happens(fan, TEXT, at(3600), {"content": "满意", "menu_id": "101"})
    await lines.heard(fan_id=fan.id, now=at(3600))
    row = await queries.one(conversation_id=conversation, brand_id=office.brand, staff_id=me, now=at(3601))
    assert row is not None
    assert (row.last_line, row.unread) == ("满意", 2)
    chance = await chance_of(fan.id, at(3661))
    assert (chance.scene, chance.until) == ("message", at(48 * 3600) - MARGIN)


async def test_a_row_says_what_there_is_to_know(tx_db: Transaction) -> None:
    office = await open_office()
    me = await office.seat()
    fan = await office.fan("第一句", "人工")
    conversation = (await office.asks(fan)).conversation_id

    async def mine(when: float, who: int = me) -> InboxRow:
        found = await queries.one(conversation_id=conversation, brand_id=office.brand, staff_id=who, now=at(when))
        assert found is not None
        return found

    first = await mine(1)
    assert (first.unread, first.last_from, first.last_line, first.following) == (2, "fan", "人工", True)
    assert await chance_of(fan.id, at(1)) == Chance(True, "window:message", "message", at(48 * 3600) - MARGIN, 5)
    await lines.read(conversation_id=conversation, brand_id=office.brand, staff_id=me)
    assert (await mine(1)).unread == 0
    assert (await mine(1, me + 1)).unread == 2
    await office.says(conversation, me, "您好", 2)
    await office.says(conversation, me, "请说", 3)
    told = await mine(4)
    assert (told.unread, told.last_from, told.last_line) == (0, "staff", "请说")
    assert (await chance_of(fan.id, at(4))).left == 3
    await office.writes(fan, "第二句\n换行", 100, heard=True)
    told = await mine(101)
    assert (told.unread, told.last_line) == (1, "第二句 换行")
    until = at(100) + timedelta(hours=48) - MARGIN
    assert await chance_of(fan.id, at(101)) == Chance(True, "window:message", "message", until, 5)
    # The page says what the gate will say.
    assert await chance_of(fan.id, until) == Chance(False, "window_closed", "", None, 0)
    assert await queries.one(conversation_id=conversation, brand_id=office.brand + 1, staff_id=me, now=at(1)) is None
    (seat,) = await queries.present(brand_id=office.brand, now=at(1))
    assert seat == {"staff_id": me, "capacity": 5, "skills": [], "present": True, "load": 1}


async def test_whoever_watches_is_told_at_the_commit(db: TortoiseContext) -> None:
    office = await open_office()
    me = await office.seat()
    told: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    def hear(_connection: object, _pid: object, _channel: object, payload: object) -> None:
        said = json.loads(str(payload))
        assert said["brand"] == office.brand
        told.put_nowait((said["conversation"], said["kind"]))

    async with scrm_db.connection() as raw:
        await raw.add_listener(CHANNEL, hear)
        try:

            async def next_kinds(count: int) -> list[str]:
                async with asyncio.timeout(5):
                    return [(await told.get())[1] for _ in range(count)]

            fan = await office.fan("人工")
            conversation = (await office.asks(fan)).conversation_id
            assert await next_kinds(3) == ["opened", "handed_over", "assigned"]
            await office.writes(fan, "在吗", 1, heard=True)
            assert await next_kinds(1) == ["message"]
            await office.says(conversation, me, when=2)
            assert await next_kinds(1) == ["message"]
            (message,) = await outreach.claim(now=at(3), lease_until=at(30))
            async with scrm_db.transaction() as tx:
                await outreach.start_sending(tx.connection, [(message.id, at(3), at(30))])
                await outreach.settle(tx.connection, [(message.id, Delivery(Outcome.SENT), at(3))])
                assert told.empty(), "nothing is told before it is true"
            assert await next_kinds(1) == ["delivery"]
            # One that the gate refuses at the last moment, and one nobody knows the end of.
            await office.says(conversation, me, when=4)
            (message,) = await outreach.claim(now=at(49 * 3600), lease_until=at(50 * 3600))
            async with scrm_db.transaction() as tx:
                assert await outreach.start_sending(tx.connection, [(message.id, at(49 * 3600), at(50 * 3600))]) == [
                    "window_closed"
                ]
            assert await next_kinds(2) == ["message", "delivery"]
            await office.writes(fan, "在吗", 50 * 3600)
            await office.says(conversation, me, when=50 * 3600 + 1)
            (message,) = await outreach.claim(now=at(50 * 3600 + 2), lease_until=at(50 * 3600 + 9))
            async with scrm_db.transaction() as tx:
                await outreach.start_sending(tx.connection, [(message.id, at(50 * 3600 + 2), at(50 * 3600 + 9))])
            await outreach.recover(now=at(50 * 3600 + 9))
            assert await next_kinds(2) == ["message", "delivery"]
            await lines.read(conversation_id=conversation, brand_id=office.brand, staff_id=me)
            assert await next_kinds(1) == ["read"]
            assert told.empty()
        finally:
            await raw.remove_listener(CHANNEL, hear)


async def test_a_thousand_open_conversations(db: TortoiseContext) -> None:
    """One statement reads a list of a thousand with what is unread; its plan reads by index."""
    office = await open_office()
    me = await office.seat(0)
    async with scrm_db.connection() as raw:
        await raw.execute(
            """
            WITH person AS (
                INSERT INTO member (created_at) SELECT $2 FROM generate_series(1, 1000) RETURNING id
            ), fan AS (
                INSERT INTO fan (account_id, openid, member_id, following, created_at)
                SELECT $1, 'oMany' || id, id, true, $2 FROM person RETURNING id, member_id
            )
            INSERT INTO conversation (brand_id, account_id, fan_id, member_id, state, staff_id, opened_at, heard_since,
                                      asked_at, waiting_since, last_at, last_from, last_line, heard,
                                      last_fan_message_at)
            SELECT $3, $1, id, member_id, 'staff', $4, $2, $2, $2, $2, $2, 'fan', '在吗', 3, $2 FROM fan
            """,
            office.account,
            at(0),
            office.brand,
            me,
        )
        await raw.execute(
            """
            WITH said AS (
                INSERT INTO outreach_decision
                    (key, account_id, fan_id, member_id, purpose, allowed, reason, facts, decided_at)
                SELECT gen_random_uuid(), account_id, fan_id, member_id, 'service', true, '', '{}', $1
                FROM conversation, generate_series(1, 2) RETURNING id, account_id, fan_id
            )
            INSERT INTO outbox (decision_id, account_id, fan_id, body, state, due_at, created_at, sent_at)
            SELECT id, account_id, fan_id, '{}', 'sent', $1, $1, $1 FROM said
            """,
            at(1),
        )
        await raw.execute("ANALYZE")
    took = []
    for _ in range(3):
        begun = perf_counter()
        rows = await queries.inbox(brand_id=office.brand, staff_id=me, view="mine", now=at(2), limit=1000)
        took.append(perf_counter() - begun)
    assert len(rows) == 1000
    assert {row.unread for row in rows} == {3}
    print(f"1,000 open conversations in {min(took) * 1000:.0f} ms")  # noqa: T201  # a figure to read, not to assert
    counted = await queries.counts(brand_id=office.brand, staff_id=me, now=at(2))
    assert counted == queries.Counts(1000, 0, 1000, unread=1000, unanswered=1000)
    assert len(await fetch("SELECT 1 FROM outbox")) == 2000
