"""Rolling restarts under a client that fails over and knows what every answer must be.

    python -m tests.trials.restarts --rounds 100

Three nodes; one is stopped (SIGTERM), or killed with --kill, and started again, and another follows when it says that
it is ready: in turns the one that the client uses and one that it does not. One client counts with INCR and takes locks
with SET NX all the time. It stays where it is until its connection ends; then it goes to another node, and in every
second round to the one that has just come back, on its first PONG. A counter that answers anything but the next number
is wrong; so is a lock that is given away twice, or refused although nobody holds it.

A connection that ends without an answer leaves one open question: the number may have been counted or not. Either is
right, once. A kill may take what was acknowledged a moment ago and not sent yet; so with --kill each write is followed
by WAIT. Where WAIT says that nobody else holds the write yet, or where the connection ends before it says anything, the
kill may rightly take it: that is an open question, too.
"""

import argparse
import contextlib
import random
import threading
import time
from dataclasses import dataclass, field

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.peers.enclave import Member, enclave, until, until_ready

COUNTERS = 50
LIFE_S = 3600
AT_ONCE = Retry(NoBackoff(), 0)
WAIT_MS = 60_000  # generous: a busy machine acknowledges late, and a trial of open questions proves nothing
PATIENCE_S = 90
READY_S = 150  # of a machine that does much beside it
ANSWERS_A_ROUND = 100
NO_ANSWER = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


@dataclass(slots=True)
class Count:
    rounds: int = 0
    incrs: int = 0
    wrong_incrs: int = 0
    locks: int = 0
    taken_twice: int = 0
    refused_free: int = 0
    loading: int = 0  # answers that said: come again
    uncertain: int = 0  # answers that say that nobody knows
    unheld: int = 0  # writes of which WAIT did not say that others hold them
    moves: int = 0
    answers: int = 0
    slowest_s: float = 0.0  # of an answer
    examples: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        return self.wrong_incrs + self.taken_twice + self.refused_free

    def note(self, text: str) -> None:
        if len(self.examples) < 8:
            self.examples.append(f"round {self.rounds}: {text}")

    def __str__(self) -> str:
        return (
            f"rounds={self.rounds} incrs={self.incrs} wrong_incrs={self.wrong_incrs} locks={self.locks} "
            f"taken_twice={self.taken_twice} "
            f"refused_free={self.refused_free} loading={self.loading} "
            f"unheld={self.unheld} moves={self.moves} slowest_answer_ms={self.slowest_s * 1000:.0f}"
        )


@dataclass(slots=True)
class Counter:
    """The client, in a thread of its own."""

    ports: list[int]
    rng: random.Random
    count: Count
    replicas: int  # that have to acknowledge each write
    at: int = 0
    stop: bool = False
    wanted: int | None = None  # go there: it has just come back
    values: list[set[int]] = field(default_factory=lambda: [{0} for _ in range(COUNTERS)])
    held: list[str] = field(default_factory=list)
    client: "redis.Redis | None" = None
    is_held: bool = True  # the last write: its answer must stand

    def run(self) -> None:
        while not self.stop:
            if self.rng.random() < 0.7:
                self._incr(self.rng.randrange(COUNTERS))
            else:
                self._lock()

    def _incr(self, number: int) -> None:
        answer = self._ask("INCR", f"count:{number}")
        if answer is None:
            self.values[number] |= {value + 1 for value in self.values[number]}
            return
        assert isinstance(answer, int)
        self.count.incrs += 1
        if answer - 1 not in self.values[number]:
            self.count.wrong_incrs += 1
            self.count.note(
                f"INCR answered {answer}, not {sorted(value + 1 for value in self.values[number])} on node {self.at}"
            )
        self.values[number] = {answer} if self.is_held else self.values[number] | {answer}

    def _lock(self) -> None:
        if self.held and self.rng.random() < 0.5:
            name = self.rng.choice(self.held)
            answer = self._ask("SET", name, "me", "NX", "EX", LIFE_S)
            if answer is not None and answer != "nil":
                self.count.taken_twice += 1
                self.count.note(f"{name} was given away twice, by node {self.at}")
            return
        name = f"lock:{self.count.locks}"
        self.count.locks += 1
        answer = self._ask("SET", name, "me", "NX", "EX", LIFE_S)
        if answer == "nil":
            self.count.refused_free += 1
            self.count.note(f"{name} was refused by node {self.at}, and nobody held it")
        if answer is not None and self.is_held:
            self.held.append(name)

    def _ask(self, *words: object) -> object:
        """An answer; "nil" for nil; None: the connection ended, and nobody knows. LOADING is asked again, here or
        elsewhere.
        """
        if self.wanted is not None and self.wanted != self.at:
            self._settle_and_move(self.wanted)
        began = time.monotonic()
        while time.monotonic() - began < READY_S:
            try:
                answer = self._connected().execute_command(*words)
                self.count.answers += 1
                self.count.slowest_s = max(self.count.slowest_s, time.monotonic() - began)
                self.is_held = self._hold()
            except redis.exceptions.BusyLoadingError:
                self.count.loading += 1
                time.sleep(0.005)
                continue
            except NO_ANSWER:
                self._move((self.at + self.rng.randrange(1, len(self.ports))) % len(self.ports))
                return None
            except redis.exceptions.ResponseError as error:
                if not str(error).startswith("UNCERTAIN"):
                    raise
                self.count.uncertain += 1  # its home was lost under way: as if the connection had ended
                return None
            return "nil" if answer is None else answer
        raise AssertionError("LOADING for ever")

    def _hold(self) -> bool:
        """Whether enough others hold what was answered: where not, a kill may take it, and the client does not count on
        it.
        """
        if not self.replicas:
            return True
        try:
            is_held = self.client is not None and self.client.wait(self.replicas, WAIT_MS) >= self.replicas
        except (*NO_ANSWER, redis.exceptions.ResponseError):
            self._move((self.at + self.rng.randrange(1, len(self.ports))) % len(self.ports))
            is_held = False
        self.count.unheld += not is_held
        return is_held

    def _connected(self) -> "redis.Redis":
        """Nothing was sent while nobody is there: that is no open question."""
        while self.client is None:
            client = redis.Redis(port=self.ports[self.at], socket_timeout=PATIENCE_S, protocol=3, retry=AT_ONCE)
            try:
                client.ping()
                self.client = client
            except redis.exceptions.BusyLoadingError:
                client.close()
            except NO_ANSWER:
                client.close()
                self._move((self.at + 1) % len(self.ports))
                time.sleep(0.005)
        return self.client

    def _settle_and_move(self, to: int) -> None:
        """A client that leaves of its own will makes sure of what it wrote."""
        self.wanted = None
        with contextlib.suppress(*NO_ANSWER):
            self._connected().wait(1, WAIT_MS)
        self._move(to)

    def _move(self, to: int) -> None:
        if self.client is not None:
            self.client.close()
        self.client, self.at = None, to
        self.count.moves += 1


def roll(rounds: int, seed: int, engine: str, kill: bool = False) -> Count:
    count, rng = Count(), random.Random(seed)
    with enclave(3, engines=(engine,)) as members:
        until_ready(members)
        counter = Counter([member.port for member in members], rng, count, replicas=1 if kill else 0)
        thread = threading.Thread(target=counter.run)
        thread.start()
        try:
            for number in range(rounds):
                _restart(members, counter, number, kill)
                count.rounds += 1
                assert thread.is_alive()
        finally:
            counter.stop = True
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        until_ready(members)
    return count


def _restart(members: list[Member], counter: Counter, number: int, kill: bool) -> None:
    """One node goes and comes back, and the client goes on: it ends when the client was answered often enough, not
    after a time.
    """
    at, moves, answers = counter.at, counter.count.moves, counter.count.answers
    place = (at + number % 2) % len(members)  # the node where the client is, or the next one
    member = members[place]
    member.kill() if kill else member.stop()
    time.sleep(0.05)
    member.start(wait=False)
    if number % 2:
        counter.wanted = place
    until(lambda: member.client.execute_command("RESPRAM", "STATE") == b"ready", "not ready", READY_S)
    until(lambda: counter.count.moves > moves, "the client has not moved", READY_S)
    counter.wanted = None
    until(lambda: counter.count.answers >= answers + ANSWERS_A_ROUND, "the client is answered no more", READY_S)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="rolling restarts under a client that fails over and knows what every answer must be"
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--kill", action="store_true", help="kill -9 instead of SIGTERM")
    args = parser.parse_args()
    count = roll(args.rounds, args.seed, args.engine, args.kill)
    print(f"{'kills' if args.kill else 'restarts'}: {count}", *count.examples, sep="\n  ", flush=True)
    return 1 if count.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
