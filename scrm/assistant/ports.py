"""What the knowledge base needs from outside, and can do without."""

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """Turns texts into vectors that are near each other when the texts mean the same."""

    @property
    def model(self) -> str:
        """The model's name, at most 64 characters; vectors of different models are never compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector for each text, all of one length, within a timeout; raises whatever it likes."""
        ...
