"""The command-line options that the scripts share, and the head that all results carry."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import machine
from benchmarks.machine import Affinity
from benchmarks.servers import KINDS, ROOT, BenchError, Kind, Programs, bounded, compiled, present

RESULTS = ROOT / "benchmarks" / "results"


def parser_for(name: str, about: str, servers: str, seconds_max: int) -> argparse.ArgumentParser:
    """The command that runs it, with the options every script has."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    known = ",".join(KINDS)
    parser.add_argument("--servers", default=servers, metavar="NAMES", help=f"some of {known} (default {servers})")
    parser.set_defaults(servers_usual=servers)
    parser.add_argument("--quick", action="store_true", help="a try in seconds, with a fraction of the work: no result")
    parser.add_argument("--no-pin", action="store_true", help="do not give servers and clients a processor each")
    parser.add_argument(
        "--seconds-max",
        type=positive,
        default=seconds_max,
        metavar="S",
        help=f"give up after so long (default {seconds_max})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="where results go, without suffix (default: in benchmarks/results)"
    )
    return parser


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def chosen_kinds(parser: argparse.ArgumentParser, names: str) -> list[Kind]:
    """Named and present; a name that no server has is an error, as is a machine that has none of them."""
    words = list(dict.fromkeys(names.split(",")))
    unknown = [name for name in words if name not in KINDS]
    if unknown:
        parser.error(f"there is no server {unknown[0]!r}; there are {', '.join(KINDS)}")
    kinds = present(words)
    if not kinds:
        parser.error("none of these servers is on this machine")
    return kinds


def out_path(options: argparse.Namespace, name: str, whole: bool) -> Path:
    """A try, or a run of chosen servers, goes to a name of its own, which git ignores: it cannot pass for a result."""
    given: Path | None = options.out
    whole = whole and not options.quick and options.servers == options.servers_usual
    return given or RESULTS / (name if whole else "try")


def facts_of(kinds: list[Kind], programs: Programs, where: Affinity) -> dict[str, str]:
    facts = machine.describe(ROOT)
    facts |= {kind.label: kind.version(programs) for kind in kinds}
    apart = where.server != where.client
    facts["processors"] = "servers on one, clients on another" if apart else "servers and clients share them"
    facts["command"] = shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    return facts


@contextlib.contextmanager
def saving(save: Callable[[bool], None]) -> Iterator[None]:
    """Calls `save(True)` after a whole run; where something ends it early, `save(False)` with what there is by then."""
    try:
        yield
    except BaseException:
        save(False)
        raise
    save(True)


def write(path: Path, suffix: str, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(suffix).write_text(text)
    print(f"written: {path.with_suffix(suffix)}", file=sys.stderr)


def run(options: argparse.Namespace, work: Callable[[Programs, Affinity], None]) -> int:
    """Compiles, runs `work` within its time, and tells in one line what went wrong: the exit code."""
    try:
        with bounded(options.seconds_max), compiled() as programs, machine.precedence():
            work(programs, machine.affinity(not options.no_pin))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; the servers are ended", file=sys.stderr)
        return 130
    return 0
