"""Account deletion (PIPL): nothing personal is left anywhere, what is counted stays, and who comes again is new."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from kit.clock import ManualClock, natural_day
from kit.ids import key_of
from scrm.access import leaving
from scrm.access import service as access
from scrm.access.leaving import delete_account
from scrm.access.tokens import NotSignedIn, Tokens
from scrm.accounts.models import Account
from scrm.db import fetch, transaction
from scrm.errors import Conflict
from scrm.events import service as events
from scrm.gifts import addresses
from scrm.gifts import service as gifts
from scrm.gifts.addresses import Address
from scrm.members import profiles
from scrm.members import queries as members
from scrm.members.phones import bind_phone
from scrm.members.queries import FanView
from scrm.members.service import link_unionid
from scrm.outreach import service as outreach
from scrm.points import ledger
from scrm.points.maturing import Promise, promise
from scrm.pushes import accepting
from scrm.referrals import service as referrals
from tests.conftest import START
from tests.factories import SEALER, TEXT, at, happens, make_account, value
from tests.gifts.shop import Shop, earn
from tests.points.books import audit
from worker import schedules
from worker.schedules import Services

TOKENS = Tokens(SEALER.key("member tokens"))
NUMBER, UNIONID, NICKNAME, NAME = "+8613812348000", "union-of-xiaoming", "爱喝茶的小明", "欧阳小明"
PLACE = Address(NAME, "13900139000", "浙江省杭州市", "湖滨路88号2单元")
WORDS, ANSWER, REASON, PARCEL = "我家的秘密", "小明您好", "搬家到文三路", "SF1234567890"
PERSONAL = ["o-official", "o-mini", UNIONID, NUMBER[3:], NICKNAME, NAME, PLACE.phone, PLACE.detail]
PERSONAL += [WORDS, ANSWER, REASON, PARCEL, "1990-05-01", "example.com/face"]


async def dump() -> str:
    """Return every row of every table as text, with what is sealed opened."""
    tables = await fetch(
        """
        SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        ORDER BY relname
        """
    )
    text = ""
    for table in tables:
        rows = await fetch(f'SELECT t::text AS row FROM "{table["relname"]}" t')  # noqa: S608  # names of our tables
        text += "\n".join(row["row"] for row in rows)
    for seal in set(re.findall(r"gAAAAA[\w=-]+", text)):
        text += "\n" + SEALER.open(seal)
    return text


class Life:
    """A member with an official account and a mini-program, who did everything that can be done."""

    def __init__(self, shop: Shop, official: int) -> None:
        self.shop, self.official_id = shop, official
        self.refresh = ""

    @classmethod
    async def lived(cls) -> "Life":
        official = await make_account(brand="茶馆")
        account = await make_account(kind="miniprogram", brand="茶馆")
        brand_id = await Account.get(id=account).values_list("brand_id", flat=True)
        assert isinstance(brand_id, int)
        life = cls(Shop(account, brand_id), official)
        await life.signs_in()
        life.mini = await life.at(account, "o-mini")
        await life.writes("first", ANSWER)
        life.official = await life.at(official, "o-official")
        await link_unionid(fan_id=life.official.id, unionid=UNIONID, now=START)
        for fan in (life.official, life.mini):
            await bind_phone(SEALER, fan_id=fan.id, number=NUMBER, now=START)
        await profiles.update(
            SEALER,
            member_id=life.mini.member_id,
            account_id=account,
            fan_id=life.mini.id,
            changes={"nickname": NICKNAME, "name": NAME, "avatar": "https://example.com/face.png"}
            | {"birthday": profiles.date(1990, 5, 1)},
            now=START,
        )
        await life.redeems()
        await life.is_spoken_to()
        await life.is_served()
        async with transaction() as tx:
            origin = ledger.Origin("购物", "小程序", START, key_of("o"), "r", 1, natural_day(START))
            due = Promise(key_of("p"), life.mini.member_id, "points", 7, origin, "order:1", at(9e6), START, None)
            await promise(tx.connection, due)
        return life

    mini: FanView
    official: FanView

    async def at(self, account: int, openid: str) -> FanView:
        found = await members.fan_of(account, openid)
        assert found is not None
        return found

    async def signs_in(self, code: str | None = None, now: float = 0) -> None:
        pair = await access.sign_in(
            TOKENS,
            SEALER,
            account_id=self.shop.account_id,
            openid="o-mini",
            unionid=UNIONID,
            now=at(now),
            invited_by=code,
        )
        self.refresh = pair.refresh_token

    async def writes(self, word: str, answer: str | None, seconds: float = 1) -> None:
        """Send a text to the official account, which answers it at once, or later."""
        arrival = accepting.Arrival(
            key_of("push", word),
            self.official_id,
            "o-official",
            TEXT,
            at(seconds),
            at(seconds),
            {"content": WORDS},
            {"Content": WORDS, "FromUserName": "o-official"},
            at(seconds + 30),
            None if answer is None else {"type": "text", "content": answer},
        )
        async with transaction() as tx:
            await accepting.accept(tx.connection, [arrival])

    async def redeems(self) -> None:
        await earn(self.mini, 100)
        await earn(self.official, 50, asset=ledger.GROWTH)
        gift = await self.shop.gift()
        place = await addresses.add(SEALER, member_id=self.mini.member_id, address=PLACE, now=START)
        sent, gone = [(await self.shop.redeem(self.mini, gift, n, address_id=place)).id for n in range(2)]
        await gifts.ship(redemption_id=sent, company="顺丰", number=PARCEL, now=START)
        await gifts.cancel(redemption_id=gone, now=START, by_member=self.mini.member_id, reason=REASON)

    async def is_spoken_to(self) -> None:
        await self.writes("second", None, 2)
        await happens(self.official, "wechat.event.subscribe", at(2))
        for n, state in enumerate(("pending", "sending", "sent")):
            body = {"msgtype": "text", "text": {"content": ANSWER}}
            verdict = await outreach.say(
                key=key_of("say", n), fan_id=self.official.id, body=body, purpose="answer", now=at(3)
            )
            assert verdict.allowed
            await fetch("UPDATE outbox SET state = $1 WHERE id = (SELECT max(id) FROM outbox)", state)
        async with transaction() as tx:
            await tx.connection.execute(
                """
                INSERT INTO held_reply (fan_id, push_key, reply, held_at) VALUES ($1, $2, $3, $4)
                """,
                self.official.id,
                key_of("push", "first"),
                f'{{"content": "{ANSWER}"}}',
                at(3),
            )
            await tx.connection.execute(
                "INSERT INTO dialogue (fan_id, name, step, data, expires_at) VALUES ($1, 'd', 's', $2, $3)",
                self.official.id,
                f'{{"said": "{WORDS}"}}',
                at(900),
            )

    async def is_served(self) -> None:
        """Have a conversation with a note, an answer of the assistant, a question it is still to be asked, a tag."""
        brand, account, fan = self.shop.brand_id, self.official_id, self.official
        about = (brand, account, fan.id, fan.member_id, START)
        await fetch(
            """
            INSERT INTO conversation (brand_id, account_id, fan_id, member_id, state, opened_at, heard_since, last_at,
                                      summary, last_line)
            VALUES ($1, $2, $3, $4, 'bot', $5, $5, $5, $6, $6)
            """,
            *about,
            WORDS,
        )
        await fetch(
            """
            INSERT INTO conversation_change (conversation_id, fan_id, at, kind, actor, text)
            SELECT id, fan_id, opened_at, 'note', 'staff', $1 FROM conversation
            """,
            WORDS,
        )
        await fetch(
            """
            INSERT INTO assistant_answer (key, brand_id, account_id, fan_id, member_id, outcome, said, written,
                                          passages, tools, choices, answered_at)
            VALUES ($6, $1, $2, $3, $4, 'answered', $7, $7, '[]', $8, '[]', $5)
            """,
            *about,
            key_of("push", "first"),
            ANSWER,
            f'[{{"said": "{NICKNAME}"}}]',
        )
        await fetch(
            "INSERT INTO interest_question (event_key, brand_id, due_at, event) VALUES ($1, $2, $3, $4)",
            key_of("push", "first"),
            brand,
            START,
            f'{{"text": "{WORDS}"}}',
        )

    async def leaves(self, now: float = 10) -> bool:
        return await delete_account(SEALER, member_id=self.mini.member_id, now=at(now))


async def test_nothing_personal_is_left_in_any_table(db: TortoiseContext) -> None:
    life = await Life.lived()
    before = await dump()
    assert [word for word in PERSONAL if word not in before] == [], "the test knows where to look"
    assert await life.leaves() is True
    after = await dump()
    assert [word for word in PERSONAL if word in after] == []
    # What is counted is there all the same.
    assert await value("SELECT count(*) FROM event WHERE kind = $1", TEXT) == 2
    assert await value("SELECT array_agg(state ORDER BY id) FROM outbox") == ["refused", "unknown", "sent"]
    assert await value("SELECT count(*) FROM redemption") == 2


async def test_points_are_forfeited_by_the_books(db: TortoiseContext) -> None:
    life = await Life.lived()
    await life.leaves()
    sums = await fetch(
        "SELECT asset, sum(balance)::int AS balance, sum(debt)::int AS debt FROM ledger_balance GROUP BY 1"
    )
    assert {tuple(row) for row in sums} == {("points", 0, 0), ("growth", 0, 0)}
    gone = await fetch(
        """
        SELECT kind, asset, amount::int, description FROM ledger_entry WHERE kind = 'expire' ORDER BY asset
        """
    )
    assert [tuple(row) for row in gone] == [
        ("expire", "growth", -50, "注销账号，余额清零"),
        ("expire", "points", -90, "注销账号，余额清零"),
    ]
    assert tuple((await fetch("SELECT state, reason FROM pending_award"))[0]) == ("cancelled", "account_deleted")
    await audit()


async def test_it_is_done_once_and_on_record_without_a_name(db: TortoiseContext) -> None:
    life = await Life.lived()
    assert [await life.leaves(n) for n in (10, 11)] == [True, False]
    row = (await fetch("SELECT member_id, payload FROM event WHERE kind = 'member.erased'"))[0]
    homes = sorted((life.mini.member_id, life.official.member_id))
    assert row["member_id"] == homes[0]
    assert row["payload"] == f'{{"fans": [{life.mini.id}, {life.official.id}], "homes": {homes}}}'
    assert await value("SELECT array_agg(member_id ORDER BY member_id) FROM event_redaction") == homes
    assert await value("SELECT array_agg(erased_at) FROM member") == [at(10), at(10)]


async def test_sessions_end_at_once(db: TortoiseContext) -> None:
    life = await Life.lived()
    await life.leaves()
    with pytest.raises(NotSignedIn) as refused:
        await access.refresh(TOKENS, life.refresh, account_id=life.shop.account_id, now=at(11))
    assert refused.value.code == "session_over"
    assert await value("SELECT revoked_why FROM member_session") == "deleted"


async def test_a_gift_that_waits_to_be_sent_comes_first(db: TortoiseContext) -> None:
    life = await Life.lived()
    gift = await life.shop.gift("virtual")
    await life.shop.redeem(life.mini, gift, "open")
    before = await dump()
    with pytest.raises(Conflict) as refused:
        await life.leaves()
    assert refused.value.code == "open_redemptions"
    assert await dump() == before


async def test_who_comes_again_is_new_but_no_new_friend_for_half_a_year(db: TortoiseContext) -> None:
    life = await Life.lived()
    await access.sign_in(TOKENS, SEALER, account_id=life.shop.account_id, openid="friend", unionid=None, now=START)
    friend = await life.at(life.shop.account_id, "friend")
    code = await referrals.code_of(member_id=friend.member_id, now=START)
    for leaves, comes, came in ((0, 1, 0), (2, 181, 0), (182, 363, 1)):
        await delete_account(SEALER, member_id=life.mini.member_id, now=START + timedelta(days=leaves))
        await life.signs_in(code, timedelta(days=comes).total_seconds())
        again = await life.at(life.shop.account_id, "o-mini")
        assert again.member_id > life.mini.member_id
        assert again.person_id == again.member_id
        assert await profiles.of(SEALER, again.member_id) == profiles.Profile()
        assert await value("SELECT count(*) FROM referral") == came
        life.mini = again


async def test_an_erased_code_invites_nobody(db: TortoiseContext) -> None:
    life = await Life.lived()
    code = await referrals.code_of(member_id=life.mini.member_id, now=START)
    await life.leaves()
    await access.sign_in(
        TOKENS, SEALER, account_id=life.shop.account_id, openid="new", unionid=None, now=at(20), invited_by=code
    )
    assert (await value("SELECT count(*) FROM referral"), await value("SELECT count(*) FROM invitation")) == (0, 0)


async def test_what_was_under_way_writes_nothing_personal_any_more(db: TortoiseContext) -> None:
    """Requests that were let in just before find the account gone; what cannot look is swept afterwards."""
    life = await Life.lived()
    await life.leaves()
    fan = life.mini
    with pytest.raises(Conflict, match="账号已注销"):
        await addresses.add(SEALER, member_id=fan.member_id, address=PLACE, now=at(11))
    with pytest.raises(Conflict, match="账号已注销"):
        await bind_phone(SEALER, fan_id=fan.id, number=NUMBER, now=at(11))
    with pytest.raises(Conflict, match="账号已注销"):
        await referrals.code_of(member_id=fan.member_id, now=at(11))
    await link_unionid(fan_id=fan.id, unionid=UNIONID, now=at(11))
    verdict = await outreach.say(
        key=key_of("late"), fan_id=life.official.id, body={"text": ANSWER}, purpose="answer", now=at(11)
    )
    assert verdict.reason == "not_following"
    # A message whose acceptance had read the fan before: it comes to lie beside the erased.
    await events.append(
        key=key_of("late push"), kind=TEXT, occurred_at=at(10), recorded_at=at(10), payload={"content": WORDS},
        member_id=life.official.member_id, account_id=life.official_id, fan_id=life.official.id,
    )  # fmt: skip
    job = (
        await fetch("SELECT convert_from(payload, 'utf8') AS p FROM pgqueuer WHERE entrypoint = $1", leaving.AFTERWARDS)
    )[0]
    assert job["p"] == f'{{"member_id": {fan.member_id}}}'
    await run(leaving.AFTERWARDS, {"member_id": fan.member_id}, 700)
    after = await dump()
    assert [word for word in PERSONAL if word in after] == []
    assert await value("SELECT payload <> '{}' FROM event WHERE kind = 'member.erased'") is True


async def run(job: str, payload: dict[str, Any], seconds: float) -> None:
    await schedules.registry.jobs[job].work(payload, Services(ManualClock(at(seconds))))


async def test_looking_again_leaves_the_living_alone(db: TortoiseContext) -> None:
    life = await Life.lived()
    before = await dump()
    await run(leaving.AFTERWARDS, {"member_id": life.mini.member_id}, 700)
    assert await dump() == before


async def test_ten_deletions_and_sign_ins_at_once(db: TortoiseContext) -> None:
    life = await Life.lived()
    done = await asyncio.gather(
        *(life.leaves() for _ in range(5)), *(life.signs_in(now=11) for _ in range(5)), return_exceptions=True
    )
    assert [repr(error) for error in done if isinstance(error, BaseException)] == []
    assert (done.count(True), done.count(False)) == (1, 4)
    # Whoever signed in before was signed out again; whoever came afterwards is somebody new.
    live = "SELECT count(*) FROM member_session s JOIN fan f ON f.id = s.fan_id WHERE revoked_at IS NULL AND {}"
    assert await value(live.format("f.openid LIKE 'erased-%'")) == 0
    assert await value("SELECT count(*) FROM member WHERE erased_at IS NULL") <= 1
    await audit()


async def test_old_sessions_and_fingerprints_are_forgotten_in_time(db: TortoiseContext) -> None:
    life = await Life.lived()
    await access.sign_in(TOKENS, SEALER, account_id=life.shop.account_id, openid="other", unionid=None, now=at(60))
    await life.leaves()
    assert await value("SELECT count(*) FROM erased_identity") == 3  # two openids and a unionid
    days = timedelta(days=1).total_seconds()
    for seconds, sessions, fingerprints in (
        (30 * days - 1, 2, 3),
        (30 * days, 1, 3),
        (30 * days + 60, 0, 3),
        (180 * days + 9, 0, 3),
        (180 * days + 10, 0, 0),
    ):
        await run("access.forget_sessions", {}, seconds)
        left = await value("SELECT count(*) FROM member_session"), await value("SELECT count(*) FROM erased_identity")
        assert left == (sessions, fingerprints)
    assert ("35 4 * * *", "access.forget_sessions") in schedules.registry.schedules
