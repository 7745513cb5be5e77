"""Embeddings of what is published, kept by what the text says and made by the worker."""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from uuid import UUID

from scrm import db
from scrm.assistant.knowledge import changed, lock
from scrm.assistant.ports import Embedder
from scrm.assistant.shelf import passages, published
from scrm.db import Connection, Transaction, command
from scrm.errors import Unavailable

BATCH = 64  # texts of one call
MOST_DIMENSIONS = 8192


@dataclass(frozen=True, slots=True)
class Missing:
    """A published text that has no vector of a model yet."""

    digest: UUID
    text: str


async def embed_published(embedder: Embedder, brand_id: int) -> int:
    """Make the vectors that a brand's published texts lack, and return how many; to be called outside a transaction.

    What is done is kept when a later call fails. Raises Unavailable when the endpoint does, or when it answers
    with something else than vectors.
    """
    lacking, made = await missing(brand_id, embedder.model), 0
    for start in range(0, len(lacking), BATCH):
        batch = lacking[start : start + BATCH]
        vectors = await embedder.embed([one.text for one in batch])
        if len(vectors) != len(batch):
            raise Unavailable("向量服务返回的数量不对", code="embedding_malformed")
        packed = {one.digest: pack(vector) for one, vector in zip(batch, vectors, strict=True)}
        made += await _keep(brand_id=brand_id, model=embedder.model, vectors=packed)
    return made


async def missing(brand_id: int, model: str) -> list[Missing]:
    """Return the published texts without a vector of a model, each once."""
    async with db.connection() as raw:
        there = await of_brand(raw, brand_id, model)
        rows = await published(raw, brand_id)
    texts = await asyncio.to_thread(lambda: {text.digest: text.meant for text in passages(rows)})
    return [Missing(digest, text) for digest, text in texts.items() if digest not in there]


async def of_brand(raw: Connection, brand_id: int, model: str) -> dict[UUID, bytes]:
    """Return a brand's vectors of a model by what they are of."""
    rows = await raw.fetch(
        "SELECT digest, vector FROM knowledge_vector WHERE brand_id = $1 AND model = $2", brand_id, model
    )
    return {row["digest"]: row["vector"] for row in rows}


def pack(vector: Sequence[float]) -> bytes:
    """Return a vector as it is stored, of length one. Raises Unavailable for what is none."""
    length = sqrt(sum(value * value for value in vector))
    if not 1 <= len(vector) <= MOST_DIMENSIONS or not isfinite(length) or length == 0:
        raise Unavailable("向量服务返回的不是向量", code="embedding_malformed")
    return struct.pack(f"<{len(vector)}f", *(value / length for value in vector))


@command
async def _keep(tx: Transaction, *, brand_id: int, model: str, vectors: Mapping[UUID, bytes]) -> int:
    await lock(tx.connection, brand_id)
    added = await tx.connection.fetch(
        """
        INSERT INTO knowledge_vector (brand_id, model, digest, vector)
        SELECT $1, $2, digest, vector FROM unnest($3::uuid[], $4::bytea[]) AS i (digest, vector)
        ON CONFLICT (brand_id, model, digest) DO NOTHING RETURNING id
        """,
        brand_id,
        model,
        list(vectors),
        list(vectors.values()),
    )
    if added:
        await changed(tx.connection, brand_id)
    return len(added)


@command
async def forget_unused(tx: Transaction, *, brand_id: int, model: str) -> int:
    """Delete the vectors of texts that are published no more, and of every other model; returns how many went."""
    await lock(tx.connection, brand_id)
    used = {text.digest for text in passages(await published(tx.connection, brand_id))}
    gone = await tx.connection.fetch(
        """
        DELETE FROM knowledge_vector WHERE brand_id = $1 AND (model <> $2 OR NOT digest = ANY($3::uuid[]))
        RETURNING id
        """,
        brand_id,
        model,
        list(used),
    )
    return len(gone)
