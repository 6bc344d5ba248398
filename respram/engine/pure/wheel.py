"""The timing wheel: every record is in one slot, by the time at which something is due for it.

Four levels of slots, 8 ms, 1 s, 65 s and 70 min wide (shifts of 3, 10, 16 and 22 bits). A record goes
to the finest level that still reaches its time; as a coarse slot comes near, one width of the next
finer level ahead of its start, its records move down in slices. So a level never has more than some
256 slots, whatever the number of keys, and finding the earliest is a look over those.

A record is destroyed when its 8 ms slot has passed whole: at most 8 ms and a timer's delay late,
while readers, who compare deadlines, never see it late at all.
"""

from itertools import islice

from respram.engine.pure.record import Row

SHIFTS = (3, 10, 16, 22)
LEVELS = len(SHIFTS)
REACH = (2 << 10, 2 << 16, 2 << 22)  # how far from now a level reaches; the last has no end


class Wheel:
    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots: list[dict[int, dict[Row, None]]] = [{} for _ in SHIFTS]

    def place(self, item: Row, due_ms: int, now_ms: int) -> None:
        left_ms = due_ms - now_ms
        level = 0 if left_ms < REACH[0] else 1 if left_ms < REACH[1] else 2 if left_ms < REACH[2] else 3
        item.due_ms, item.level = due_ms, level
        tick = due_ms >> SHIFTS[level]
        slot = self.slots[level].get(tick)
        if slot is None:
            slot = self.slots[level][tick] = {}
        slot[item] = None

    def remove(self, item: Row) -> None:
        del self.slots[item.level][item.due_ms >> SHIFTS[item.level]][item]

    def take_due(self, now_ms: int, budget: int) -> list[Row]:
        """At most `budget` items whose slot has passed, taken out of the wheel."""
        due: list[Row] = []
        slots = self.slots[0]
        for tick in sorted(tick for tick in slots if (tick + 1) << SHIFTS[0] <= now_ms):
            slot = slots[tick]
            while slot and len(due) < budget:
                due.append(slot.popitem()[0])
            if slot:
                break
            del slots[tick]
        return due

    def cascade(self, now_ms: int, budget: int) -> int:
        """Moves what comes near to finer slots, at most `budget` items; how many were moved."""
        moved = 0
        for level in range(1, LEVELS):
            slots, shift = self.slots[level], SHIFTS[level]
            near_ms = now_ms + (1 << shift)
            for tick in sorted(tick for tick in slots if tick << shift <= near_ms):
                slot = slots[tick]
                while slot and moved < budget:
                    item = slot.popitem()[0]
                    self.place(item, item.due_ms, now_ms)
                    moved += 1
                if slot:
                    return moved
                del slots[tick]
        return moved

    def next_due_ms(self) -> int | None:
        """The earliest moment at which a slot passes or has to move down."""
        times = [(tick + 1) << SHIFTS[0] for tick in self.slots[0]]
        for level in range(1, LEVELS):
            shift = SHIFTS[level]
            times += [(tick << shift) - (1 << shift) for tick in self.slots[level]]
        return min(times, default=None)

    def begun(self, now_ms: int) -> int:
        """How many items stand in slots that have begun."""
        return sum(
            len(slot)
            for shift, slots in zip(SHIFTS, self.slots, strict=True)
            for tick, slot in slots.items()
            if tick << shift <= now_ms
        )

    def overdue(self, now_ms: int, most: int | None = None) -> list[Row]:
        """Items in slots that have begun, which may be past due: all, or so many."""
        items = (
            item
            for shift, slots in zip(SHIFTS, self.slots, strict=True)
            for tick, slot in slots.items()
            if tick << shift <= now_ms
            for item in slot
        )
        return list(items if most is None else islice(items, most))
