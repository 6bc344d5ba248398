"""The orderly stop, which loses no acknowledged write.

    hand over   other nodes decide from here on: the keys that have their home here get another (gossip/homes.py)
    answer      nobody new comes in; what was received is answered, and nothing more is read        until ANSWER_S
    mute        from here on no command of a client runs: whatever was acknowledged is in the engine
    finish      what was left to slices: members of an answered EXPIRE, and of an end that spares     until FINISH_S
    drain       until the peers have acknowledged all that was written here                         until DRAIN_S
    deaf        what peers send from here on is not taken, and so not acknowledged: they keep it for others
    save        the last snapshot                                                                   until SNAPSHOT_S
    farewell    the peers are told, and the connections closed

The order is what makes it true: a write that is answered behind the drain, or a peer's that is acknowledged behind the
snapshot, would be lost with exit code 0. What a bound leaves undone is said in the log (`event=stopping_left`). Where
the disk did not take the last snapshot, and no peer has what it would hold, the exit code is 1.
"""

import asyncio
from collections.abc import Callable, Iterable

from respram.engine.api import Engine
from respram.server import clock
from respram.server.client import Client
from respram.server.driver import Driver
from respram.server.snapshots import Snapshots

# All times count from the beginning of the stop; the farewell takes at most 0.3 s of the promised 5 s.
ANSWER_S = 1.0
MEET_S = 1.0  # wait for the driver of a node that has just started, if something was written
FINISH_S = 2.0
FINISH_STEP = 1024  # members between two looks at the clock: some ms of the pure engine
DRAIN_S = 2.5
SNAPSHOT_S = 4.0
POLL_S = 0.005

Clients = Callable[[], Iterable[Client]]


async def answer(clients: Clients, paused: Callable[[], bool], end_s: float, log: Callable[[str], None]) -> None:
    """Answers what was received, if there is time; after that no client's command runs."""
    loop = asyncio.get_running_loop()
    for client in list(clients()):
        client.finish()
    while busy := sum(client.is_busy(paused()) for client in clients()):
        if loop.time() > end_s:
            log(f"event=stopping_left what=requests clients={busy}")
            break
        await asyncio.sleep(POLL_S)
    for client in list(clients()):
        client.mute()


async def finish(engine: Engine, end_s: float, log: Callable[[str], None]) -> None:
    """Does what an answered command, or a peer's record, has left to slices: neither the peers nor the last snapshot
    have it before.
    """
    loop = asyncio.get_running_loop()
    while engine.expire(clock.now_ms(), FINISH_STEP) >= FINISH_STEP:
        if loop.time() > end_s:
            log("event=stopping_left what=members")
            break
        await asyncio.sleep(0)


async def save(driver: Driver | None, snapshots: Snapshots | None, begun_s: float, log: Callable[[str], None]) -> bool:
    """Drains to the peers, saves, and says goodbye. False: the disk did not take writes that no peer has."""
    held, complete = False, True
    if driver is not None:
        left = await driver.drain(begun_s + DRAIN_S)
        if left.peers:
            log(f"event=stopping_left what=writes peers={left.peers} bytes={left.bytes}")
        held = not left.peers and driver.replica.has_peers()
        driver.deafen()
    if snapshots is not None:
        complete = await snapshots.stop(begun_s + SNAPSHOT_S)
    if driver is not None:
        await driver.stop()
    return complete or held


async def flushed(clients: Clients, end_s: float) -> None:
    """Waits until waiting replies are sent, as far as their clients read."""
    loop = asyncio.get_running_loop()
    while any(client.out for client in clients()) and loop.time() <= end_s:
        await asyncio.sleep(POLL_S)
