"""Histories of real clients at three nodes, judged key by key: could one register have said all that?

    python -m tests.trials.histories --rounds 20 --trouble kills --wait 1

Each round has keys of its own. Clients at all nodes count (INCR), take (SET NX) and swap (SET with GET) without a
pause; in the middle a node is killed, stopped in order, or does not run for a while, and comes back; or two of the
three are killed at once; or wires between the nodes are cut for a while: those to one node, to two (which then do not
hear each other, and both hear the third), or to all. What was told LOADING was not done; what was told UNCERTAIN, and
what a connection took along, may have been done. With --wait a client counts on nothing that WAIT did not say to be
held.
"""

import argparse
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.wire import Wire
from respram.sim.histories import Told, judge
from respram.sim.linear import INCR, SWAP, TAKE, Held, Operation
from tests.peers.enclave import Member, enclave, until, until_ready
from tests.peers.wires import wired

CALM, STOPS, KILLS, PAUSES, PAIRS, CUTS = "calm", "stops", "kills", "pauses", "pairs", "cuts"
TROUBLES = (CALM, STOPS, KILLS, PAUSES, PAIRS, CUTS)
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
    number: int, members: list[Member], trouble: str, wait: int, told: Told, wires: Sequence[Wire] = ()
) -> dict[bytes, list[Operation]]:
    histories: dict[bytes, list[Operation]] = {}
    lock = threading.Lock()
    clients = [
        Client(one, number, [member.port for member in members], wait, told, lock, histories) for one in range(CLIENTS)
    ]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    until(lambda: sum(client.done for client in clients) > CLIENTS * EACH // 4, "the clients do not go on", PATIENCE_S)
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


def play(rounds: int, trouble: str, wait: int, engine: str = "auto", majority: bool = False) -> tuple[Told, Told]:
    """Of the rounds in which the map of homes stayed as it was, and of the others: a busy machine makes nodes suspect
    each other.
    """
    stayed, changed = Told(), Told()
    args = ("--decide", "majority", "--enclave-size", "3") if majority else ()
    with _nodes(trouble, engine, *args) as (members, wires):
        until_ready(members)
        for member in members if majority else ():
            until(partial(_votes, member), "no vote", PATIENCE_S)
        for number in range(rounds):
            before, told = _maps(members), Told()
            one_round(number, members, trouble, wait, told, wires)
            (stayed if _maps(members) == before else changed).add(told)
    return stayed, changed


@contextmanager
def _nodes(trouble: str, engine: str, *args: str) -> Iterator[tuple[list[Member], Sequence[Wire]]]:
    if trouble == CUTS:
        with wired(3, *args, engine=engine) as (members, wires):
            yield members, wires
    else:
        with enclave(3, *args, engines=(engine,)) as members:
            yield members, ()


def _maps(members: list[Member]) -> list[object]:
    return [member.info()["homes_version"] for member in members]


def main() -> int:
    parser = argparse.ArgumentParser(description="judge what real clients are told by three nodes")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--trouble", choices=TROUBLES, default=CALM)
    parser.add_argument("--wait", type=int, default=0, help="nodes that have to hold what a client counts on")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--decide", choices=["home", "majority"], default="home")
    args = parser.parse_args()
    majority = args.decide == "majority"
    stayed, changed = play(args.rounds, args.trouble, args.wait, args.engine, majority)
    print(f"{args.trouble}, wait {args.wait}: {stayed}\nwhere the map of homes changed: {changed}", flush=True)
    return 1 if stayed.disordered or majority and changed.disordered else 0


if __name__ == "__main__":
    raise SystemExit(main())
