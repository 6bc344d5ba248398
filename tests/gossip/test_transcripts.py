"""The protocol's conversations as text: who says what to whom, in which order, between whole replicas in virtual time.

Each file of `transcripts/` is one of them. A change of the protocol shows here as a difference that can be read;
whoever can explain it records anew, with `python -m tests.gossip.test_transcripts`. Times are left out, and numbers
that are drawn.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from respram.gossip.effects import Report
from respram.gossip.members import ROLES, unpack_members
from respram.gossip.policy import Policy
from respram.record import unpack
from respram.replica import Output, Write
from respram.sim.world import EPOCH_MS, Node, World
from respram.wire import messages as wire
from respram.wire.frames import Frames
from respram.wire.messages import Message
from tests.engine.each import each_engine  # noqa: F401 (every conversation is held on each engine)

FOLDER = Path(__file__).parent / "transcripts"
STATUSES = ("alive", "suspect", "dead", "left")
CHATTER = (wire.Ping, wire.Pong, wire.Digest, wire.Same, wire.Book)  # said all the time, and told where it matters


class Heard(World):
    """A world that writes down what is said in it, while somebody wants to know."""

    def listen(self, *silent: type[Message]) -> "Heard":
        self.lines: list[str] = []
        self.silent = silent
        return self

    def carry(self, node: Node, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write) and output.link in node.connections:
                connection, end = node.connections[output.link]
                for message in spoken(output.data):
                    if not isinstance(message, self.silent):
                        self.lines.append(f"{name(node.place)} > {name(connection.ends[1 - end][0])}  {tell(message)}")
            elif isinstance(output, Report):
                self.lines.append(f"{name(node.place)}      {output.event} {plain(output.details)}".rstrip())
        super().carry(node, outputs)

    def told(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


def spoken(data: bytes) -> list[Message]:
    frames = Frames(16 << 20)
    frames.greeted = True
    return frames.push(data)


def name(place: int) -> str:
    return chr(ord("A") + place)


def plain(details: str) -> str:
    """Numbers of nodes as letters, addresses and times left out."""
    details = re.sub(r"\b0{8,}([0-9a-f]{4,8})\b", lambda found: name((int(found[1], 16) >> 16) - 1), details)
    details = re.sub(r"_0{8,}([0-9a-f]{4,8})\b", lambda found: "_" + name((int(found[1], 16) >> 16) - 1), details)
    return re.sub(r" ?(address='[^']*'|took_ms=\d+|bytes=\d+)", "", details).strip()


def tell(message: Message) -> str:
    """The word, and what is the same in every run."""
    word = message.word.decode()
    match message:
        case wire.Refuse():
            return f"{word} {message.reason.decode()}"
        case wire.Members():
            return f"{word} {members(message.entries)}{' and yours?' if message.buckets else ''}"
        case wire.Vouch():
            numbers = [
                int.from_bytes(message.numbers[at : at + 8], "little") for at in range(0, len(message.numbers), 8)
            ]
            return f"{word} {', '.join(name((number >> 16) - 1) for number in numbers)}"
        case wire.Ping() | wire.Pong():
            return f"{word} {members(message.news)}".rstrip()
        case wire.Push():
            onward = ", pass it on" if message.spread else ""
            return f"{word} seq {message.seq}: batch {message.number} of {name((message.origin >> 16) - 1)}{onward}"
        case wire.Ack():
            return f"{word} {message.seq}{f', refused {len(message.refused) // 8}' if message.refused else ''}"
        case wire.Announce() | wire.Want():
            return f"{word} {len(message.batches) // 16}"
        case wire.Attach():
            return f"{word} as {ROLES[message.role]}"
        case wire.Attached():
            return f"{word} as {ROLES[message.role]}: {'yes' if message.accepted else 'no'}"
        case wire.Probe():
            return f"{word} {name((message.node >> 16) - 1)}"
        case wire.Probed():
            return f"{word} {'it answers' if message.answered else 'it does not answer'}"
        case wire.Buckets():
            return f"{word} {len(message.payload) // 16}"
        case wire.Filter():
            return f"{word} {'answer' if message.answer else 'offer'}" if message.parts else f"{word} nothing wanted"
        case wire.Records():
            return f"{word} {records(message.payload)}{('', ', all', ', more to come')[message.last]}"
        case wire.Dump():
            return f"{word} from {'the start' if not message.point else 'where it stopped'}"
        case wire.Dumped():
            return f"{word} {records(message.payload)}{', the end' if message.point >> 32 else ''}"
        case wire.Pull():
            return f"{word} {message.key.decode()}"
        case wire.Pulled():
            return f"{word} {records(message.payload)}"
    return word


def members(entries: bytes) -> str:
    return ", ".join(f"{name((one.number >> 16) - 1)} {STATUSES[one.status]}" for one in unpack_members(entries))


def records(payload: bytes) -> str:
    return f"{sum(1 for _ in unpack(payload))} records"


# -- the conversations ----------------------------------------------------------------------------
def write(world: Heard, node: Node, *keys: bytes) -> None:
    wall_ms = world.time_of(node).wall_ms
    for key in keys:
        node.engine.store(0, key, b"v", wall_ms + 3_600_000, False, wall_ms, b"set")
    world.touch(node)


def nodes(count: int, policy: Policy | None = None, *, started: bool = True) -> Heard:
    """The first one is a root. All are ready, where they are started."""
    world = Heard(1, policy or Policy()).listen()
    for place in range(count):
        world.add(is_root=place == 0)
    if started:
        for node in world.nodes:
            world.start(node)
        world.run_until(8_000)
        assert {node.replica.core.state for node in world.nodes} == {"ready"}
        world.run_until(world.now_ms + 10)
    world.listen(*CHATTER)
    return world


def a_node_joins() -> list[str]:
    world = nodes(2, started=False)
    one, other = world.nodes
    world.start(one)
    write(world, one, b"a", b"b", b"c")
    world.run_until(4_000)
    world.listen(wire.Ping, wire.Pong)
    world.start(other)
    world.run_until(world.now_ms + 5_000)
    assert other.engine.count(0, EPOCH_MS + world.now_ms) == 3 and other.replica.core.state == "ready"
    return world.told()


def a_write_and_a_wait() -> list[str]:
    world = nodes(3)
    writer = world.nodes[1]
    write(world, writer, b"k")
    number, outputs = writer.replica.await_acks(world.time_of(writer))
    world.carry(writer, outputs)
    world.run_until(world.now_ms + 15)
    assert writer.replica.holders(number) == 2
    return world.told()


def a_write_without_a_wait() -> list[str]:
    world = nodes(2)
    write(world, world.nodes[0], b"k")
    world.run_until(world.now_ms + 60)
    return world.told()


def another_network() -> list[str]:
    world = nodes(2, started=False)
    for node in world.nodes:
        world.start(node)
    stranger = world.nodes[1].replica.core
    stranger.policy = replace(stranger.policy, network=b"another")
    world.run_until(200)
    return world.told()


def a_clock_that_is_wrong() -> list[str]:
    world = nodes(2, started=False)
    world.nodes[1].offset_ms = 60_000
    for node in world.nodes:
        world.start(node)
    world.run_until(200)
    return world.told()


def a_miss_while_joining() -> list[str]:
    world = nodes(2, Policy(join_ms=60_000), started=False)
    one, other = world.nodes
    world.start(one)
    write(world, one, b"k")
    world.run_until(4_000)
    world.start(other)
    world.run_until(world.now_ms + 100)
    world.listen(*CHATTER)
    for key in (b"k", b"absent"):
        token, outputs = other.replica.ask(0, key, world.time_of(other))
        assert token
        world.carry(other, outputs)
        world.run_until(world.now_ms + 20)
    assert other.engine.count(0, EPOCH_MS + world.now_ms) == 1
    return world.told()


def a_node_falls_silent() -> list[str]:
    world = nodes(3)
    world.listen(*CHATTER[2:])
    world.crash(world.nodes[2], silently=True)
    world.run_until(world.now_ms + 12_000)
    lines = world.told()
    # Of the pings only those that matter: to the silent one, and on its behalf.
    return [line for line in lines if not re.search(r"[AB] > [AB]  P[IO]NG(?!.*(suspect|dead))", line)]


def a_node_leaves() -> list[str]:
    world = nodes(2)
    leaver = world.nodes[1]
    world.carry(leaver, leaver.replica.leave(world.time_of(leaver)))
    world.run_until(world.now_ms + 20)
    return world.told()


def a_cut_heals() -> list[str]:
    world = nodes(2)
    world.network.cut = {(0, 1), (1, 0)}
    for place, node in enumerate(world.nodes):
        write(world, node, b"cut-%d" % place)
    world.run_until(world.now_ms + 300)
    for node in world.nodes:  # what waits is lost, as with an overflow
        for peer in node.replica.core.neighbours.peers.values():
            peer.queue.clear()
            peer.queue_bytes = 0
            if peer.link is not None:
                peer.link.in_flight.clear()
                peer.link.in_flight_bytes = 0
    world.network.cut = set()
    world.listen(wire.Ping, wire.Pong, wire.Book, wire.Ack)
    for _ in range(100):
        world.run_until(world.now_ms + 100)
        if [node.engine.count(0, EPOCH_MS + world.now_ms) for node in world.nodes] == [2, 2]:
            break
    lines = world.told()
    first = next(number for number, line in enumerate(lines) if "BUCKETS" in line) - 1
    return lines[first:]


def a_write_among_many() -> list[str]:
    """Beyond ten peers (here: two) it goes to some, who pass it on to some and announce it to others."""
    world = nodes(9, Policy(direct_peers_max=2))
    world.listen(*CHATTER, wire.Ack)
    write(world, world.nodes[0], b"k")
    world.run_until(world.now_ms + 250)
    assert all(node.engine.count(0, EPOCH_MS + world.now_ms) == 1 for node in world.nodes)
    return world.told()


CONVERSATIONS: dict[str, Callable[[], list[str]]] = {
    one.__name__: one
    for one in (
        a_node_joins, a_write_and_a_wait, a_write_without_a_wait, another_network, a_clock_that_is_wrong,
        a_miss_while_joining,
        a_node_falls_silent, a_node_leaves, a_cut_heals, a_write_among_many,
    )
}  # fmt: skip


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_it_is_said_as_it_is_written(conversation: str) -> None:
    lines = CONVERSATIONS[conversation]()
    assert lines == (FOLDER / f"{conversation}.txt").read_text().splitlines()


def test_no_transcript_is_left_of_a_conversation_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CONVERSATIONS)


def record() -> Iterator[str]:
    for conversation, hold in CONVERSATIONS.items():
        (FOLDER / f"{conversation}.txt").write_text("".join(f"{line}\n" for line in hold()))
        yield conversation


if __name__ == "__main__":
    assert list(record())
