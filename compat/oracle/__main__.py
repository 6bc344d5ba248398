"""`python -m compat.oracle`: plays random commands to redis-server and to respram, and prints a table.

Exit code 0: every family at 100 %. 1: there is a difference. 2: wrong arguments, or a server is missing.
"""

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from compat.oracle.contest import Replay, Row, hold
from compat.oracle.families import FAMILIES, SEVERAL
from compat.oracle.rules import ids
from compat.oracle.servers import Place, ServerError, redis_server, respram_node
from compat.oracle.stream import show_step, shown

SECONDS = 600.0
LISTED_MAX = 200  # distinct differences of one family in the report file


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    args.families = args.families or list(FAMILIES if args.nodes == 1 else SEVERAL)
    unknown = [name for name in args.families if name not in FAMILIES]
    if unknown:
        print(f"oracle: no family {unknown[0]!r}; there are {', '.join(FAMILIES)}", file=sys.stderr)
        return 2
    try:
        began = time.monotonic()
        with redis_server(args.redis) as redis, _other(args) as other:
            print(f"seed {args.seed}: {redis.name} against {other.name}", flush=True)
            rows = hold(
                redis,
                other,
                args.seed,
                args.commands,
                args.families,
                args.seconds,
                lambda row: print(line(row), flush=True),
            )
    except ServerError as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 2
    text = report(rows, args.seed, time.monotonic() - began)
    print(text)
    if args.report:
        args.report.write_text("\n".join([head(), *map(line, rows), text, *everything(rows), ""]))
    return int(any(row.tally.differences for row in rows))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compat.oracle", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(1 << 32),
        help="default: a new one, which is printed",
    )
    parser.add_argument(
        "--commands", type=int, default=20_000, help="drawn in all families together (20000); each is played four times"
    )
    parser.add_argument("--families", type=lambda text: text.split(","), help="a,b,... (all; of several nodes SEVERAL)")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"time limit ({SECONDS:.0f}), shared by the families"
    )
    parser.add_argument("--respram", metavar="HOST:PORT", help="a node that runs already; its keys are let go")
    parser.add_argument(
        "--engine", choices=("pure", "native"), default="pure", help="of the node that is started without --respram"
    )
    parser.add_argument(
        "--nodes", type=int, default=1, help="so many are peers, and the first is asked; see SEVERAL in families"
    )
    parser.add_argument(
        "--itself", action="store_true", help="a second redis-server instead of respram: is the oracle right?"
    )
    parser.add_argument("--redis", metavar="PATH", help="the redis-server to start (the one on the PATH)")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the result there too")
    return parser.parse_args(argv)


@contextlib.contextmanager
def _other(args: argparse.Namespace) -> Iterator[Place]:
    if args.itself:
        with redis_server(args.redis, "redis again") as place:
            yield place
    elif args.respram:
        host, _, port = args.respram.rpartition(":")
        if not port.isdigit():
            raise ServerError(f"--respram {args.respram}: expected HOST:PORT")
        yield Place("respram", host or "127.0.0.1", int(port), is_redis=False)
    else:
        with respram_node(args.engine, args.nodes) as place:
            yield place


def head() -> str:
    return f"{'family':<16}{'streams':>8}{'commands':>10}{'replies':>9}{'by rule':>9}{'differ':>8}{'percent':>9}"


def line(row: Row) -> str:
    tally = row.tally
    if not row.streams:
        return f"{row.family:<16}{'not played: no Redis answers these':>60}"
    percent = f"{tally.percent:.2f}" if tally.differences else "100"
    return (
        f"{row.family:<16}{row.streams:>8}{row.commands:>10}{tally.compared:>9}{sum(tally.by_rule.values()):>9}"
        f"{len(tally.differences):>8}{percent:>9}"
    )


def report(rows: list[Row], seed: int, seconds: float) -> str:
    lines = ["", head()[:16] + f"in {seconds:.0f} s, seed {seed}"]
    used = {rule: sum(row.tally.by_rule[rule] for row in rows) for rule in ids()}
    lines.append("rules: " + ", ".join(f"{rule} {count}" for rule, count in used.items()))
    for row in rows:
        if row.replay is not None:
            lines += ["", *_replay_lines(row.replay)]
    return "\n".join(lines)


def everything(rows: list[Row]) -> list[str]:
    """For the file: each distinct difference once, with the step at which it was seen."""
    lines = []
    for row in rows:
        seen: set[tuple[str, bytes, bytes]] = set()
        for one in row.tally.differences:
            step = show_step(one.stream.steps[one.step])
            mark = (step, one.expected, one.got)
            if mark not in seen and len(seen) < LISTED_MAX:
                seen.add(mark)
                lines.append(
                    f"{row.family} {one.stream.number} {one.way} {step}: expected {shown(one.expected)} got "
                    f"{shown(one.got)}"
                )
    return ["", *lines] if lines else []


def _replay_lines(replay: Replay) -> list[str]:
    stream, found = replay.stream, replay.difference
    lines = [f"{stream.family} stream {stream.number}, RESP{stream.proto}, sent {found.way}:"]
    lines += [f"    CONFIG SET {name.decode()} {value.decode()!r}" for name, value in stream.config]
    for number, step in enumerate(stream.steps):
        lines.append(f"  {'>' if number == found.step else ' '} {show_step(step)}")
    return [
        *lines,
        f"    on connection {found.conn} expected {shown(found.expected)}",
        f"    {' ' * 16}got {shown(found.got)}",
    ]


if __name__ == "__main__":
    sys.exit(main())
