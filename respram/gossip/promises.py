"""What this member has promised about slots, where a majority decides (majority.py).

A *reign* is a range of stamps that one member may use for what it decides: from `low` to `high`. A promise says that
nothing is accepted in a slot but by this reign, or by one that begins above it. Of two reigns that a majority has
promised the later begins above the end of the former, since at least one member has promised both: so stamps order
all that was ever decided about a key, and the rule by which gossip merges, the higher stamp wins, cannot undo it.

A member that was started again has forgotten what it promised. It does not vote before it has found out (suffrage.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Reign:
    owner: int
    low: int
    high: int


@dataclass(slots=True, eq=False)
class Promises:
    by_slot: dict[int, Reign] = field(default_factory=dict)
    floor: int = 0  # reigns that begin here or below get no promise and are ignored
    votes: bool = False

    def give(self, owner: int, low: int, high: int, slots: Iterable[int]) -> int:
        """Promises all of these slots, or none. 0: it has; else what a reign must begin above."""
        slots = tuple(slots)
        bound = self.floor
        for slot in slots:
            held = self.by_slot.get(slot)
            if held is not None and low <= held.high and (held.owner, held.low) != (owner, low):
                bound = max(bound, held.high)
        if low <= bound:
            return bound
        for slot in slots:
            held = self.by_slot.get(slot)
            if held is not None and (held.owner, held.low) == (owner, low):
                held.high = max(held.high, high)
            else:
                self.by_slot[slot] = Reign(owner, low, high)
        return 0

    def holds(self, owner: int, low: int, slots: Iterable[int]) -> bool:
        found = map(self.by_slot.get, slots)
        return all(held is not None and (held.owner, held.low) == (owner, low) for held in found)

    def bar(self) -> int:
        """Ends all reigns so far. Returns the highest stamp that any of them may have used."""
        self.floor = max(self.floor, *(held.high for held in self.by_slot.values()), 0)
        self.by_slot.clear()
        return self.floor
