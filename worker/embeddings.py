"""Embeddings of the published knowledge, brand by brand."""

import structlog

from kit.faults import describe
from scrm.assistant.ports import Embedder
from scrm.assistant.queries import brands_with_knowledge
from scrm.assistant.vectors import embed_published, forget_unused

log = structlog.get_logger(__name__)


async def embed_everything(embedder: Embedder) -> int:
    """Make the vectors that published texts lack, and drop those of texts that are gone; returns how many were made.

    One brand's failure does not keep the others waiting; raises the first of them at the end.
    """
    made, failures = 0, []
    for brand_id in sorted(await brands_with_knowledge()):
        try:
            made += await embed_published(embedder, brand_id)
            await forget_unused(brand_id=brand_id, model=embedder.model)
        except Exception as error:  # noqa: BLE001  # raised below
            log.warning("knowledge not embedded", brand_id=brand_id, error=describe(error))
            failures.append(error)
    if failures:
        raise failures[0]
    return made
