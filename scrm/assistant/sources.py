"""What the assistant asks of the brand's knowledge: the passages that may answer a question, and how sure that is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


class Passage(Protocol):
    """A piece of an entry of the knowledge base, in the version that was found. `text` of a qa is its answer."""

    @property
    def entry_id(self) -> int:
        """The entry."""
        ...

    @property
    def version_id(self) -> int:
        """Its published version; entries change, versions do not."""
        ...

    @property
    def kind(self) -> Literal["qa", "article"]:
        """A question with its answer, or a piece of an article."""
        ...

    @property
    def title(self) -> str:
        """The question, or the article's title."""
        ...

    @property
    def text(self) -> str:
        """What it says."""
        ...

    @property
    def score(self) -> float:
        """How near it is to the question; comparable between questions."""
        ...


class Found(Protocol):
    """What a search found, best first."""

    @property
    def verdict(self) -> Literal["answer", "menu", "nothing"]:
        """The first one answers; perhaps one of them does; none does."""
        ...

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The nearest passages."""
        ...


class Knowledge(Protocol):
    """The brand's knowledge. Both methods are cheap: every text that no rule answers passes here."""

    def covers(self, brand_id: int) -> bool:
        """Say from memory whether a brand has published anything."""
        ...

    async def search(self, brand_id: int, text: str, *, limit: int = 3, now: datetime) -> Found:
        """Return the passages nearest to a question."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage by itself, as a dialogue carries it."""

    entry_id: int
    version_id: int
    kind: Literal["qa", "article"]
    title: str
    text: str
    score: float = 1.0
