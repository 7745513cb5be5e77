"""Texts as vectors, in the words of `scrm.assistant`'s port: a model's name and one method."""

from collections.abc import Sequence

from gateways.llm.client import LLMClient


class Embeddings:
    """The embedding model of a client. Raises ValueError when the client has none (see `LLMClient.embeds`)."""

    def __init__(self, client: LLMClient) -> None:
        if client.embedding_model is None:
            raise ValueError("embedding_model: none is set")
        self._client = client
        self._model = client.embedding_model

    @property
    def model(self) -> str:
        """The model's name; vectors of different models are never compared."""
        return self._model[:64]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector per text, in their order. Raises ModelFailure."""
        return await self._client.embed(texts)
