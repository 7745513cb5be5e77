"""The ledger's rules once more, in plain Python without a database: what the real one is compared with.

It keeps lots in lists and people in sets, and knows nothing of entries, postings or balances.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID


class NotEnoughInModel(Exception):  # noqa: N818  # the model's NotEnough
    """A spend is refused."""


@dataclass
class Lot:
    """What an award left."""

    home: int
    asset: str
    award: UUID
    amount: int
    remaining: int
    earned_at: datetime
    expires_at: datetime | None


@dataclass
class Taken:
    """What a spend or a clawback took from which lots, and what of it became a debt."""

    home: int
    asset: str
    draws: list[tuple[Lot, int]]
    owed: int
    booked_at: datetime
    undone: bool = False


@dataclass
class Promise:
    """A promise as it stands."""

    home: int
    asset: str
    left: int
    due_at: datetime
    days: int | None
    state: str = "pending"


@dataclass
class Model:
    """All people, and what they have and owe."""

    people: list[set[int]]
    lots: list[Lot] = field(default_factory=list)
    debts: dict[tuple[int, str], int] = field(default_factory=dict)
    keys: set[UUID] = field(default_factory=set)
    taken: dict[UUID, Taken] = field(default_factory=dict)
    promises: dict[UUID, Promise] = field(default_factory=dict)

    def person(self, home: int) -> list[int]:
        return sorted(next(person for person in self.people if home in person))

    def merge(self, one: int, other: int) -> None:
        first, second = set(self.person(one)), set(self.person(other))
        self.people = [person for person in self.people if person not in (first, second)] + [first | second]

    def split(self, home: int) -> None:
        whole = set(self.person(home))
        self.people = [person for person in self.people if person != whole] + [whole - {home}, {home}]

    def live(self, home: int, asset: str) -> list[Lot]:
        """A person's lots, oldest first; of equal age, the first given first."""
        own = self.person(home)
        return sorted(
            (lot for lot in self.lots if lot.home in own and lot.asset == asset and lot.remaining),
            key=lambda lot: lot.earned_at,
        )

    def balance(self, home: int, asset: str) -> int:
        return sum(lot.remaining for lot in self.lots if lot.home == home and lot.asset == asset)

    def debt(self, home: int, asset: str) -> int:
        return self.debts.get((home, asset), 0)

    def sweep(self, home: int, asset: str, now: datetime) -> None:
        for lot in self.live(home, asset):
            if lot.expires_at is not None and lot.expires_at <= now:
                lot.remaining = 0

    def sweep_all(self, now: datetime) -> None:
        for lot in self.lots:
            self.sweep(lot.home, lot.asset, now)

    def draw(self, lots: list[Lot], amount: int) -> list[tuple[Lot, int]]:
        draws = []
        for lot in lots:
            part = min(amount, lot.remaining)
            if part:
                lot.remaining -= part
                amount -= part
                draws.append((lot, part))
        return draws

    def repay(self, home: int, asset: str, amount: int) -> int:
        """Returns what is left of `amount`."""
        for own in self.person(home):
            part = min(amount, self.debt(own, asset))
            if part:
                self.debts[own, asset] -= part
                amount -= part
        return amount

    def award(
        self, key: UUID, home: int, asset: str, amount: int, earned_at: datetime, expires_at: datetime | None
    ) -> bool:
        """Gives; whoever calls has swept."""
        if key in self.keys:
            return False
        self.keys.add(key)
        if left := self.repay(home, asset, amount):
            self.lots.append(Lot(home, asset, key, left, left, earned_at, expires_at))
        return True

    def spend(self, key: UUID, home: int, asset: str, amount: int, now: datetime) -> bool:
        if key in self.keys:
            self.sweep(home, asset, now)
            return False
        alive = [lot for lot in self.live(home, asset) if lot.expires_at is None or lot.expires_at > now]
        if sum(lot.remaining for lot in alive) - sum(self.debt(own, asset) for own in self.person(home)) < amount:
            raise NotEnoughInModel
        self.sweep(home, asset, now)
        self.keys.add(key)
        self.taken[key] = Taken(home, asset, self.draw(alive, amount), 0, now)
        return True

    def claw_back(self, key: UUID, home: int, asset: str, amount: int, award: UUID | None, now: datetime) -> bool:
        self.sweep(home, asset, now)
        if key in self.keys:
            return False
        self.keys.add(key)
        lots = sorted(self.live(home, asset), key=lambda lot: lot.award != award)
        draws = self.draw(lots, amount)
        owed = amount - sum(part for _, part in draws)
        self.debts[home, asset] = self.debt(home, asset) + owed
        self.taken[key] = Taken(home, asset, draws, owed, now)
        return True

    def undo(self, key: UUID, again: UUID, now: datetime) -> bool:
        """Gives back; `again` names the lot that stands for a debt repaid meanwhile."""
        taken = self.taken[key]
        for home in {taken.home, *(lot.home for lot, _ in taken.draws)}:
            self.sweep(home, taken.asset, now)
        if taken.undone:
            return False
        taken.undone = True
        debt = self.debt(taken.home, taken.asset)
        forgiven = min(taken.owed, debt)
        self.debts[taken.home, taken.asset] = debt - forgiven
        draws = list(taken.draws)
        if left := taken.owed - forgiven:
            lot = Lot(taken.home, taken.asset, again, left, 0, taken.booked_at, None)
            self.lots.append(lot)
            draws.append((lot, left))
        back: dict[int, int] = {}
        for lot, part in draws:
            lot.remaining += part
            if lot.expires_at is None or lot.expires_at > now:
                person = self.person(lot.home)[0]
                back[person] = back.get(person, 0) + part
            else:
                lot.remaining = 0
        for person, amount in sorted(back.items()):
            repaid = amount - self.repay(person, taken.asset, amount)
            self.draw(self.live(person, taken.asset), repaid)
        return True

    def promise(self, key: UUID, promised: Promise) -> bool:
        return self.promises.setdefault(key, promised) is promised

    def reduce(self, key: UUID, to: int, clawback: UUID, now: datetime) -> int:
        promised = self.promises[key]
        if promised.state == "paid":
            self.sweep(promised.home, promised.asset, now)
        away = promised.left - to
        if promised.state == "cancelled" or away <= 0:
            return 0
        if promised.state == "paid":
            self.claw_back(clawback, promised.home, promised.asset, away, key, now)
        elif to == 0:
            promised.state = "cancelled"
        promised.left = to
        return away

    def mature(self, now: datetime) -> int:
        due = [(key, p) for key, p in self.promises.items() if p.state == "pending" and p.due_at <= now]
        for _, p in due:
            self.sweep(p.home, p.asset, now)
        for key, p in sorted(due, key=lambda one: one[1].due_at):
            expires_at = None if p.days is None else p.due_at + timedelta(days=p.days)
            self.award(key, p.home, p.asset, p.left, p.due_at, expires_at)
            p.state = "paid"
        return len(due)
