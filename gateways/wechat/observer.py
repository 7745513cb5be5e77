"""What the WeChat gateway reports about itself, for whoever counts."""

from typing import Protocol


class Observer(Protocol):
    """Hears of calls, token refreshes and alerts. Nothing personal and no secret reaches it."""

    def on_call(self, account_id: int, path: str, outcome: str, seconds: float) -> None:
        """Hear that one HTTP exchange ended; `outcome` is ok, an errcode, or the name of a failure in lower case."""
        ...

    def on_token_refresh(self, account_id: int, forced: bool) -> None:
        """Hear that a token was fetched from the platform."""
        ...

    def on_alert(self, account_id: int, errcode: int) -> None:
        """Hear that a message was refused for what only a person can mend: credentials, permission, a ban."""
        ...


class Unobserved:
    """Nobody listens."""

    def on_call(self, account_id: int, path: str, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def on_token_refresh(self, account_id: int, forced: bool) -> None:
        """Do nothing."""

    def on_alert(self, account_id: int, errcode: int) -> None:
        """Do nothing."""
