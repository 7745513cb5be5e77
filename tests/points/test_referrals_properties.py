"""Referrals under any order of merges, splits and verdicts: what counts is what a few lines of Python say."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scrm import db
from scrm.access import service as access
from scrm.access.tokens import Tokens
from scrm.db import Transaction, transaction
from scrm.members import queries as members
from scrm.members.merging import merge, split
from scrm.members.queries import FanView
from scrm.referrals import service
from tests.conftest import START
from tests.factories import SEALER, at, make_fan
from tests.points.books import audit
from tests.points.house import open_house

TOKENS = Tokens(SEALER.key("member tokens"))
ANY_ORDER = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def connected(count: int, edges: set[tuple[int, int]]) -> list[set[int]]:
    """Return for each home all homes of its person, the slow way."""
    of = [{home} for home in range(count)]
    for _ in range(count):
        for one, other in edges:
            together = of[one] | of[other]
            for home in together:
                of[home] = together
    return of


@ANY_ORDER
@given(data=st.data())
async def test_what_counts_is_what_the_standing_evidence_says(tx_db: Transaction, data: st.DataObject) -> None:
    house = await open_house("zippo")
    # By number: 0 is a follower from before, 1 and 2 invite, whoever comes later comes through one of their codes.
    fans: list[FanView] = [await make_fan(house.service)]
    inviter_of: dict[int, int] = {}
    edges: set[tuple[int, int]] = set()
    fraud: set[int] = set()

    async def signs_in(code: str | None, seconds: float) -> None:
        openid = f"o{len(fans)}"
        await access.sign_in(
            TOKENS, SEALER, account_id=house.mini, openid=openid, unionid=None, now=at(seconds), invited_by=code
        )
        found = await members.fan_of(house.mini, openid)
        assert found is not None
        fans.append(found)

    for _ in range(2):
        await signs_in(None, 0)
    codes = [await service.code_of(member_id=fan.member_id, now=START) for fan in fans[1:]]
    for step in range(1, data.draw(st.integers(3, 10)) + 1):
        match data.draw(st.sampled_from(["comes", "comes", "merge", "merge", "split", "fraud"])):
            case "comes" if len(fans) < 7:
                inviter_of[len(fans)] = by = data.draw(st.integers(1, 2))
                await signs_in(codes[by - 1], step)
            case "merge":
                one, other = data.draw(st.permutations(range(len(fans))))[:2]
                edges.add((one, other))
                async with transaction() as tx:
                    await merge(tx.connection, fans[one].member_id, fans[other].member_id, {"step": step}, at(step))
            case "split" if len(edges) > 0:
                gone = data.draw(st.sampled_from(sorted(edges)))
                edges.remove(gone)
                for row in await db.fetch(
                    "SELECT id FROM member_merge WHERE evidence->>'one' = $1 AND evidence->>'other' = $2",
                    *(str(fans[n].member_id) for n in gone),
                ):
                    await split(merge_id=row["id"], now=at(step))
            case "fraud" if len(inviter_of) > 0:
                found = data.draw(st.sampled_from(sorted(inviter_of)))
                await house.happens("referral.fraud", fans[found].member_id, at(step))
                fraud |= connected(len(fans), edges)[found] & set(inviter_of)
        person = connected(len(fans), edges)
        expected = {}
        for home, by in inviter_of.items():
            void = by in person[home] or min(person[home]) < home
            expected[fans[home].member_id] = "fraud" if home in fraud else "void" if void else "counts"
        rows = await db.fetch("SELECT invitee_id, state FROM referral WHERE invitee_id = ANY($1)", list(expected))
        assert {row["invitee_id"]: row["state"] for row in rows} == expected
        counting = [pair for pair in inviter_of.items() if expected[fans[pair[0]].member_id] == "counts"]
        rows = await db.fetch("SELECT holder_id, balance - debt AS has FROM ledger_balance WHERE asset = 'points'")
        has = {row["holder_id"]: row["has"] for row in rows}
        for n, fan in enumerate(fans):
            assert has.get(fan.member_id, 0) == 3 * sum(pair.count(n) for pair in counting)
    await audit()
