"""Decisions while members come and go, on live nodes: in order, nothing is granted twice; after a death, others decide
within seconds.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import redis

from tests.timing import in_time

from .enclave import Member, enclave, until, until_ready
from .test_homes import settled

BACK_S = 20.0  # until a dead home's keys are decided about again: suspicion takes 2.5 s on a machine that is not busy


@dataclass(slots=True)
class Races:
    """Two clients at two nodes want one name after the other, until told to stop."""

    one: "redis.Redis"
    two: "redis.Redis"
    done: int = 0
    twice: int = 0
    loading: int = 0
    uncertain: int = 0
    strange: int = 0  # errors that nobody expects
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            name = f"race:{self.done}"
            grants: list[bool] = []
            threads = [
                threading.Thread(target=self.want, args=(client, name, grants)) for client in (self.one, self.two)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.twice += sum(grants) > 1
            self.done += 1

    def want(self, client: "redis.Redis", name: str, grants: list[bool]) -> None:
        while not self.stopped.is_set():
            try:
                grants.append(bool(client.set(name, "x", nx=True, ex=600)))
                return
            except redis.exceptions.BusyLoadingError:  # nothing was done
                self.loading += 1
            except redis.ResponseError as error:
                self.uncertain += str(error).startswith("UNCERTAIN ")
                self.strange += not str(error).startswith("UNCERTAIN ")
                return


def racing(members: list[Member], meanwhile: Callable[[], None]) -> Races:
    races = Races(members[0].connect(), members[1].connect())
    thread = threading.Thread(target=races.run)
    thread.start()
    try:
        until(lambda: races.done > 20, "no race is run")
        meanwhile()
        done = races.done
        until(lambda: races.done > done + 20, "decisions do not come back")
    finally:
        races.stopped.set()
        thread.join()
    assert not races.strange
    return races


def all_settled(members: list[Member]) -> None:
    until_ready(members)
    until(lambda: all(settled(member) for member in members), "homes do not settle")


@pytest.mark.slow
def test_a_node_that_stops_in_order_and_comes_back_grants_nothing_twice() -> None:
    with enclave(3) as members:
        all_settled(members)

        def restart() -> None:
            members[2].stop()
            members[2].start()
            all_settled(members)

        races = racing(members, restart)
        assert races.done > 40 and not races.twice and not races.uncertain, races


@pytest.mark.slow
def test_a_node_that_is_killed_is_replaced_as_a_home() -> None:
    with enclave(3) as members:
        all_settled(members)
        began = time.monotonic()
        races = racing(members, members[2].kill)
        took_s = time.monotonic() - began
        in_time(took_s, 2 * BACK_S, "decisions after a death")
        assert not races.twice, "nobody held what the dead node alone had granted"
        assert all(member.info()["homes_members"] == 2 for member in members[:2])
