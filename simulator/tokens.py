"""Access tokens: the classic kind, where a new one kills the old, and the stable kind, isolated from it."""

from dataclasses import dataclass, field

from simulator.errors import RefusedError
from simulator.world import Account, World

LIFETIME = 7200  # seconds
OVERLAP = 300  # a replaced token lives this long on; a stable one is renewed this long before its end
FORCED_PER_DAY = 20
FORCED_APART = 30  # seconds


@dataclass
class Token:
    """A token and when it dies (seconds); `replaced`: a newer one exists, which changes the errcode."""

    value: str
    appid: str
    dies_at: float
    replaced: bool = False


@dataclass
class Tokens:
    """All tokens that were handed out. They are not part of the snapshot: a restart revokes them."""

    world: World
    _known: dict[str, Token] = field(default_factory=dict)
    _classic: dict[str, Token] = field(default_factory=dict)
    _stable: dict[str, Token] = field(default_factory=dict)
    _forced: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def classic(self, account: Account) -> Token:
        """Hand out a new token; the previous one lives five minutes at most."""
        old = self._classic.get(account.appid)
        if old is not None:
            old.replaced = True
            old.dies_at = min(old.dies_at, self.world.clock.time() + OVERLAP)
        token = self._classic[account.appid] = self._new(account)
        return token

    def stable(self, account: Account, *, force: bool) -> Token:
        """Hand out the current stable token, or a new one when forced or within 5 minutes of its end.

        A forced refresh kills the previous token at once. Raises RefusedError 45009 after 20 forced ones in a
        day and 45011 when the last was less than 30 seconds ago.
        """
        now = self.world.clock.time()
        old = self._stable.get(account.appid)
        if force:
            forced = self._forced.setdefault((account.appid, self.world.clock.day()), [])
            if len(forced) >= FORCED_PER_DAY:
                raise RefusedError(45009)
            if forced and now - forced[-1] < FORCED_APART:
                raise RefusedError(45011)
            forced.append(now)
            if old is not None:
                old.replaced = True
                old.dies_at = now
        elif old is not None and old.dies_at - now > OVERLAP:
            return old
        token = self._stable[account.appid] = self._new(account)
        return token

    def revoke(self, appid: str) -> None:
        """Kill every token of an account at once, as an administrator's reset of the secret does."""
        for token in self._known.values():
            if token.appid == appid:
                token.replaced = True
                token.dies_at = self.world.clock.time()
        self._classic.pop(appid, None)
        self._stable.pop(appid, None)

    def expire(self, appid: str) -> None:
        """Let every token of an account reach its end now: calls answer 42001."""
        for token in self._known.values():
            if token.appid == appid:
                token.dies_at = min(token.dies_at, self.world.clock.time())

    def account(self, value: str | None) -> Account:
        """Return whose token this is. Raises RefusedError 41001, 40001 or 42001."""
        if not value:
            raise RefusedError(41001)
        token = self._known.get(value)
        if token is None or token.appid not in self.world.accounts:
            raise RefusedError(40001)
        if token.dies_at <= self.world.clock.time():
            raise RefusedError(40001 if token.replaced else 42001)
        return self.world.accounts[token.appid]

    def _new(self, account: Account) -> Token:
        generation = self.world.rng.randrange(60, 100)
        token = Token(f"{generation}_{self.world.word(133)}", account.appid, self.world.clock.time() + LIFETIME)
        self._known[token.value] = token
        return token
