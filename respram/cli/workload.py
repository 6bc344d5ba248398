"""Analyses a workload that runs on Redis today: which commands respram would refuse, and how often they are called.

Two sources: `INFO commandstats` and `INFO keyspace` of a running Redis, which count commands by name, and
a capture of `redis-cli MONITOR`, which has their arguments. Text in, a report out; no I/O. The report names
commands and numbers; keys and values are looked at and never repeated.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from respram.catalog import find
from respram.commands.refusals import reason_of
from respram.integers import parse_float, parse_int
from respram.scripting.compiler import compile_script

LINE_BYTES_MAX = 1 << 20  # of a capture: a longer line is counted, and its arguments are ignored
NAMES_MAX = 1_000  # distinct commands in one report, so that an unrelated file does not fill the memory
NAME_CHARS_MAX = 40  # of an unknown command, as it is shown

# `1700000000.123456 [0 127.0.0.1:6379] "set" "key" "value"`; scripts say `[0 lua]`, unix sockets a path.
LINE = re.compile(rb'(\d{1,12}\.\d{6}) \[(\d{1,5}) [^\]]*\] ("(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*)\s*$')
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
STAT = re.compile(r"cmdstat_([^:]+):calls=(\d{1,19})")
KEYS = re.compile(r"db(\d+):keys=(\d{1,19}),expires=(\d{1,19})")

SERVED, DEFAULT_TTL, LET_GO, REFUSED, UNKNOWN = "served", "default TTL", "let go", "refused", "unknown"
NO_TTL = "names no TTL: the key gets the node's --default-ttl"
DELETES_BY_TIME = "a time that is not in the future deletes"
NEVER_TTL = {b"setnx", b"mset", b"msetnx", b"getset"}  # writes that cannot name a TTL
LIVES = {b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"}
RELATIVE = {b"expire": 1, b"pexpire": 1}
SCRIPTS = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro"})
TEXTS_MAX = 1_000  # distinct scripts of a capture that are analysed
ABSOLUTE = {b"expireat": 1_000, b"pexpireat": 1}  # milliseconds in the unit of the argument


@dataclass(slots=True)
class Workload:
    """What was counted: calls by command, verdict and reason; keys without a TTL; lines that were not understood."""

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    eternal_keys: int = 0
    rights: set[str] = field(default_factory=set)  # commands that have to be granted by name
    lines_unread: int = 0
    has_arguments: bool = True
    scripts: int = 0  # calls of scripts
    # of scripts that were sent whole: whether they run without Lua
    texts: dict[bytes, bool] = field(default_factory=dict)

    def count(self, name: str, verdict: str, reason: str = "", times: int = 1) -> None:
        entry = (name, verdict, reason)
        if entry not in self.calls and len(self.calls) >= NAMES_MAX:
            entry = ("others", UNKNOWN, f"more than {NAMES_MAX} different commands")
        self.calls[entry] += times
        if name in SCRIPTS:
            self.scripts += times
        if verdict == LET_GO:
            self.rights.add("del" if reason == DELETES_BY_TIME else name)

    def total(self, verdict: str | None = None) -> int:
        return sum(times for (_, one, _), times in self.calls.items() if verdict in (None, one))


def of_capture(lines: Iterable[bytes]) -> Workload:
    """A capture of MONITOR, line by line; a line beyond LINE_BYTES_MAX may come cut, in pieces."""
    found, inside = Workload(), False
    for line in lines:
        begins, inside = not inside, not line.endswith(b"\n")
        if not begins:  # the rest of an overlong line
            continue
        match = LINE.match(line) if len(line) <= LINE_BYTES_MAX else None
        if match:
            words = [_plain(word) for word in WORD.findall(match[3])]
            moment = parse_float(match[1])
            found.count(*_judge(words, int((moment or 0.0) * 1000)))
            if (
                words[0].lower() == b"eval"
                and len(words) > 1
                and words[1] not in found.texts
                and len(found.texts) < TEXTS_MAX
            ):
                found.texts[words[1]] = compile_script(words[1]) is not None
        elif line.strip() not in (b"", b"OK"):
            found.lines_unread += 1
    return found


def of_info(text: str) -> Workload:
    """INFO commandstats and INFO keyspace. Without arguments, a SET cannot be told from one that names a TTL."""
    found = Workload(has_arguments=False)
    for name, times in STAT.findall(text):
        words = [word.encode() for word in name.split("|")]
        found.count(*_known(words), times=int(times))
    found.eternal_keys = sum(int(keys) - int(expiring) for _, keys, expiring in KEYS.findall(text))
    return found


def report(found: Workload, *, has_lua: bool = False) -> str:
    """Refusals first, each with its reason, then commands that are served differently, then the sums. `has_lua`: Lua
    is installed on this machine.
    """
    lines = []
    for verdict, heading in (
        (REFUSED, "refused by design"), (UNKNOWN, "unknown commands"),
        (LET_GO, "refused, unless the user has the right to let go"),
        (DEFAULT_TTL, "served with the default TTL"),
    ):  # fmt: skip
        rows = sorted(((times, name, why) for (name, one, why), times in found.calls.items() if one == verdict),
                      reverse=True)
        if rows:
            lines += [f"{heading}:", *(f"  {times:>12,}  {name:<16} {why}".rstrip() for times, name, why in rows), ""]
    total = found.total()
    share = f"{100 * found.total(REFUSED) / total:.2f} %" if total else "none"
    lines.append(f"{total:,} commands: {found.total(SERVED):,} served, {found.total(DEFAULT_TTL):,} served with the "
                 "default TTL, "
                 f"{found.total(LET_GO):,} served with the right to let go, {found.total(REFUSED):,} refused "
                 f"({share}), "
                 f"{found.total(UNKNOWN):,} unknown")  # fmt: skip
    if found.rights:
        names = sorted(found.rights)
        lines.append(f"the right to let go: --let-go {','.join(names)}   or, for one user: "
                     f"ACL SETUSER <name> {' '.join('+' + name for name in names)}")  # fmt: skip
    if found.scripts:
        needed = "Lua is installed here" if has_lua else "pip install 'respram[scripts]'"
        lines.append(f"{found.scripts:,} calls of scripts: {needed}; their commands are among those above")
    if found.texts:
        lines.append(
            f"of {len(found.texts):,} different scripts {sum(found.texts.values()):,} run without Lua, as fast as in "
            "Redis"
        )
    if not found.has_arguments:
        lines.append(
            "counted by name alone: only a capture of MONITOR shows a SET without EX, or an EXPIRE with a time that "
            "has passed"
        )
    if found.eternal_keys:
        lines.append(f"keys without a TTL today: {found.eternal_keys:,}; here every key gets one")
    if found.lines_unread:
        lines.append(
            f"{found.lines_unread:,} lines were not lines of MONITOR, or were longer than {LINE_BYTES_MAX:,} bytes"
        )
    return "\n".join(lines) + "\n"


def is_clean(found: Workload) -> bool:
    """Whether everything would be served."""
    return not found.total(REFUSED) and not found.total(UNKNOWN) and not found.total(LET_GO)


def _judge(words: list[bytes], moment_ms: int) -> tuple[str, str, str]:
    """One command as it was sent: its name, verdict and reason."""
    name, verdict, reason = _known(words)
    if verdict != SERVED:
        return name, verdict, reason
    command, options = words[0].lower(), {word.upper() for word in words[3:]}
    if command == b"getex" and b"PERSIST" in {word.upper() for word in words[2:]}:
        return name, REFUSED, reason_of(b"persisting").decode()
    if _has_passed(command, words, moment_ms):
        return name, LET_GO, DELETES_BY_TIME
    if command in NEVER_TTL or command == b"set" and not options & LIVES:
        return name, DEFAULT_TTL, NO_TTL
    return name, verdict, reason


def _known(words: list[bytes]) -> tuple[str, str, str]:
    """Finds the command, or the subcommand of a container, by the names alone."""
    command = find(words[0].lower(), words[1] if len(words) > 1 else b"")
    if command is None:
        return _shown(words[0]), UNKNOWN, ""
    name = command.name.decode().replace("|", " ")
    if command.refused == b"cluster":
        return name, REFUSED, "there is no cluster mode"
    if command.refused:
        return name, REFUSED, reason_of(command.refused).decode()
    if command.by_name:
        return (name, LET_GO, "") if command.writes else (name, REFUSED, reason_of(b"stopping").decode())
    if command.name in NEVER_TTL:
        return name, DEFAULT_TTL, NO_TTL
    return name, SERVED, ""


def _has_passed(command: bytes, words: list[bytes], moment_ms: int) -> bool:
    """Whether the deadline that the command names is not in the future: Redis would delete."""
    if command in RELATIVE or command in ABSOLUTE:
        when = parse_int(words[2]) if len(words) > 2 else None
        return when is not None and (when <= 0 if command in RELATIVE else when * ABSOLUTE[command] <= moment_ms)
    if command in (b"set", b"getex"):
        for option, value in itertools.pairwise(words[3:] if command == b"set" else words[2:]):
            scale = {b"EXAT": 1_000, b"PXAT": 1}.get(option.upper())
            when = parse_int(value) if scale else None
            if scale and when is not None and 0 < when * scale <= moment_ms:
                return True
    return False


def _plain(word: bytes) -> bytes:
    """What MONITOR wrote between the quotes, with its escapes undone."""
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", _unescaped, word, flags=re.DOTALL)


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes.fromhex(code[1:].decode())
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}.get(code, code)


def _shown(name: bytes) -> str:
    return name[:NAME_CHARS_MAX].decode("ascii", "backslashreplace")
