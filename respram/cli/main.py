"""The `respram` command: parses the command line and runs one of its commands, such as `serve` or `ping`.

The exit code is 0 for success, 1 for a failure of the machine (a port that is taken, no answer) and 2 for a wrong
command line or setting. Every failure is one line on standard error that says what to change. Printing belongs here and
nowhere else.

Each command imports what it needs when it runs, so that a health check every few seconds does not pay for the others.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from respram import __version__
from respram.errors import BindError, ConfigError

if TYPE_CHECKING:
    from respram.cli.terminal import Terminal
    from respram.config.options import Option
    from respram.config.settings import Config

USAGE = """respram is a server for short-lived data that speaks the Redis protocol. Every key has a time to live.

  respram serve [--help] [OPTIONS]    run a node
  respram ping [--help] [OPTIONS]     check whether a node answers; exit code 0 if it does
  respram cluster [--help] [OPTIONS]  run several nodes on this machine, to try them out
  respram gateway [--help] [OPTIONS]  serve HTTP, MCP and a live page in front of nodes
  respram mcp [--help] [OPTIONS]      serve tools for an agent on standard input and output
  respram status [--help] [OPTIONS]   print the state of an enclave; exit code 0 if all is well
  respram top [--help] [OPTIONS]      show an enclave live in the terminal
  respram secret                      print a fresh secret for the nodes of a cluster
  respram completion SHELL            print the completion script for bash, zsh or fish
  respram man                         print the manual page: respram man | man -l -
  respram check [--help] URL          list what respram would refuse of a workload on Redis
  respram snapshot [--help] expire    destroy expired data in the snapshots of a stopped node
  respram --version
"""
SECRET_HELP = """respram secret: print a fresh secret, 256 random bits, for --cluster-secret-file or a password.

  (umask 077; respram secret > cluster-secret)
"""
COMMANDS = ("serve", "ping", "cluster", "gateway", "mcp", "status", "top", "secret", "completion", "man", "check",
            "snapshot")
# The options that most nodes need; `serve --help-all` shows all of them.
EVERYDAY = {
    "addresses and ports": ("bind", "port", "unixsocket", "tls-port", "metrics-port"),
    "keys and memory": ("default-ttl", "max-ttl", "maxmemory", "notify-keyspace-events"),
    "access": ("requirepass-file", "aclfile", "unprotected"),
    "other nodes": ("join", "peer-port", "cluster-secret-file", "enclave"),
    "snapshots": ("snapshot-dir", "snapshot-key-file"),
    "log": ("log-level", "log-format"),
}
HELP_COLUMNS = 100
HELP_HEAD = """respram serve: run a node until SIGTERM or SIGINT.

Each option is also a variable (--max-ttl: RESPRAM_MAX_TTL) and a key of the TOML file (max_ttl).
Flags win over variables, variables over the file. Sizes: 100kb, 64mb, 4gb.

  option                                  default             meaning
"""


def main(words: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    variables = os.environ if variables is None else variables
    try:
        return _command(list(words), variables)
    except BindError as error:
        return _complain(error, 1)
    except ConfigError as error:
        return _complain(error, 2)


def entry() -> int:
    """What the installed `respram` script calls."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe such as `| head` has closed it
        _quiet()
        return 1
    return code


def _command(words: list[str], variables: Mapping[str, str]) -> int:
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    asked = any(word in ("--help", "-h") for word in rest)
    if name == "secret" and asked:
        print(SECRET_HELP, end="")
    elif name == "completion":
        return _completion(rest, asked=asked)
    elif name == "man":
        return _manual(rest, asked=asked)
    elif name in ("--version", "-V"):
        print(f"respram {__version__}")
    elif name in ("--help", "-h", "help"):
        print(USAGE, end="")
    elif name == "serve" and "--help-all" in rest:
        print(serve_help(), end="")
    elif name == "serve" and asked:
        print(everyday_help(), end="")
    elif name == "serve":
        return _serve(parse_flags(rest, _serve_flags() | {"gateway": True}), variables)
    elif name in ("status", "top"):
        return _look(name, rest, variables, asked=asked)
    elif name in ("gateway", "mcp"):
        return _face(name, rest, variables, asked=asked)
    elif name == "ping":
        return _ping(rest, variables, asked=asked)
    elif name == "cluster":
        return _cluster(rest, variables, asked=asked)
    elif name == "secret":
        parse_flags(rest, {})
        _print_secret()
    elif name == "snapshot":
        return _snapshot(rest, variables, asked=asked)
    elif name == "check":
        return _check(rest, variables, asked=asked)
    else:
        near = _nearest(name, COMMANDS)
        hint = f"did you mean respram {near}?" if near else f"use respram {', '.join(COMMANDS)} or --help"
        raise ConfigError(f"unknown command {name[:40]!a}; {hint}")
    return 0


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _say(line: str) -> None:
    """Prints a line. Raises OSError once, when the reader is gone; after that all output is discarded, the
    interpreter's last flush included.
    """
    try:
        print(line, flush=True)
    except OSError:
        _quiet()
        raise


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _complain(error: ConfigError, code: int) -> int:
    # One write, so that lines of other processes do not mix with it.
    sys.stderr.write(f"respram: {' '.join(str(error).split(chr(10)))}\n")
    return code


# -- flags ----------------------------------------------------------------------------------------
def parse_flags(words: list[str], known: Mapping[str, bool]) -> dict[str, str]:
    """`--name value`, `--name=value`, and `--name` alone where `known` says that it takes no value.

    A value may begin with a dash (`--slowlog-log-slower-than -1`) unless it is itself one of the flags: then
    the value was forgotten. The last one of a repeated flag counts, as everywhere.
    """
    flags: dict[str, str] = {}
    left = iter(words)
    for word in left:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in known:
            near = _nearest(name, known)
            hint = f"did you mean --{near}?" if near else "--help lists all of them"
            raise ConfigError(f"unknown argument {word.partition('=')[0][:40]!a}; {hint}")
        if equals:
            flags[name] = value
        elif not known[name]:
            flags[name] = "yes"
        else:
            following = next(left, None)
            if following is None or following.startswith("--") and following[2:].partition("=")[0] in known:
                raise ConfigError(f"--{name} needs a value after it")
            flags[name] = following
    return flags


def _serve_flags() -> dict[str, bool]:
    from respram.config.options import OPTIONS

    return {"config": True} | {option.name: bool(option.metavar) for option in OPTIONS}


def serve_help() -> str:
    """The text of `serve --help-all`: one line per option with its default and its meaning."""
    from respram.config.options import OPTIONS

    rows = [
        ("--config FILE", "none", "A TOML file with settings."),
        ("--gateway PORT", "none", "Also start `respram gateway` on that port."),
    ]
    rows += [(f"--{option.name} {option.metavar}".rstrip(), default_of(option), option.why) for option in OPTIONS]
    return HELP_HEAD + "".join(f"  {flag:<38}  {default:<18}  {why}\n" for flag, default, why in rows)


def everyday_help() -> str:
    """The options that most nodes are started with, in groups and no wider than HELP_COLUMNS."""
    import textwrap

    from respram.config.options import BY_NAME

    lines = [HELP_HEAD.partition("  option ")[0].rstrip("\n")]
    for title, names in EVERYDAY.items():
        lines += ["", f"{title}:"]
        for name in names:
            option = BY_NAME[name]
            flag, default = f"--{name} {option.metavar}".rstrip(), default_of(option)
            text = option.why if default == "none" else f"{option.why} Default: {default}."
            first, *rest = textwrap.wrap(text, HELP_COLUMNS - 36)
            lines += [f"  {flag:<32}  {first}", *(" " * 36 + line for line in rest)]
    lines += [
        "",
        "--config FILE reads a TOML file. --gateway PORT also starts a gateway. --help-all lists all options.",
    ]
    return "\n".join(lines) + "\n"


def default_of(option: "Option") -> str:
    from respram.config.options import UNITS

    unit = option.unit if option.unit in UNITS.values() else ""
    return f"{option.default or 'none'} {unit}".rstrip()


# -- the commands ---------------------------------------------------------------------------------
def _print_secret() -> None:
    from respram.server.secret import fresh_secret

    print(fresh_secret())


def _serve(flags: dict[str, str], variables: Mapping[str, str]) -> int:
    # A wrong setting is reported before uvloop or an engine is imported.
    from respram.config.settings import load

    gateway_port = flags.pop("gateway", None)
    if gateway_port is None:
        config = load(flags, variables)
        return _server()(config, _terminal())
    from respram.cli.gateway import beside, read_port

    # The view needs these events; a given option wins.
    spoken = "notify-keyspace-events" in flags or "RESPRAM_NOTIFY_KEYSPACE_EVENTS" in variables or "config" in flags
    config = load(flags if spoken else {**flags, "notify-keyspace-events": "K$gx"}, variables)
    with beside(config, read_port(gateway_port), variables):
        return _server()(config, _terminal())


def _server() -> "Callable[[Config, Terminal | None], int]":
    """Imports without garbage collection: their objects stay, and a search for garbage takes a tenth of the start."""
    gc.disable()
    try:
        from respram.server.serve import run
    finally:
        gc.enable()
    return run


def _terminal() -> "Terminal | None":
    """Runs a node. A terminal shows slow work and when the node is ready; a log file has its usual lines."""
    if not sys.stderr.isatty():
        return None
    from respram.cli.terminal import Terminal

    return Terminal()


def _ping(words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli import ping

    if asked:
        print(ping.PING_HELP, end="")
        return 0
    return ping.run_ping(parse_flags(words, ping.PING_FLAGS), variables, print, _tell)


def _cluster(words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli import cluster

    if asked:
        print(cluster.CLUSTER_HELP, end="")
        return 0
    return cluster.run(parse_flags(words, _serve_flags() | cluster.CLUSTER_FLAGS), variables, _say)


def _snapshot(words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli import snapshot

    if asked:
        print(snapshot.SNAPSHOT_HELP, end="")
        return 0
    return snapshot.run(words, variables, print, _tell)


def _check(words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli import check

    if asked:
        print(check.CHECK_HELP, end="")
        return 0
    return check.run(words, variables, print, _tell)


def _manual(words: list[str], *, asked: bool) -> int:
    from respram.cli import manual

    if asked or words:
        print(manual.HELP, end="")
        return 0 if asked else 2
    print(manual.page(USAGE, EVERYDAY), end="")
    return 0


def _completion(words: list[str], *, asked: bool) -> int:
    from respram.cli import completion, status
    from respram.cli.cluster import CLUSTER_FLAGS
    from respram.cli.ping import PING_FLAGS
    from respram.gateway import settings

    if asked:
        print(completion.HELP, end="")
        return 0
    urls = {"url": True, "url-file": True}
    flags: dict[str, Mapping[str, bool]] = {name: {} for name in COMMANDS}
    flags |= {
        "serve": {**_serve_flags(), "gateway": True, "help-all": False}, "cluster": {**_serve_flags(), **CLUSTER_FLAGS},
        "ping": PING_FLAGS,
        "gateway": {**settings.FLAGS, "url": True}, "mcp": urls, "status": status.FLAGS, "top": urls,
        "check": {"monitor": True}, "snapshot": {"key-file": True},
    }  # fmt: skip
    return completion.complete(words, flags, print)


def _look(name: str, words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli import status, top

    if asked:
        print(status.HELP if name == "status" else top.HELP, end="")
        return 0
    if name == "top":
        return top.run_top(words, variables, parse_flags)
    return status.run_status(words, variables, parse_flags, print, _tell)


def _face(name: str, words: list[str], variables: Mapping[str, str], *, asked: bool) -> int:
    from respram.cli.gateway import help_of, run_gateway, run_mcp

    if asked:
        print(help_of(name), end="")
        return 0
    return (run_gateway if name == "gateway" else run_mcp)(words, variables, parse_flags)
