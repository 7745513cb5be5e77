"""What an account without customer-service messages holds for later: whole answers, the latest ones."""

from bot.push_events import ViewEvent
from bot.replies import Reply, TextReply, split_text
from bot.router import Context, Router
from tests.bot.desk import Desk
from tests.bot.house import House

# 11,900 bytes: six parts.
LONG = "".join(f"{n:04d}，说的是同一件事，一件一件说。\n" for n in range(220))


async def test_no_part_of_a_long_answer_is_missing(house: House, desk: Desk) -> None:
    parts = split_text(LONG)
    assert len(parts) == 6

    async def say(_context: Context) -> Reply:
        return TextReply(LONG)

    desk.acts["长"] = say
    account = await house.account("subscription", verified=False)
    server = await house.server(desk.router)
    long = account.text("oFan", "长")
    said = [(await long.to(server)).text]
    said += [(await account.text("oFan", "好").to(server)).text for _ in range(5)]
    assert said[:5] == parts[:5]
    assert (said[5] or "").startswith(parts[5])
    assert (await house.push(long))["reason"] != "held_dropped"


async def test_what_the_counts_have_no_room_for_comes_with_the_next_message(house: House, desk: Desk) -> None:
    """One passive reply and five more are all that a message of a fan opens."""
    longer = LONG + LONG + LONG[:1500]
    parts = split_text(longer)
    assert len(parts) == 13

    async def say(_context: Context) -> Reply:
        return TextReply(longer)

    desk.acts["长"] = say
    account = await house.account()
    server = await house.server(desk.router)
    long = account.text("oFan", "长")
    said = [(await long.to(server)).text]
    assert [body["text"]["content"] for body in await house.outbox(account)] == parts[1:6]
    row = await house.push(long)
    assert (row["state"], row["reason"]) == ("answered", "")
    # Those five are on their way still, so there is room for none but the passive replies.
    said += [(await account.text("oFan", "好").to(server)).text for _ in range(7)]
    assert said[:7] == [parts[0], *parts[6:12]]
    assert (said[7] or "").startswith(parts[12])
    assert len(await house.outbox(account)) == 5


async def test_the_oldest_answer_goes_whole_and_its_push_says_so(house: House, desk: Desk) -> None:
    """Nobody sees what is answered to a tapped link, so what waits stays, and grows."""
    links = Router("links")

    @links.on(ViewEvent)
    async def tell(context: Context) -> Reply:
        assert isinstance(context.message, ViewEvent)
        return TextReply(context.message.url * 1500)

    account = await house.account("subscription", verified=False)
    server = await house.server(links, desk.router)
    # Two parts of each wait, and forty at most.
    words = [chr(ord("一") + n) for n in range(21)]
    for n, word in enumerate(words):
        push = account.event("oFan", "VIEW", EventKey=word, at=account.now() + n)
        assert (await push.to(server)).text == word * 682
    reasons = await house.rows(
        """
        SELECT e.payload ->> 'url' AS url, p.reason = 'held_dropped' AS lost FROM push p JOIN event e USING (key)
        WHERE p.account_id = $1 ORDER BY p.received_at
        """,
        account.id,
    )
    assert [(row["url"], row["lost"]) for row in reasons] == [(word, word == words[0]) for word in words]
    said = [(await account.text("oFan", "好").to(server)).text or "" for _ in range(2)]
    assert "".join(said).replace("\n\n", "") == words[1] * 818
