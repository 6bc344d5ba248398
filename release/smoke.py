"""Tries an installed respram as a newcomer would: `python smoke.py`, with the interpreter of the environment, from
anywhere.

It uses the standard library alone, so that an environment which lacks one of respram's own dependencies fails here.
`--engine native` makes a missing native engine a failure; `--version` names the version that must answer.
"""

import argparse
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedRWPair
    from typing import Any

    Link = BufferedRWPair[Any, Any]  # generic for the type checker alone

SOON_S = 120.0  # for each step that waits: a busy machine is not a failure
LISTENING = re.compile(rb"event=listen clients=127\.0\.0\.1:(\d+)")


class SmokeError(Exception):
    pass


def expect(said: object, wanted: object, what: str) -> None:
    if said != wanted:
        raise SmokeError(f"{what}: {said!r} instead of {wanted!r}")


def command() -> str:
    """The console script beside this interpreter, which pip has written."""
    path = Path(sysconfig.get_path("scripts")) / "respram"
    if not path.exists():
        raise SmokeError(f"{path} is not installed")
    return str(path)


def started(server: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    """The port of the log's `listen` line, and what was logged so far."""
    assert server.stderr is not None
    log, end = b"", time.monotonic() + SOON_S
    while time.monotonic() < end:
        if select.select([server.stderr], [], [], 0.2)[0]:
            piece = os.read(server.stderr.fileno(), 65536)
            if not piece:
                break
            log += piece
        if found := LISTENING.search(log):
            return int(found[1]), log
    raise SmokeError(f"it did not start: {log.decode(errors='replace')[-2000:]}")


@contextlib.contextmanager
def open_link(port: int) -> Iterator["Link"]:
    with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as link:
        yield link.makefile("rwb")


def said_by(file: "Link", *words: str) -> bytes:
    """The reply to a command: a bulk string's bytes, or the line of any other."""
    file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one.encode()) for one in words))
    file.flush()
    head = file.readline().rstrip()
    if head.startswith(b"$") and head != b"$-1":
        return file.read(int(head[1:]) + 2)[:-2]
    return head


def converse(port: int, engine: str) -> None:
    with open_link(port) as file:

        def say(*words: str) -> bytes:
            return said_by(file, *words)

        expect(say("PING"), b"+PONG", "PING")
        expect(say("SET", "greeting", "hello", "EX", "60"), b"+OK", "SET")
        expect(say("GET", "greeting"), b"hello", "GET")
        expect(say("APPEND", "greeting", ", world"), b":12", "APPEND")
        expect(say("TTL", "greeting"), b":60", "TTL")
        expect(say("SET", "short", "life", "PX", "30"), b"+OK", "SET PX")
        time.sleep(0.08)
        expect(say("GET", "short"), b"$-1", "GET of a key that has ended")
        expect(say("GET", "greeting"), b"hello, world", "GET")
        if engine:
            expect(f"engine:{engine}\r\n".encode() in say("INFO", "respram"), True, f"INFO names the engine {engine}")


def smoke(engine: str, version: str) -> None:
    respram = command()
    done = subprocess.run([respram, "--version"], capture_output=True, text=True, timeout=SOON_S, check=True)
    said = done.stdout.strip()
    if version:
        expect(said, f"respram {version}", "respram --version")
    words = [respram, "serve", "--port", "0", "--peer-port", "0"]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(words, stderr=subprocess.PIPE, cwd=folder) as server:
        try:
            port, log = started(server)
            if engine:
                expect(f"engine={engine}".encode() in log, True, f"the log names the engine {engine}")
            converse(port, engine)
            pinged = subprocess.run(
                [respram, "ping", "--port", str(port)], timeout=SOON_S, check=False, capture_output=True
            )
            expect(pinged.returncode, 0, "respram ping")
            server.send_signal(signal.SIGTERM)
            expect(server.wait(SOON_S), 0, "the exit code after SIGTERM")
        finally:
            if server.poll() is None:
                server.kill()
    print(f"smoke: {said}, Python {sys.version.split()[0]}, engine {engine or 'any'}: works")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("", "native", "pure"), default="")
    parser.add_argument("--version", default="")
    args = parser.parse_args()
    try:
        smoke(args.engine, args.version)
    except (SmokeError, OSError, subprocess.SubprocessError) as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
