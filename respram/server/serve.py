"""`respram serve`: a process that is one node. Its signals, the first lines of its log, what a terminal is told, and
the exit code. The node itself is in `app.py`, which also runs in somebody else's loop.
"""

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from respram import __version__
from respram.config.settings import Config
from respram.seal import RING_BYTES
from respram.server import health, logs, process
from respram.server.app import PEERS_FAILED, App
from respram.server.guard import guard_memory
from respram.server.showing import Leaving, Showing, Terminal, beginning

SPARE_DESCRIPTORS = 64  # descriptors besides clients: listeners, peers, logs
GC_THRESHOLDS = (200_000, 50, 1000)  # the hot path makes no cycles, and long pauses cost more than garbage


def run(config: Config, terminal: Terminal | None = None) -> int:
    """Serves until told to stop. Raises BindError where a port cannot be had; else the exit code. The terminal is
    shown what takes long, and told once when the node is ready, and how to reach it.
    """
    logs.set_up(config.log_level, config.log_format)
    process.give_back_large_blocks()
    process.raise_descriptor_limit(config.limits.clients_max + SPARE_DESCRIPTORS)
    if config.otlp_endpoint:
        health.quiet_telemetry()
    runner = asyncio.Runner(loop_factory=loop_factory())
    with runner:
        return runner.run(_serve(config, terminal))


async def _serve(config: Config, terminal: Terminal | None = None) -> int:
    loop = asyncio.get_running_loop()
    app = App(config, loop, guard_memory(RING_BYTES) if config.seal_memory else None)
    loop.set_exception_handler(partial(_report_bug, app.journal))
    # Before any client can connect: a node that is stopped right after the first connection still stops in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop, signal.Signals(number).name)
    loop.add_signal_handler(signal.SIGHUP, app.reload)
    app.listen()
    await app.show()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    _announce(app)
    app.keep_forgetting()
    app.sweep()
    app.meet()
    app.remember()
    showing = Showing(loop, app.journal, lambda: beginning(app.node, app.snapshots, app.meeting.driver), terminal)
    showing.begin(lambda: terminal.say(_ready_line(app)) if terminal is not None else None)
    reason = await app.stopping
    showing.end()
    logs.logger.info("event=stopping reason=%s clients=%d", reason, len(app.clients))
    showing.step = Leaving(app.snapshots, app.meeting.driver).step
    showing.begin()
    await app.drain()
    showing.end()
    if app.ring is not None:
        app.ring.wipe()
    logs.logger.info("event=stopped")
    # another signal would end the shutdown with an odd exit code
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    return 0 if app.saved and reason != PEERS_FAILED else 1


def _announce(app: App) -> None:
    config, log = app.config, logs.logger.info
    log(
        "event=start version=%s engine=%s pump=%s pid=%d python=%s",
        __version__,
        app.node.engine.name,
        app.pump.name,
        os.getpid(),
        sys.version.split()[0],
    )
    by_name = sorted(name.decode() for name in app.node.users[b"default"].by_name)
    if by_name:
        logs.logger.warning("event=let_go user=default commands=%s: every client without AUTH may use them",
                            ",".join(by_name))
    ways = {one.name: one.spelled() for one in app.listeners}
    spelled = [ways.get(name, "none") for name in ("clients", "tls_clients", "unix_clients")]
    log("event=listen clients=%s tls_clients=%s unix_clients=%s enclave=%s", *spelled, config.enclave)
    guard = app.guard
    log(
        "event=memory sealed=%s keys=%s all=%s dumps=%s",
        "yes" if config.seal_memory else "no",
        "locked" if guard is not None and guard.keys_locked else "not_locked",
        "locked" if guard is not None and guard.all_locked else "not_locked",
        "off" if guard is not None and guard.dumps_off else "on",
    )
    log("event=policy default_ttl_s=%d max_ttl_s=%d maxmemory_bytes=%d", config.default_ttl_s, config.max_ttl_s,
        config.maxmemory_bytes)  # fmt: skip


def _ready_line(app: App) -> str:
    return f"ready: {reach(app.listeners[0].name, app.listeners[0].spelled())}"


def reach(listener: str, spelled: str) -> str:
    """How redis-cli reaches the first address of a listener."""
    host, _, port = spelled.partition(",")[0].rpartition(":")
    tls = " --tls" if listener == "tls_clients" else ""
    if listener == "unix_clients":
        return f"redis-cli -s {host}"
    elsewhere = "" if host in ("127.0.0.1", "0.0.0.0", "[::]") else f" -h {host.strip('[]')}"  # noqa: S104
    return f"redis-cli{tls}{elsewhere} -p {port}"


def _report_bug(journal: logs.Journal, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Logs an unexpected exception: its kind and place, but not its message, which may contain a value."""
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else []
    place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    journal(f"event=bug kind={type(error).__name__} place={place or 'unknown'}", logs.ERROR)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
