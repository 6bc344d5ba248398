"""`respram snapshot expire DIR`: destroys expired data in the directory of a stopped node, and says what remains.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from respram.cli.terminal import progress
from respram.config.settings import read_snapshot_key
from respram.errors import ConfigError

SNAPSHOT_HELP = """respram snapshot: destroy expired data in the snapshots of a stopped node.

  respram snapshot expire DIR [--key-file FILE]

DIR is the directory of --snapshot-dir. FILE is that of the node's --snapshot-key-file. With it, the command also
removes expired keys from keys.ring, and expired values from segments that hold others. Let a timer run the command
every minute until the node starts again or nothing is left.

Exit code 0: done, or a running node expires its data itself. 1: expired data may still be readable. 2: wrong arguments.
"""


def run(
    words: list[str], variables: Mapping[str, str], say: Callable[[str], None], complain: Callable[[str], None]
) -> int:
    from respram.server.expiring import PASSES, expire

    folder, key_file = _asked(words, variables)
    secret = read_snapshot_key(key_file) if key_file else ""
    shown, read = progress(), 0
    size = sum(path.stat().st_size for path in folder.glob("*.segment")) if folder.is_dir() else 0

    def tell(more: int) -> None:
        nonlocal read
        read += more
        shown.show("reading segments", read, PASSES * size, "bytes")

    try:
        done = expire(folder, secret, time.time_ns() // 1_000_000, tell)
    except BlockingIOError:
        say(f"{folder}: a running node uses it and expires its data itself")
        return 0
    except OSError as error:
        complain(f"respram: {folder} cannot be used: {error.strerror or error}")
        return 1
    finally:
        shown.close()
    say(
        f"{folder}: {done.segments} segments; {done.removed} expired and removed, {done.rewritten} rewritten without "
        f"{done.values} values, "
        f"{done.keys} keys destroyed, {done.left} left"
    )
    if done.next_ms:
        say(
            "the next segment expires at "
            f"{datetime.fromtimestamp(done.next_ms / 1000, UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}"
        )
    if done.ring_is_locked:
        complain(
            "respram: keys.ring still has the keys of the removed segments: give --key-file, or destroy the file's "
            "secret"
        )
    if done.doubtful:
        complain(
            f"respram: {done.doubtful} segments may hold expired values, and cannot be rewritten: their keys "
            "are missing"
        )
    return 1 if done.ring_is_locked else 0


def _asked(words: list[str], variables: Mapping[str, str]) -> tuple[Path, str]:
    if not words or words[0] != "expire":
        raise ConfigError("use respram snapshot expire DIR [--key-file FILE]")
    folder, key_file = "", variables.get("RESPRAM_SNAPSHOT_KEY_FILE", "")
    left = iter(words[1:])
    for word in left:
        if word == "--key-file":
            key_file = next(left, "")
        elif word.startswith("--key-file="):
            key_file = word.partition("=")[2]
        elif word.startswith("-") or folder:
            raise ConfigError(f"unknown argument {word[:40]!a}; use respram snapshot expire DIR [--key-file FILE]")
        else:
            folder = word
    if not folder:
        raise ConfigError("respram snapshot expire needs the directory of --snapshot-dir")
    return Path(folder), key_file
