"""Counters of live nodes that are cut off from each other or killed: what was counted is what is read."""

import threading
from dataclasses import dataclass, field

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.live import SOON_S

from .enclave import Member, enclave, until, until_ready
from .test_homes_change import all_settled
from .wires import wired

KEYS = 3
COUNTS = 40  # of each client, before and while there is trouble
LONG_S = SOON_S  # homes that were cut off take seconds to be given to others, on a busy machine more


@dataclass(slots=True)
class Teller:
    """A client that counts at one node, until told to stop."""

    member: Member
    wait: bool = False  # for a peer that holds it
    asked: dict[str, int] = field(default_factory=dict)  # whatever came of it
    sure: dict[str, int] = field(default_factory=dict)  # acknowledged; with `wait` by a peer, too
    done: int = 0
    strange: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        client = self.member.connect()
        number = 0
        while not self.stopped.is_set():
            number += 1
            key, step = f"count:{number % KEYS}", 1 + number % 7
            try:
                client.incrby(key, step)
                self.asked[key] = self.asked.get(key, 0) + step
                if not self.wait or client.wait(1, 2_000):
                    self.sure[key] = self.sure.get(key, 0) + step
                self.done += 1
            except redis.exceptions.BusyLoadingError:  # nothing was done
                self.stopped.wait(0.05)
            except redis.ResponseError as error:
                self.asked[key] = self.asked.get(key, 0) + step
                if not str(error).startswith("UNCERTAIN "):
                    self.strange.append(str(error))
            except redis.RedisError:  # its node is gone, with the reply
                self.asked[key] = self.asked.get(key, 0) + step
                return


def counting(members: list[Member], wait: bool = False) -> list[tuple[Teller, threading.Thread]]:
    tellers = [Teller(member, wait) for member in members]
    threads = [threading.Thread(target=teller.run) for teller in tellers]
    for thread in threads:
        thread.start()
    return list(zip(tellers, threads, strict=True))


def more(tellers: list[Teller], what: str) -> None:
    done = [teller.done for teller in tellers]
    until(
        lambda: all(teller.done >= before + COUNTS for teller, before in zip(tellers, done, strict=True)), what, LONG_S
    )


def read(member: Member, key: str) -> int:
    value = member.client.get(key)
    return int(value) if isinstance(value, bytes) else 0


def judge(tellers: list[Teller], members: list[Member]) -> None:
    assert not [strange for teller in tellers for strange in teller.strange]
    for number in range(KEYS):
        key = f"count:{number}"
        least = sum(teller.sure.get(key, 0) for teller in tellers)
        most = sum(teller.asked.get(key, 0) for teller in tellers)
        until(lambda key=key: len({read(member, key) for member in members}) == 1, "they do not agree", LONG_S)  # type: ignore[misc]
        assert least <= read(members[0], key) <= most, key


@pytest.mark.slow
def test_three_nodes_that_are_cut_off_from_each_other_count_on_and_the_sum_is_read() -> None:
    with wired(3) as (members, wires):
        until_ready(members)
        running = counting(members)
        tellers = [teller for teller, _ in running]
        try:
            more(tellers, "nobody counts")
            for wire in wires:
                wire.cut()
            until(lambda: all(member.info()["enclave_peers_linked"] == 0 for member in members), "not cut", LONG_S)
            more(tellers, "nobody counts alone")
            alone = [read(member, "count:1") for member in members]
            for wire in wires:
                wire.mend()
            more(tellers, "nobody counts again")
        finally:
            for teller, thread in running:
                teller.stopped.set()
                thread.join()
        until_ready(members)
        judge(tellers, members)
        assert len(set(alone)) > 1, "nobody counted alone"
        assert sum(int(str(member.info()["counters_merged"])) for member in members) > 0


@pytest.mark.slow
@pytest.mark.parametrize("engines", [tuple(ENGINES), tuple(reversed(ENGINES))], ids=str)
def test_what_a_peer_holds_outlives_the_node_that_counted_it(engines: tuple[str, ...]) -> None:
    with enclave(3, engines=engines) as members:
        all_settled(members)
        running = counting(members, wait=True)
        tellers = [teller for teller, _ in running]
        try:
            more(tellers, "nobody counts")
            members[2].kill()
            more(tellers[:2], "nobody counts without the third")
            members[2].start()
            more(tellers[:2], "nobody counts with it again")
        finally:
            for teller, thread in running:
                teller.stopped.set()
                thread.join()
        until_ready(members)
        judge(tellers, members)


@pytest.mark.slow
@pytest.mark.parametrize("decide", ["local", "home"])
def test_a_node_that_does_not_run_for_a_while_loses_no_count(decide: str) -> None:
    with enclave(3, "--decide", decide) as members:
        until_ready(members)
        running = counting(members)
        tellers = [teller for teller, _ in running]
        try:
            more(tellers, "nobody counts")
            members[1].freeze()
            more([tellers[0], tellers[2]], "nobody counts without the one that does not run")
            members[1].thaw()
            more(tellers, "nobody counts again")
        finally:
            members[1].thaw()
            for teller, thread in running:
                teller.stopped.set()
                thread.join()
        until_ready(members)
        judge(tellers, members)
        if decide == "local":
            assert sum(int(str(member.info()["counters_merged"])) for member in members) > 0
