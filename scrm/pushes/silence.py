"""Silence: while a person looks after a fan, or is awaited, nothing that the bot has to say leaves the house.

It is kept as the fan's running dialogue under a name of its own. The statement that accepts a push looks for running
dialogues anyway, so an answer prepared in memory does not stand, at no cost to the hot path; no other dialogue can
replace or end this one. The door out reads the same row for answers that come late (scrm.outreach.service).
"""

from datetime import UTC, datetime

from scrm.db import Connection

# The dialogue's name; scrm.outreach.service says it in SQL, too.
PERSON = "person"
_NEVER = datetime(9000, 1, 1, tzinfo=UTC)


async def begin(raw: Connection, fan_id: int) -> None:
    """Silence the bot for a fan from this transaction's commit on; a dialogue that was running is given up."""
    await raw.execute(
        """
        INSERT INTO dialogue (fan_id, name, step, data, expires_at) VALUES ($1, $2, '', '{}', $3)
        ON CONFLICT (fan_id) DO UPDATE
        SET name = excluded.name, step = '', data = '{}', expires_at = excluded.expires_at
        """,
        fan_id,
        PERSON,
        _NEVER,
    )


async def end(raw: Connection, fan_id: int) -> None:
    """Let the bot speak again."""
    await raw.execute("DELETE FROM dialogue WHERE fan_id = $1 AND name = $2", fan_id, PERSON)


async def holds(raw: Connection, fan_id: int) -> bool:
    """Whether the bot is silent for a fan."""
    found: bool = await raw.fetchval(
        "SELECT EXISTS (SELECT FROM dialogue WHERE fan_id = $1 AND name = $2)", fan_id, PERSON
    )
    return found
