"""Histories of real clients at three nodes or more, judged key by key: could one register have said all that?

    python -m tests.trials.histories --rounds 20 --trouble kills --wait 1
    python -m tests.trials.histories --rounds 20 --trouble pairs --nodes 5 --decide majority

Each round has keys of its own. Clients at all nodes count (INCR), take (SET NX) and swap (SET with GET) without a
pause; in the middle a node is killed, stopped in order, or does not run for a while, and comes back; or two are killed
at once; or wires between the nodes are cut for a while: those to one node, to two (which then do not hear each other,
and both hear the others), and so on up to all. With --skewed all wall clocks jump besides, each to a place of its own,
at most `SKEW_MS` from the right time. What was told LOADING was not done; what was told UNCERTAIN, and what a
connection took along, may have been done. With --wait a client counts on nothing that WAIT did not say to be held.
"""

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.wire import Wire
from respram.sim.histories import Told, judge
from respram.sim.linear import INCR, SWAP, TAKE, Held, Operation
from tests.peers.enclave import Member, enclave, until, until_ready
from tests.peers.wires import wired
from tests.trials.clocks import Clock, compiled

CALM, STOPS, KILLS, PAUSES, PAIRS, CUTS = "calm", "stops", "kills", "pauses", "pairs", "cuts"
TROUBLES = (CALM, STOPS, KILLS, PAUSES, PAIRS, CUTS)
NODES = 3
SKEW_MS = 900  # from the right time; nodes refuse each other at 2 s
CLIENTS, KEYS, EACH = 6, 8, 60  # operations of a client in a round
PATIENCE_S = 90
WAIT_MS = 60_000
PAUSE_S = 4.0  # longer than it takes the others to suspect
LIFE_S = 3_600
LIVES = (1, 1, 2, 3)  # some operations prolong a life: a majority takes two steps for them
GONE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


@dataclass(slots=True)
class Client:
    number: int
    round: int
    ports: list[int]
    wait: int
    told: Told
    lock: threading.Lock
    histories: dict[bytes, list[Operation]]
    rng: random.Random = field(init=False)
    at: int = 0
    done: int = 0
    client: "redis.Redis | None" = None

    def __post_init__(self) -> None:
        self.rng = random.Random(self.round * 1_000 + self.number)
        self.at = self.number % len(self.ports)

    def run(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.done < EACH and time.monotonic() < end:
            self._one()
            time.sleep(self.rng.choice([0, 0.01, 0.05]))
        if self.client is not None:
            self.client.close()

    def _one(self) -> None:
        key = b"r%d:%d" % (self.round, self.rng.randrange(KEYS))
        what = self.rng.choice([INCR, INCR, TAKE, SWAP])
        value = ((self.number + 1) * 1_000 + self.done) * 100_000
        connected = self._connected()
        began = time.monotonic_ns()
        known, answer = True, None
        try:
            answer = self._ask(connected, key, what, value)
            known = self.wait == 0 or connected.wait(self.wait, WAIT_MS) >= self.wait
        except redis.exceptions.BusyLoadingError:
            with self.lock:
                self.told.refused += 1
            return
        except GONE:
            self._leave()
            known = False
        except redis.exceptions.ResponseError as error:
            if str(error).startswith("NOQUORUM"):
                with self.lock:
                    self.told.refused += 1
                return
            if not str(error).startswith("UNCERTAIN"):
                raise
            known = False
        with self.lock:
            ended = time.monotonic_ns() if known else None
            self.histories.setdefault(key, []).append(Operation(began, ended, what, value, answer))
            self.told.unknown += not known
        self.done += 1

    def _ask(self, connected: "redis.Redis", key: bytes, what: str, value: int) -> Held:
        if what == INCR:
            return int(connected.incr(key))
        life_s = LIFE_S * self.rng.choice(LIVES)
        if what == TAKE:
            return int(bool(connected.set(key, value, nx=True, ex=life_s)))
        held = connected.set(key, value, get=True, ex=life_s)
        return None if held is None else int(held)

    def _connected(self) -> "redis.Redis":
        while self.client is None:
            client = redis.Redis(
                port=self.ports[self.at], socket_timeout=PATIENCE_S, protocol=3, retry=Retry(NoBackoff(), 0)
            )
            try:
                client.ping()
                self.client = client
            except (*GONE, redis.exceptions.BusyLoadingError):
                client.close()
                self.at = (self.at + 1) % len(self.ports)
                time.sleep(0.01)
        return self.client

    def _leave(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client, self.at = None, (self.at + 1) % len(self.ports)


def one_round(
    number: int, members: list[Member], trouble: str, wait: int, told: Told, wires: Sequence[Wire] = (),
    clocks: Sequence[Clock] = (),
) -> dict[bytes, list[Operation]]:  # fmt: skip
    histories: dict[bytes, list[Operation]] = {}
    lock = threading.Lock()
    clients = [
        Client(one, number, [member.port for member in members], wait, told, lock, histories) for one in range(CLIENTS)
    ]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    until(lambda: sum(client.done for client in clients) > CLIENTS * EACH // 4, "the clients do not go on", PATIENCE_S)
    for clock in clocks:
        clock.put(clients[0].rng.randint(-SKEW_MS, SKEW_MS))
    if trouble == CUTS:
        _cut([wires[(number + at) % len(wires)] for at in range(1 + number % len(wires))])
    else:
        _trouble(trouble, [members[(number + at) % len(members)] for at in range(2 if trouble == PAIRS else 1)])
    told.troubles += trouble != CALM
    for thread in threads:
        thread.join(2 * PATIENCE_S)
        assert not thread.is_alive()
    until_ready(members)
    judge(histories, told)
    return histories


def _cut(wires: Sequence[Wire]) -> None:
    for wire in wires:
        wire.cut()
    time.sleep(PAUSE_S)
    for wire in wires:
        wire.mend()


def _trouble(trouble: str, troubled: list[Member]) -> None:
    if trouble == PAUSES:
        for member in troubled:
            member.freeze()
        time.sleep(PAUSE_S)
        for member in troubled:
            member.thaw()
    elif trouble != CALM:
        for member in troubled:
            member.stop() if trouble == STOPS else member.kill()
        for member in troubled:
            member.start(wait=False)
        for member in troubled:
            until(partial(_is_ready, member), "not ready", PATIENCE_S)
            if member.info().get("majority_size"):
                until(partial(_votes, member), "no vote", PATIENCE_S)


def _is_ready(member: Member) -> bool:
    return bool(member.client.execute_command("RESPRAM", "STATE") == b"ready")


def _votes(member: Member) -> bool:
    return bool(member.info().get("majority_votes"))


def play(
    rounds: int, trouble: str, wait: int, engine: str = "auto", majority: bool = False, nodes: int = NODES,
    skewed: bool = False,
) -> tuple[Told, Told]:  # fmt: skip
    """Of the rounds in which the map of homes stayed as it was, and of the others: a busy machine makes nodes suspect
    each other.
    """
    stayed, changed = Told(), Told()
    args = ("--decide", "majority", "--enclave-size", str(nodes)) if majority else ()
    with ExitStack() as stack:
        clocks = _clocks(Path(stack.enter_context(tempfile.TemporaryDirectory())), nodes) if skewed else []
        members, wires = stack.enter_context(_nodes(nodes, trouble, engine, clocks, *args))
        until_ready(members)
        for member in members if majority else ():
            until(partial(_votes, member), "no vote", PATIENCE_S)
        for number in range(rounds):
            before, told = _maps(members), Told()
            try:
                one_round(number, members, trouble, wait, told, wires, clocks)
            except AssertionError:
                for member in members:
                    print(f"-- port {member.port}\n{member.log() if member.node is not None else 'it does not run'}")
                raise
            (stayed if _maps(members) == before else changed).add(told)
    return stayed, changed


def _clocks(folder: Path, count: int) -> list[Clock]:
    library = compiled(folder)
    return [Clock(folder / f"clock{number}", library) for number in range(count)]


@contextmanager
def _nodes(
    count: int, trouble: str, engine: str, clocks: Sequence[Clock], *args: str
) -> Iterator[tuple[list[Member], Sequence[Wire]]]:
    def environment(number: int) -> dict[str, str]:
        return clocks[number].environment if clocks else {}

    if trouble == CUTS:
        with wired(count, *args, engine=engine, environment=environment) as (members, wires):
            yield members, wires
    else:
        with enclave(count, *args, engines=(engine,), environment=environment) as members:
            yield members, ()


def _maps(members: list[Member]) -> list[object]:
    return [member.info()["homes_version"] for member in members]


def main() -> int:
    parser = argparse.ArgumentParser(description="judge what real clients are told by several nodes")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--trouble", choices=TROUBLES, default=CALM)
    parser.add_argument("--wait", type=int, default=0, help="nodes that have to hold what a client counts on")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--decide", choices=["home", "majority"], default="home")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--skewed", action="store_true", help="all wall clocks jump in each round")
    args = parser.parse_args()
    majority = args.decide == "majority"
    stayed, changed = play(args.rounds, args.trouble, args.wait, args.engine, majority, args.nodes, args.skewed)
    clocks = ", clocks that jump" if args.skewed else ""
    print(f"{args.trouble}{clocks}, {args.nodes} nodes, wait {args.wait}: {stayed}")
    print(f"where the map of homes changed: {changed}", flush=True)
    return 1 if stayed.disordered or majority and changed.disordered else 0


if __name__ == "__main__":
    raise SystemExit(main())
