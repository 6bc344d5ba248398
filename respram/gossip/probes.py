"""Failure detection and isolation.

Once a second a partner is pinged. No answer: three others are asked to ping it. Still none: it is *suspected*, which all
hear and it may deny with a higher incarnation; after 4 s more it counts as dead. A node whose own timers came late
doubts itself first: its patience grows up to ninefold. The dead stay in the book for an hour and one of them is
dialled now and then, because a healed partition looks like many dead who live.

Isolated is who hears from under half of its partners (those lost in the last minutes included) in three windows of 10 s.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from respram.gossip.bootstrap import ISOLATED, JOINING, READY
from respram.gossip.effects import TrustClock
from respram.gossip.links import Link
from respram.gossip.members import ALIVE, DEAD, SUSPECT
from respram.wire.messages import Ping, Pong, Probe, Probed

if TYPE_CHECKING:
    from respram.gossip.core import Core

EXPECTED_MS = 300_000  # a partner is expected to answer for so long after its link was lost
NONCES_MAX = 4_096  # probes that wait for an answer; while there are so many nobody is asked
DEAD_DIALLED_SHARE = 0.25  # of the partner timer's turns
CLOCK_TRANSIT_MS = 3_000  # how much older a clock may be when it arrives here, behind data on a slow link


@dataclass(slots=True)
class Asked:
    node: int
    sent_ms: int
    stage: int  # 0: pinged, 1: others were asked
    for_link: int = 0  # on behalf of this link
    their_nonce: int = 0


@dataclass(slots=True)
class Probes:
    nonce: int = 0
    asked: dict[int, Asked] = field(default_factory=dict)  # by nonce
    order: list[int] = field(default_factory=list)
    doubt: int = 0
    windows_low: int = 0
    window_from_ms: int = 0
    expected: dict[int, int] = field(default_factory=dict)  # partners: when they were linked last


def probe(core: "Core") -> None:
    """The timer of the second."""
    probes, policy = core.probes, core.policy
    core.timers.at(core.now.ms + core.jitter(policy.probe_ms), "probe")
    if not probes.order:
        probes.order = [number for number in core.partners() if number in core.book.alive]
        core.rng.shuffle(probes.order)
    while probes.order:
        number = probes.order.pop()
        if number in core.book.alive and core.is_partner(number):  # not whose link was let go since the list was made
            _ping(core, number)
            return


def _ping(core: "Core", number: int, for_link: int = 0, their_nonce: int = 0) -> None:
    probes = core.probes
    if len(probes.asked) >= NONCES_MAX:
        return
    probes.nonce = (probes.nonce + 1) & 0xFFFFFFFF
    probes.asked[probes.nonce] = Asked(number, core.now.ms, 0, for_link, their_nonce)
    link = core.link_to(number)
    if link is not None:
        core.send(link, Ping(probes.nonce, core.now.wall_ms, core.book.news()))
    patience_ms = core.policy.probe_patience_ms * (1 + probes.doubt) if link is not None else 0
    core.timers.at(core.now.ms + patience_ms, "unanswered", probes.nonce)


def pinged(core: "Core", link: Link, message: Ping) -> None:
    core.send(link, Pong(message.nonce, core.now.wall_ms, core.book.news()))
    if _clocks_agree(core, link, message.clock_ms):
        core.learn(message.news)


def _clocks_agree(core: "Core", link: Link, clock_ms: int) -> bool:
    """HELLO looked at the clocks once; they may be set while the link stands."""
    off_ms = abs(clock_ms - core.now.wall_ms)
    if off_ms <= core.policy.clock_offset_ms_max + CLOCK_TRANSIT_MS:
        core.out.append(TrustClock())
        return True
    core.hangup(link, f"clocks differ by {off_ms} ms limit {core.policy.clock_offset_ms_max}")
    return False


def ponged(core: "Core", link: Link, message: Pong) -> None:
    if not _clocks_agree(core, link, message.clock_ms):
        return
    core.learn(message.news)
    asked = core.probes.asked.get(message.nonce)
    if asked is None or link.peer is None or asked.node != link.peer.number:
        return
    del core.probes.asked[message.nonce]
    core.probes.doubt = max(0, core.probes.doubt - 1)
    rtt_ms = float(core.now.ms - asked.sent_ms)
    link.peer.rtt_ms = rtt_ms if link.peer.rtt_ms is None else 0.8 * link.peer.rtt_ms + 0.2 * rtt_ms
    if asked.for_link and asked.for_link in core.links:
        core.send(core.links[asked.for_link], Probed(asked.their_nonce, 1))


def unanswered(core: "Core", nonce: int) -> None:
    probes, policy = core.probes, core.policy
    asked = probes.asked.get(nonce)
    if asked is None:
        return
    member = core.book.members.get(asked.node)
    if asked.for_link or member is None or not member.is_alive:
        del probes.asked[nonce]
        if asked.for_link and asked.for_link in core.links:
            core.send(core.links[asked.for_link], Probed(asked.their_nonce, 0))
        return
    if asked.stage == 0:
        others = [link for link in core.greeted() if link.peer and link.peer.number != asked.node]
        for link in core.rng.sample(others, min(policy.indirect_peers, len(others))):
            core.send(link, Probe(nonce, asked.node))
        asked.stage = 1
        core.timers.at(core.now.ms + policy.indirect_patience_ms * (1 + probes.doubt), "unanswered", nonce)
        return
    del probes.asked[nonce]
    if _heard_since(core, asked.node, asked.sent_ms):
        return
    if member.status == ALIVE:
        core.learn_member(replace(member, status=SUSPECT))


def _heard_since(core: "Core", number: int, since_ms: int) -> bool:
    peer = core.peers.get(number)
    return peer is not None and peer.heard_ms > since_ms


def ask(core: "Core", link: Link, message: Probe) -> None:
    """Somebody cannot reach a node: can we?"""
    if core.link_to(message.node) is None:
        core.send(link, Probed(message.nonce, 0))
    else:
        _ping(core, message.node, link.id, message.nonce)


def told(core: "Core", message: Probed) -> None:
    if message.answered and message.nonce in core.probes.asked:
        del core.probes.asked[message.nonce]


def suspected(core: "Core", number: int) -> None:
    """A suspicion is out: whoever does not deny it in time is dead."""
    core.timers.at(core.now.ms + core.policy.suspicion_ms * (1 + core.probes.doubt), "verdict", number)


def verdict(core: "Core", number: int) -> None:
    member = core.book.members.get(number)
    if member is None or member.status != SUSPECT:
        return
    if _heard_since(core, number, core.now.ms - core.policy.suspicion_ms):
        core.timers.at(core.now.ms + core.policy.suspicion_ms, "verdict", number)  # it speaks to us: let it deny
        link = core.link_to(number)
        if link is not None:
            core.tell(link, [member])
        return
    core.learn_member(replace(member, status=DEAD))


def was_late(core: "Core", late_ms: int) -> None:
    """This node was slow: it has no right to suspect others for what it may have missed itself."""
    core.probes.doubt = min(core.policy.doubt_max, core.probes.doubt + 1 + late_ms // 1000)
    core.probes.asked = {nonce: asked for nonce, asked in core.probes.asked.items() if asked.for_link}


# -- isolation ------------------------------------------------------------------------------------
def window(core: "Core") -> None:
    probes, policy, now_ms = core.probes, core.policy, core.now.ms
    core.timers.at(now_ms + policy.window_ms, "window")
    for number in core.partners():
        if core.link_to(number) is not None:
            probes.expected[number] = now_ms
    for number, linked_ms in list(probes.expected.items()):
        member = core.book.members.get(number)
        if now_ms - linked_ms > EXPECTED_MS or member is None or member.status > DEAD:
            del probes.expected[number]
    heard = sum(_heard_since(core, number, probes.window_from_ms - 1) for number in probes.expected)
    low = 2 * heard < len(probes.expected)
    probes.windows_low = probes.windows_low + 1 if low else 0
    probes.window_from_ms = now_ms
    if core.state == READY and probes.windows_low >= policy.windows:
        core.state = ISOLATED
        for number in probes.expected:
            if number in core.peers and not _heard_since(core, number, now_ms - policy.window_ms):
                core.peers[number].unreachable = True
        core.report("isolated", f"answering={heard} expected={len(probes.expected)}")
    elif core.state == ISOLATED and not low:
        core.state = READY
        core.report("reconnected", f"answering={heard} expected={len(probes.expected)}")
    core.book.forget_ended(now_ms - policy.dead_kept_ms)


def dial_the_dead(core: "Core") -> None:
    """About every four seconds: a healed partition is noticed by nobody else."""
    if core.state == JOINING or not core.book.ended_ms or core.rng.random() > DEAD_DIALLED_SHARE:
        return
    dead = [number for number in core.book.ended_ms if core.book[number].status == DEAD]
    taken = {core.book[number].address for number in core.book.alive}
    dead = [number for number in dead if core.book[number].address not in taken]
    if dead:
        core.dial(core.book[core.rng.choice(dead)].address)
