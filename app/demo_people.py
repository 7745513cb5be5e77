"""What the demo's two hundred members say of themselves, and the tags the tea house has put on them."""

import random
from datetime import datetime

from app.demo_data import Demo
from kit.seal import Sealer
from scrm import db
from scrm.db import Transaction, command
from scrm.members import profiles
from scrm.tags import service as tags

SEED = 20261124


async def ensure(demo: Demo, sealer: Sealer, now: datetime) -> bool:
    """Write profiles and tags unless the brand has tags already; says whether it did just now."""
    if await db.fetch("SELECT 1 FROM tag WHERE brand_id = $1 LIMIT 1", demo.service.brand_id):
        return False
    await _write(demo, sealer, now)
    return True


@command
async def _write(tx: Transaction, demo: Demo, sealer: Sealer, now: datetime) -> None:
    # All or nothing, as the rest of the demo.
    brand, words = demo.service.brand_id, demo.data["people"]
    chance = random.Random(SEED)  # noqa: S311  # demo people, the same for everybody
    made = [
        await tags.define(brand_id=brand, name=name, category=category, now=now) for name, category in words["tags"]
    ]
    fans = await tx.connection.fetch(
        "SELECT id, member_id, created_at FROM fan WHERE account_id = $1 ORDER BY id", demo.service.id
    )
    for n, fan in enumerate(fans):
        province, city = chance.choice(words["cities"])
        changes = {"nickname": chance.choice(words["nicknames"]), "province": province, "city": city}
        if n % 3 == 0:
            changes["name"] = chance.choice(words["surnames"]) + chance.choice(words["given"])
        await profiles.update(
            sealer,
            member_id=fan["member_id"],
            account_id=demo.service.id,
            fan_id=fan["id"],
            changes=changes,
            now=fan["created_at"],  # when they came, or all of them would have been here just now
        )
        for tag in chance.sample(made, k=chance.choice([0, 0, 1, 1, 2, 3])):
            await tags.put(
                brand_id=brand, tag_id=tag, member_id=fan["member_id"], source="import", staff_id=None, now=now
            )
