"""The tree is an address book with a shape: roots, trunks, branches, leaves. Data does not flow along it.

A child is one level below its parent, so there are no cycles. A node attaches at the deepest level that has room: as leaf
of a branch, else branch of a trunk, else trunk of a root; there, to the parent with the best latency known. Twice a
minute it asks its parent to confirm: alive, of the right role, within capacity, listing me? If not it looks anew.

Rebalancing comes in thirds of a quarter of an hour (leaves, branches, trunks), and moves only to a parent that has been
better by 20% and 2 ms for 5 minutes, with 10 minutes of rest after a move: a tree that follows noise helps nobody.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from respram.gossip.links import Link
from respram.gossip.members import BRANCH, LEAF, ROLES, ROOT, TRUNK, Member
from respram.wire.messages import Attach, Attached, Detach

if TYPE_CHECKING:
    from respram.gossip.core import Core

FIRST_MS = 1_000  # after the first link
FULL_MS = 30_000  # a parent that had no room is not asked again before
MISSED_MAX = 2  # confirmations that may be missing


@dataclass(slots=True)
class Tree:
    is_root: bool = False
    children: dict[int, int] = field(default_factory=dict)  # number: confirmed last
    asking: int = 0  # a parent that has not answered yet
    asking_role: int = LEAF
    asked_ms: int = 0
    missed: int = 0
    full: dict[int, int] = field(default_factory=dict)  # until when
    better_since: dict[int, int] = field(default_factory=dict)
    moved_ms: int = -1_000_000_000
    moves: int = 0


def capacity(core: "Core", role: int) -> int:
    return {ROOT: core.policy.trunks_max, TRUNK: core.policy.branches_max, BRANCH: core.policy.leaves_max}.get(role, 0)


def check(core: "Core") -> None:
    """The self-check, every 30 s (and soon after the first link)."""
    tree, policy = core.tree, core.policy
    is_settled = core.me.parent != 0 or tree.is_root
    core.timers.at(core.now.ms + core.jitter(policy.check_ms if is_settled else policy.attach_patience_ms), "tree")
    for number, confirmed_ms in list(tree.children.items()):
        if core.now.ms - confirmed_ms > 3 * policy.check_ms or number not in core.book.alive:
            del tree.children[number]
    if tree.is_root:
        return
    parent = core.book.members.get(core.me.parent)
    if parent is not None and not (parent.is_alive and parent.role == core.me.role + 1):
        lose_parent(core, "its role does not fit" if parent.is_alive else "it is gone")
        parent = None
    if tree.asking and core.now.ms - tree.asked_ms >= policy.attach_patience_ms:
        if tree.asking == core.me.parent:
            tree.missed += 1
            if tree.missed >= MISSED_MAX:
                lose_parent(core, "it does not answer")
                parent = None
        else:
            tree.full[tree.asking] = core.now.ms + FULL_MS
        tree.asking = 0
    if parent is not None:
        _ask(core, parent.number, core.me.role)
        _compare_parents(core, parent)
    elif not tree.asking:
        find_parent(core)


def lose_parent(core: "Core", why: str) -> None:
    core.report("parent_lost", f"parent={core.me.parent:016x} why={why.replace(' ', '_')}")
    core.book.set_me(parent=0)
    core.tree.missed = core.tree.asking = 0
    core.tell_all()


def find_parent(core: "Core") -> None:
    """Asks the best candidate of the deepest level with room."""
    for parent_role in (BRANCH, TRUNK, ROOT):
        candidates = with_room(core, parent_role)
        if candidates:
            best_ms = min(latency_ms(core, number) for number in candidates)
            best = [number for number in candidates if latency_ms(core, number) <= best_ms]
            _ask(core, core.rng.choice(best), parent_role - 1)
            return


def with_room(core: "Core", role: int) -> list[int]:
    room = capacity(core, role)
    return [
        number
        for number in core.book.alive
        if core.book[number].role == role
        and (core.book[number].parent or role == ROOT)
        and core.book.children_of.get(number, 0) < room
        and core.tree.full.get(number, 0) <= core.now.ms
        and number not in core.tree.children
    ]


def latency_ms(core: "Core", number: int) -> float:
    peer = core.peers.get(number)
    return peer.rtt_ms if peer is not None and peer.rtt_ms is not None else 1e9


def _ask(core: "Core", number: int, role: int) -> None:
    tree = core.tree
    tree.asking, tree.asking_role, tree.asked_ms = number, role, core.now.ms
    link = core.link_to(number)
    if link is not None:
        core.send(link, Attach(role))
    else:
        core.dial(core.book[number].address)


def linked(core: "Core", link: Link) -> None:
    """A link came up: perhaps the one to the parent that is to be asked."""
    tree = core.tree
    if link.peer is not None and tree.asking == link.peer.number:
        core.send(link, Attach(tree.asking_role))
    elif not core.me.parent and not tree.asking and not tree.is_root:
        core.timers.at(core.now.ms + core.jitter(FIRST_MS), "find_parent")


def asked(core: "Core", link: Link, message: Attach) -> None:
    tree = core.tree
    assert link.peer is not None
    number = link.peer.number
    has_room = number in tree.children or len(tree.children) < capacity(core, core.me.role)
    has_place = tree.is_root or core.me.parent != 0
    accepted = message.role + 1 == core.me.role and has_room and has_place and number != core.me.parent
    if accepted:
        tree.children[number] = core.now.ms
    else:
        tree.children.pop(number, None)
    core.send(link, Attached(message.role, 1 if accepted else 0))


def answered(core: "Core", link: Link, message: Attached) -> None:
    tree = core.tree
    assert link.peer is not None
    number = link.peer.number
    if number != tree.asking or message.role != tree.asking_role:
        return
    tree.asking = tree.missed = 0
    if message.accepted:
        if core.me.parent != number or core.me.role != message.role:
            _move(core, number, message.role)
        return
    tree.full[number] = core.now.ms + FULL_MS
    if core.me.parent == number:
        lose_parent(core, "it has no room")
    if not core.me.parent:
        find_parent(core)


def _move(core: "Core", parent: int, role: int) -> None:
    tree = core.tree
    old = core.link_to(core.me.parent) if core.me.parent else None
    if old is not None:
        core.send(old, Detach())
        tree.moves += 1
    tree.moved_ms = core.now.ms
    tree.better_since.clear()
    if role != core.me.role:
        tree.children.clear()  # they find a parent of the right role at their next check
    core.book.set_me(parent=parent, role=role)
    core.report("attached", f"role={ROLES[role]} parent={parent:016x}")
    core.tell_all()


def detached(core: "Core", link: Link) -> None:
    assert link.peer is not None
    core.tree.children.pop(link.peer.number, None)


# -- rebalancing ----------------------------------------------------------------------------------
def _is_better(core: "Core", number: int, than_ms: float) -> bool:
    candidate_ms = latency_ms(core, number)
    gain_ms = than_ms - candidate_ms
    return gain_ms >= core.policy.better_least_ms and candidate_ms * 100 <= than_ms * (100 - core.policy.better_percent)


def _compare_parents(core: "Core", parent: Member) -> None:
    tree, than_ms = core.tree, latency_ms(core, parent.number)
    better = [one for one in with_room(core, parent.role) if one != parent.number and _is_better(core, one, than_ms)]
    tree.better_since = {number: tree.better_since.get(number, core.now.ms) for number in better}


def turn(core: "Core") -> None:
    """The moment drawn has come. Who has another role by now waits for that role's third."""
    third = core.policy.rebalance_ms // 3
    is_own = core.now.wall_ms % core.policy.rebalance_ms // third == min(core.me.role, TRUNK)
    if is_own:
        rebalance(core)
    core.timers.at(core.now.ms + next_turn_ms(core, this_time=not is_own), "rebalance")


def next_turn_ms(core: "Core", this_time: bool) -> int:
    """How long until a random moment in the third of the node's role: leaves first, then branches, then trunks, by the
    clock on the wall, so that nobody's parent moves while its children choose. `this_time` False: of the next period."""
    period_ms = core.policy.rebalance_ms
    third, into_ms = period_ms // 3, core.now.wall_ms % period_ms
    wait_ms = min(core.me.role, TRUNK) * third + core.rng.randrange(third) - into_ms
    return wait_ms if this_time and wait_ms > 0 else wait_ms + period_ms


def rebalance(core: "Core") -> None:
    """Moves to the best of those that have been better for long enough."""
    tree, policy, now_ms = core.tree, core.policy, core.now.ms
    steady = [one for one, since_ms in tree.better_since.items() if now_ms - since_ms >= policy.better_ms]
    if not steady or now_ms - tree.moved_ms < policy.rest_ms or core.me.parent == 0:
        return
    _ask(core, min(steady, key=lambda number: (latency_ms(core, number), number)), core.me.role)


def branch_of(member: Member) -> int:
    """What a member shares with its neighbours in the tree: a branch and its leaves have one in common."""
    return member.parent if member.role == LEAF else member.number
