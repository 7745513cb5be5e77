"""Embeddings of the published knowledge, brand by brand."""

import structlog

from kit.faults import describe
from scrm import db
from scrm.assistant import shelf
from scrm.assistant.ports import Embedder
from scrm.assistant.queries import brands_with_knowledge
from scrm.assistant.vectors import embed_published, forget_unused

log = structlog.get_logger(__name__)


class Embeddings:
    """Makes what is missing, and remembers up to which revision a brand lacks nothing, so that quiet costs a row."""

    def __init__(self) -> None:
        self._complete: dict[tuple[int, str], int] = {}

    async def make_missing(self, embedder: Embedder) -> int:
        """Make the vectors that published texts lack, and drop those of texts that are gone; returns how many are new.

        One brand's failure does not keep the others waiting; raises the first of them at the end.
        """
        made, failures = 0, []
        for brand_id in sorted(await brands_with_knowledge()):
            try:
                made += await self._of_brand(embedder, brand_id)
            except Exception as error:  # noqa: BLE001  # raised below
                log.warning("knowledge not embedded", brand_id=brand_id, error=describe(error))
                failures.append(error)
        if failures:
            raise failures[0]
        return made

    async def _of_brand(self, embedder: Embedder, brand_id: int) -> int:
        async with db.connection() as raw:
            revision = await shelf.revision(raw, brand_id)
        if self._complete.get((brand_id, embedder.model)) == revision:
            return 0
        made = await embed_published(embedder, brand_id)
        await forget_unused(brand_id=brand_id, model=embedder.model)
        if made == 0:
            self._complete[brand_id, embedder.model] = revision
        return made
