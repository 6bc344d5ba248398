"""What is in the matrix: a folder of `compat/clients` or `compat/frameworks` with an `entry.toml`, read and checked.

An entry says what it needs, how its dependencies are installed, and which programs to run; each run is
one row of the result. This file reads and starts nothing.

    title = "redis-py"            as people know it
    language = "Python"
    install = "venv"              one of the kinds in `compat/install.py`
    core = true                   part of `make compat-core`
    enclave = true                three nodes more, peers of each other, stand beside its own
    free = true                   a tool that cannot go through the list below
    needs = ["node"]              programs that must be on the machine
    debian = ["php-redis"]        packages of Debian that bring them, for the note when they are missing
    source = "../redis_py"        a folder whose files come first: the same program with other versions
    seconds = 90                  how long one run may take

    [[run]]
    name = "asyncio"              behind the title
    cluster = "yes"               three nodes more, with this word behind `--cluster`; then it does CLUSTER_CHECKS
    socket = true                 it reaches the open node by its Unix socket, wherever it would by its port
    command = ["{python}", "program.py", "asyncio"]
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
SECONDS = 90.0
SECONDS_MAX = 600.0

# What every client goes through. A program names each of them, as passed, failed or skipped; one that it
# does not name has failed: nothing drops out in silence.
CHECKS = (
    "connect", "resp2", "resp3", "set-ex", "set-px", "set-exat", "set-pxat", "set-keepttl", "default-ttl", "get",
    "get-missing", "mget", "set-nx", "expire", "ttl", "incr", "scan", "pipeline", "multi", "watch", "publish-subscribe",
    "expired-event", "binary", "mebibyte", "auth", "auth-refused", "select", "del-refused", "del-in-multi", "restart",
    "tls",
)  # fmt: skip


# What every client of a cluster goes through, on three nodes, one of which is killed and started again.
CLUSTER_CHECKS = ("connect", "route", "tags", "transaction", "shard-messages", "failover", "return")
CLUSTERS = ("", "yes", "strict")


class EntryError(Exception):
    """An entry.toml that says too little, too much or the wrong thing."""


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    command: tuple[str, ...]
    cluster: str = ""  # the option that starts its three nodes; "": the entry has no cluster
    socket: bool = False  # by the Unix socket of the open node


@dataclass(frozen=True, slots=True)
class Entry:
    folder: Path
    group: str  # "clients" or "frameworks"
    title: str
    language: str
    install: str
    runs: tuple[Run, ...]
    core: bool = False
    enclave: bool = False
    free: bool = False
    needs: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    source: Path | None = None
    seconds: float = SECONDS

    @property
    def name(self) -> str:
        return self.folder.name

    def checks_of(self, run: Run) -> tuple[str, ...]:
        """What a run must name; a framework and a tool name what they have."""
        return CLUSTER_CHECKS if run.cluster else self.checks

    @property
    def checks(self) -> tuple[str, ...]:
        return () if self.free or self.group != "clients" else CHECKS


KNOWN = {
    "title": str, "language": str, "install": str, "core": bool, "enclave": bool, "free": bool, "needs": list,
    "debian": list, "source": str,
    "seconds": int, "run": list,
}  # fmt: skip


def entries(root: Path = ROOT) -> list[Entry]:
    """All of them, clients first, each group by name."""
    found = [path.parent for group in ("clients", "frameworks") for path in sorted((root / group).glob("*/entry.toml"))]
    return [read_entry(folder) for folder in found]


def read_entry(folder: Path) -> Entry:
    with (folder / "entry.toml").open("rb") as file:
        facts = tomllib.load(file)
    for name, value in facts.items():
        if name not in KNOWN or not isinstance(value, KNOWN[name]):
            raise EntryError(
                f"{folder.name}: {name} is no setting of an entry, or not of type {KNOWN.get(name, str).__name__}"
            )
    for name in ("title", "language", "install", "run"):
        if not facts.get(name):
            raise EntryError(f"{folder.name}: {name} is missing")
    runs = tuple(
        Run(one.get("name", ""), tuple(one["command"]), one.get("cluster", ""), one.get("socket", False))
        for one in facts.pop("run")
    )
    if any(run.cluster not in CLUSTERS for run in runs):
        raise EntryError(f"{folder.name}: cluster must be yes or strict")
    if any(run.socket not in (True, False) or run.socket and run.cluster for run in runs):
        raise EntryError(f"{folder.name}: socket must be true or false, and is of no cluster")
    if len({run.name for run in runs}) != len(runs):
        raise EntryError(f"{folder.name}: two runs have one name")
    seconds = facts.pop("seconds", SECONDS)
    if not 0 < seconds <= SECONDS_MAX:
        raise EntryError(f"{folder.name}: seconds must be between 1 and {SECONDS_MAX:.0f}")
    source = facts.pop("source", None)
    facts |= {name: tuple(facts.get(name, ())) for name in ("needs", "debian")}
    place = (folder / source).resolve() if source else None
    return Entry(folder, folder.parent.name, runs=runs, seconds=seconds, source=place, **facts)
