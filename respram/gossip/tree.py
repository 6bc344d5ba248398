"""The tree is an address book with a shape: roots, trunks, branches, leaves. Data does not flow along it.

A child is one level below its parent, so there are no cycles. A node attaches at the deepest level that has room: as
leaf of a branch, else branch of a trunk, else trunk of a root; there, to the parent with the best latency known. Twice
a minute it asks its parent to confirm: alive, of the right role, within capacity, listing me? If not it looks anew.

Rebalancing comes in thirds of a quarter of an hour (leaves, branches, trunks), and moves only to a parent that has been
better by 20% and 2 ms for 5 minutes, with 10 minutes of rest after a move: a tree that follows noise helps nobody.
"""

from dataclasses import dataclass, field

from respram.gossip.books import Books
from respram.gossip.effects import Host
from respram.gossip.links import Link
from respram.gossip.members import BRANCH, LEAF, ROLES, ROOT, TRUNK, AddressBook, Member
from respram.gossip.neighbours import Neighbours
from respram.gossip.timers import FindParent, RebalanceTurn, TreeTurn
from respram.gossip.witnesses import Witnesses
from respram.wire.messages import Attach, Attached, Detach

FIRST_MS = 1_000  # from the first link to the first check
FULL_MS = 30_000  # a full parent is not asked again before this
MISSED_MAX = 2  # confirmations that may be missed



def branch_of(member: Member) -> int:
    """The number of a member's branch, which a branch and its leaves share."""
    return member.parent if member.role == LEAF else member.number


@dataclass(slots=True, eq=False)
class Tree:
    host: Host
    book: AddressBook
    books: Books
    neighbours: Neighbours
    witnesses: Witnesses
    is_root: bool = False
    children: dict[int, int] = field(default_factory=dict)  # number to the last confirmation
    asking: int = 0  # the parent that was asked and has not answered
    asking_role: int = LEAF
    asked_ms: int = 0
    missed: int = 0
    full: dict[int, int] = field(default_factory=dict)  # full parents, and until when
    better_since: dict[int, int] = field(default_factory=dict)
    moved_ms: int = -1_000_000_000
    moves: int = 0

    def capacity(self, role: int) -> int:
        return {
            ROOT: self.host.policy.trunks_max,
            TRUNK: self.host.policy.branches_max,
            BRANCH: self.host.policy.leaves_max,
        }.get(role, 0)

    def check(self) -> None:
        """The self-check, every 30 s (and soon after the first link)."""
        policy = self.host.policy
        is_settled = self.book.me.parent != 0 or self.is_root
        self.host.at(
            self.host.now.ms + self.host.jitter(policy.check_ms if is_settled else policy.attach_patience_ms),
            TreeTurn(),
        )
        for number, confirmed_ms in list(self.children.items()):
            if self.host.now.ms - confirmed_ms > 3 * policy.check_ms or number not in self.book.alive:
                del self.children[number]
        if self.is_root:
            return
        parent = self.book.members.get(self.book.me.parent)
        if parent is not None and not (parent.is_alive and parent.role == self.book.me.role + 1):
            self.lose_parent("its role does not fit" if parent.is_alive else "it is gone")
            parent = None
        if self.asking and self.host.now.ms - self.asked_ms >= policy.attach_patience_ms:
            if self.asking == self.book.me.parent:
                self.missed += 1
                if self.missed >= MISSED_MAX:
                    self.lose_parent("it does not answer")
                    parent = None
            else:
                self.full[self.asking] = self.host.now.ms + FULL_MS
            self.asking = 0
        if parent is not None:
            self._ask(parent.number, self.book.me.role)
            self._compare_parents(parent)
        elif not self.asking:
            self.find_parent()

    def lose_parent(self, why: str) -> None:
        self.host.report("parent_lost", f"parent={self.book.me.parent:016x} why={why.replace(' ', '_')}")
        self.book.set_me(parent=0)
        self.missed = self.asking = 0
        self.books.tell_all()

    def find_parent_again(self) -> None:
        if not self.book.me.parent and not self.asking:
            self.find_parent()

    def find_parent(self) -> None:
        """Asks the best candidate of the deepest level with room."""
        for parent_role in (BRANCH, TRUNK, ROOT):
            candidates = self.with_room(parent_role)
            if candidates:
                best_ms = min(self.latency_ms(number) for number in candidates)
                best = [number for number in candidates if self.latency_ms(number) <= best_ms]
                self._ask(self.host.rng.choice(best), parent_role - 1)
                return

    def with_room(self, role: int) -> list[int]:
        room = self.capacity(role)
        return [
            number
            for number in self.book.alive
            if self.book[number].role == role
            and (number not in self.book.enclave or self.witnesses.counts(number))
            and (self.book[number].parent or role == ROOT)
            and self.book.children_of.get(number, 0) < room
            and self.full.get(number, 0) <= self.host.now.ms
            and number not in self.children
        ]

    def latency_ms(self, number: int) -> float:
        peer = self.neighbours.peers.get(number)
        return peer.rtt_ms if peer is not None and peer.rtt_ms is not None else 1e9

    def _ask(self, number: int, role: int) -> None:
        self.asking, self.asking_role, self.asked_ms = number, role, self.host.now.ms
        link = self.neighbours.link_to(number)
        if link is not None:
            self.host.send(link.id, Attach(role))
        else:
            self.neighbours.dial(self.book[number].address)

    def linked(self, link: Link) -> None:
        """A link came up, perhaps the one to the parent that has to be asked."""
        if link.peer is not None and self.asking == link.peer.number:
            self.host.send(link.id, Attach(self.asking_role))
        elif not self.book.me.parent and not self.asking and not self.is_root:
            self.host.at(self.host.now.ms + self.host.jitter(FIRST_MS), FindParent())

    def asked(self, link: Link, message: Attach) -> None:
        assert link.peer is not None
        number = link.peer.number
        has_room = number in self.children or len(self.children) < self.capacity(self.book.me.role)
        has_place = self.is_root or self.book.me.parent != 0
        accepted = message.role + 1 == self.book.me.role and has_room and has_place and number != self.book.me.parent
        if accepted:
            self.children[number] = self.host.now.ms
        else:
            self.children.pop(number, None)
        self.host.send(link.id, Attached(message.role, 1 if accepted else 0))

    def answered(self, link: Link, message: Attached) -> None:
        assert link.peer is not None
        number = link.peer.number
        if number != self.asking or message.role != self.asking_role:
            return
        self.asking = self.missed = 0
        if message.accepted:
            if self.book.me.parent != number or self.book.me.role != message.role:
                self._move(number, message.role)
            return
        self.full[number] = self.host.now.ms + FULL_MS
        if self.book.me.parent == number:
            self.lose_parent("it has no room")
        if not self.book.me.parent:
            self.find_parent()

    def _move(self, parent: int, role: int) -> None:
        old = self.neighbours.link_to(self.book.me.parent) if self.book.me.parent else None
        if old is not None:
            self.host.send(old.id, Detach())
            self.moves += 1
        self.moved_ms = self.host.now.ms
        self.better_since.clear()
        if role != self.book.me.role:
            self.children.clear()  # they find a parent of the right role at their next check
        self.book.set_me(parent=parent, role=role)
        self.host.report("attached", f"role={ROLES[role]} parent={parent:016x}")
        self.books.tell_all()

    def detached(self, link: Link, message: Detach) -> None:
        assert link.peer is not None
        self.children.pop(link.peer.number, None)

    # -- rebalancing ----------------------------------------------------------------------------------
    def _is_better(self, number: int, than_ms: float) -> bool:
        candidate_ms = self.latency_ms(number)
        gain_ms = than_ms - candidate_ms
        return gain_ms >= self.host.policy.better_least_ms and candidate_ms * 100 <= than_ms * (
            100 - self.host.policy.better_percent
        )

    def _compare_parents(self, parent: Member) -> None:
        than_ms = self.latency_ms(parent.number)
        better = [one for one in self.with_room(parent.role) if one != parent.number and self._is_better(one, than_ms)]
        self.better_since = {number: self.better_since.get(number, self.host.now.ms) for number in better}

    def turn(self) -> None:
        """Rebalances at the moment drawn, unless the node's role has changed: then it waits for that role's third."""
        third = self.host.policy.rebalance_ms // 3
        is_own = self.host.now.wall_ms % self.host.policy.rebalance_ms // third == min(self.book.me.role, TRUNK)
        if is_own:
            self.rebalance()
        self.host.at(self.host.now.ms + self.next_turn_ms(this_time=not is_own), RebalanceTurn())

    def next_turn_ms(self, this_time: bool) -> int:
        """How long until a random moment in the third of the node's role: leaves first, then branches, then trunks, by
        the clock on the wall, so that nobody's parent moves while its children choose. `this_time` False: of the next
        period.
        """
        period_ms = self.host.policy.rebalance_ms
        third, into_ms = period_ms // 3, self.host.now.wall_ms % period_ms
        wait_ms = min(self.book.me.role, TRUNK) * third + self.host.rng.randrange(third) - into_ms
        return wait_ms if this_time and wait_ms > 0 else wait_ms + period_ms

    def rebalance(self) -> None:
        """Moves to the best of those that have been better for long enough."""
        policy, now_ms = self.host.policy, self.host.now.ms
        steady = [one for one, since_ms in self.better_since.items() if now_ms - since_ms >= policy.better_ms]
        if not steady or now_ms - self.moved_ms < policy.rest_ms or self.book.me.parent == 0:
            return
        self._ask(min(steady, key=lambda number: (self.latency_ms(number), number)), self.book.me.role)
