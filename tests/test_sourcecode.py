"""The walls of the house: which room may import what, and how long, named and shaped a file may be.

Each rule is a row of a table, or a function over one parsed file, and applies to files that do not exist
yet. Where a wall stands in the way, the design is discussed first and the table changed with it.
`test_every_rule_bites` holds one offence against each rule: a rule that cannot fail protects nothing.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
LINES_WARNED, LINES_MAX = 400, 600  # of a file
BODY_WARNED, BODY_MAX = 70, 120  # lines of a function
MADE = ("_native.c", "_pump.c", "_fields.c")  # by Cython, in no commit


class Wall(NamedTuple):
    room: str  # a file, or a folder with its slash
    forbidden: tuple[str, ...]  # modules, with all below them
    why: str
    doors: tuple[str, ...] = ()  # what is allowed nevertheless


CLOCKS = ("time", "datetime", "sched")
CHANCE = ("random", "secrets", "uuid", "numpy")
LOOPS = ("asyncio", "uvloop", "threading", "multiprocessing", "concurrent", "signal", "selectors", "select")
SOCKETS = ("socket", "ssl", "socketserver", "http", "urllib")
FILES = ("os", "io", "pathlib", "shutil", "tempfile", "subprocess", "mmap", "sys")
LOGGING = ("logging", "syslog", "warnings")
PURE = (*CLOCKS, *CHANCE, *LOOPS, *SOCKETS, *FILES, *LOGGING)
OUTSIDE = (
    "respram.server",
    "respram.sim",
    "respram.cli",
    "respram.patterns",
    "respram.gateway",
    "respram.embedded",
    "respram.top",
)
FRAMEWORKS = ("starlette", "uvicorn", "httptools", "mcp", "pydantic")

WALLS = (
    Wall("respram/engine/", (*CLOCKS, *CHANCE, *LOOPS, *SOCKETS, *LOGGING), "time and randomness come in as arguments"),
    Wall("respram/engine/",
         (*OUTSIDE, "respram.gossip", "respram.replica", "respram.wire", "respram.commands", "respram.config"),
         "an engine knows no peer, no command and no server"),
    Wall("respram/commands/", (*CLOCKS, *CHANCE, *LOOPS, *SOCKETS, *LOGGING, "subprocess"),
         "the server injects clocks and chance"),
    Wall("respram/commands/", OUTSIDE, "a command runs on any server"),
    Wall("respram/scripting/",
         (*PURE, *OUTSIDE, "respram.commands", "respram.engine", "respram.gossip", "respram.replica", "respram.config"),
         "Lua knows a host and no command"),
    Wall("respram/wire/", PURE, "the peer protocol is bytes in, messages out"),
    Wall("respram/wire/", (*OUTSIDE, "respram.gossip", "respram.replica", "respram.commands", "respram.engine"),
         "the codec knows no one who uses it"),
    Wall("respram/snapshot/",
         (*PURE, *OUTSIDE, "respram.gossip", "respram.commands", "respram.replica", "respram.config"),
         "segments and keys are bytes: files, clocks and chance belong to the server"),
    Wall("respram/gossip/", PURE, "the simulator runs this very code in virtual time"),
    Wall("respram/gossip/",
         (*OUTSIDE, "respram.commands", "respram.engine.pure", "respram.engine.native", "respram.replica"),
         "messages and now in, effects out"),
    Wall("respram/replica.py", (*PURE, *OUTSIDE), "the simulator runs the real thing"),
    Wall("respram/sim/", (*SOCKETS, *LOOPS, *LOGGING, *CLOCKS, "respram.server", "respram.patterns"),
         "virtual time, a virtual network"),
    Wall("respram/patterns/", ("respram",), "patterns know a Redis client and nothing else of respram",
         ("respram.patterns",)),
    *(Wall(f"respram/{name}", (*CLOCKS, *CHANCE, *LOOPS, *SOCKETS, *LOGGING, "respram.server", "respram.commands"),
           "arithmetic and tables, used by every room")
      for name in ("stamp.py", "record.py", "program.py", "seal.py", "errors.py", "integers.py", "glob.py",
                   "longdouble.py", "catalog/", "config/")),
    Wall("respram/server/", ("respram.sim", "respram.patterns", "random"), "the server is no simulation"),
    Wall("respram/", ("logging", "syslog"), "only the server logs, and the gateway as a process of its own",
         ("respram/server/", "respram/gateway/")),
    Wall("respram/", ("asyncio", "uvloop"), "only the server does I/O, and clients",
         ("respram/server/", "respram/patterns/", "respram/gateway/", "respram/embedded/", "respram/top/")),
    Wall("respram/", ("ssl",), "only the server does I/O; the command line asks",
         ("respram/server/", "respram/patterns/", "respram/cli/", "respram/gateway/")),
    Wall("respram/", ("socket",), "only the server does I/O; the command line asks",
         ("respram/server/", "respram/cli/", "respram/gateway/", "respram/embedded/")),
    Wall("respram/gateway/", ("respram",),
         "a gateway is a client of nodes: it knows words, numbers and errors, and nothing inside",
         ("respram.gateway", "respram.config.options", "respram.errors", "respram.__version__")),
    Wall("respram/", ("prometheus_client",), "numbers are made into text in one file of a process",
         ("respram/server/metrics.py", "respram/gateway/metrics.py")),
    Wall("respram/", ("opentelemetry",), "an extra's SDK stays in one file", ("respram/server/telemetry.py",)),
    Wall("respram/top/", ("respram",), "a view is a client of nodes, by the gateway's way to them",
         ("respram.gateway", "respram.top")),
    Wall("respram/", ("textual", "rich"), "an extra's toolkit stays in its room, and one file draws bars",
         ("respram/top/", "respram/cli/terminal.py")),
    Wall("respram/", FRAMEWORKS, "an extra's frameworks stay in its room: the server is lean", ("respram/gateway/",)),
    Wall("respram/", ("redis",), "only the patterns know a client, and whoever hands one out",
         ("respram/patterns/", "respram/embedded/")),
    Wall("respram/adapters/", ("respram",), "adapters know their framework and nothing else of respram",
         ("respram.adapters",)),
    Wall("respram/", ("tests", "compat", "benchmarks", "pytest", "hypothesis"), "what ships does not know its tests",
         ("respram/embedded/pytest_plugin.py",)),
)  # fmt: skip

CALLS = (  # builtins that do I/O or run what is not in the file, and the rooms that may not call them
    Wall("respram/", ("print", "input"), "only the command line talks to a terminal", ("respram/cli/", "respram/sim/")),
    Wall("respram/", ("eval", "exec", "__import__", "breakpoint"), "what runs is what is written"),
    *(Wall(room, ("open",), "no I/O in this room")
      for room in ("respram/engine/", "respram/snapshot/", "respram/commands/", "respram/wire/", "respram/gossip/",
                   "respram/replica.py")),
)  # fmt: skip

# The C core: times and bytes come in, so these headers have nothing to do there.
NATIVE_HEADERS = ("time.h", "sys/time.h", "sys/socket.h", "netinet/in.h", "Python.h", "pthread.h", "fcntl.h",
                  "sys/random.h")

PREFAULT = "respram/engine/native/prefault.c"  # its thread shares no state with the engine (docs/decisions/0007)
CIPHER = "respram/engine/native/cipher.c"  # looks for libcrypto once in a process (docs/decisions/0063)

# The engines are twins by file. What only one of them has: memory and what stands for Python's own bytes, dicts and
# replies in C, and the facade over the files in Python. A stub is a row in Python (keyspace.py), and its name is made
# in record.py.
NATIVE_ALONE = ("prefault", "arena", "bytes", "hash", "granules", "young", "names", "nodes", "members", "places",
                "ranking", "shape", "stubs", "table", "taught", "writer", "cipher", "glob", "lua", "json")
PURE_ALONE = ("__init__", "effort", "engine")

NAMELESS = ("utils", "util", "helpers", "helper", "manager", "base", "common", "misc", "tools", "stuff", "core_utils")

# Rooms where numbers come from the wire; `int()` reads b"1_000" and b" 12 ", and dies of 5,000 digits.
WIRE_ROOMS = ("respram/snapshot/", "respram/commands/", "respram/engine/", "respram/wire/", "respram/gossip/",
              "respram/replica.py")

# An adapter is a framework's own class with its deletes replaced: it has to inherit, and nothing else here does.
ADAPTERS = "respram/adapters/"
PARENTS = (
    "Protocol", "NamedTuple", "TypedDict", "Enum", "IntEnum", "IntFlag", "StrEnum", "Generic", "asyncio",
    "BloomFilter", "Engine", "Ranking", "Replicating", "Settling", "Telling", "BaseModel", "App", "Formatter",
    "SpanProcessor",
)  # fmt: skip

# Sources whose tests stand under another name, by glob. Tests otherwise mirror the sources: a/b.py has a/test_b.py.
TESTED_BY = (
    ("respram/__main__.py", "tests/cli/test_main.py"),
    ("respram/catalog/*.py", "tests/commands/test_introspection.py"),
    ("respram/glob.py", "tests/commands/test_glob.py"),
    ("respram/record.py", "tests/engine/test_engine.py"),
    ("respram/stamp.py", "tests/engine/test_engine.py"),
    ("respram/engine/api.py", "tests/engine/test_engine.py"),
    ("respram/engine/ids.py", "tests/engine/test_replication.py"),
    ("respram/engine/filters.py", "tests/engine/test_replication.py"),
    ("respram/engine/settling.py", "tests/commands/test_settling.py"),
    ("respram/commands/comparing.py", "tests/commands/test_strings.py"),
    ("respram/commands/windows.py", "tests/commands/test_bloom.py"),
    ("respram/commands/scores.py", "tests/commands/test_sorted_sets.py"),
    ("respram/commands/sorted_stores.py", "tests/commands/test_sorted_ranges.py"),
    ("respram/engine/scores.py", "tests/engine/test_order.py"),
    ("respram/engine/ranking.py", "tests/engine/test_order.py"),
    ("respram/engine/pure/scanner.py", "tests/engine/test_scanner.py"),
    ("respram/engine/pure/*.py", "tests/engine/test_engine.py"),
    ("respram/server/clock.py", "tests/server/test_app.py"),
    ("respram/server/process.py", "tests/server/test_app.py"),
    ("respram/commands/running.py", "tests/commands/test_dispatch.py"),
    ("respram/program.py", "tests/commands/test_programs.py"),
    ("respram/scripting/scripts.py", "tests/commands/test_scripts.py"),
    ("respram/commands/script_calls.py", "tests/commands/test_scripts.py"),
    ("respram/commands/stats.py", "tests/commands/test_info.py"),
    ("respram/commands/client_line.py", "tests/commands/test_clients.py"),
    ("respram/commands/peers.py", "tests/commands/test_cluster.py"),
    ("respram/commands/node.py", "tests/commands/test_dispatch.py"),
    ("respram/commands/handlers.py", "tests/commands/test_dispatch.py"),
    ("respram/commands/texts.py", "tests/commands/test_dispatch.py"),
    ("respram/gateway/page.py", "tests/gateway/test_page.py"),
    ("respram/cli/top.py", "tests/top/test_app.py"),
    ("respram/embedded/*.py", "tests/embedded/test_server.py"),
    ("respram/gateway/faults.py", "tests/gateway/test_link.py"),
    ("respram/gateway/answers.py", "tests/gateway/test_data.py"),
    ("respram/gateway/names.py", "tests/gateway/test_listing.py"),
    ("respram/gateway/requests.py", "tests/gateway/test_data.py"),
    ("respram/gateway/overview.py", "tests/gateway/test_app.py"),
    # Adapters need their frameworks, which are no dependencies of the tests: the matrix installs and runs them.
    ("respram/adapters/django_*.py", "compat/frameworks/django/program.py"),
    ("respram/adapters/overwrite_delete.py", "compat/frameworks/django/program.py"),
    ("respram/adapters/flask_sessions.py", "compat/frameworks/flask_session/program.py"),
    ("respram/adapters/flask_caches.py", "compat/frameworks/flask_caching/program.py"),
    ("respram/adapters/cachelib_cache.py", "compat/frameworks/cachelib_suite/program.py"),
    ("respram/adapters/aiocache_cache.py", "compat/frameworks/aiocache_suite/program.py"),
    ("respram/adapters/starlette_sessions.py", "compat/frameworks/starsessions/program.py"),
)


class Source(NamedTuple):
    path: str  # from the root, with slashes
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.text)

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree."""
        return _nodes(self.text)


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_parsed(text)))


def sources(folder: str = "respram", pattern: str = "*.py") -> list[Source]:
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in sorted((ROOT / folder).rglob(pattern))
    ]


# -- the rules: each takes one file and yields what is wrong with it ----------------------------------
@cache
def imports(source: Source) -> tuple[tuple[int, str], ...]:
    """Every module that is imported, with its line; relative names and `from a import b` spelt out."""
    return tuple(_imports(source))


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    package = source.path.removesuffix(".py").removesuffix("/__init__").split("/")
    if not source.path.endswith("__init__.py"):
        package = package[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def is_below(name: str, parents: tuple[str, ...], mark: str = ".") -> bool:
    return any(name == parent or name.startswith(parent.rstrip(mark) + mark) for parent in parents)


def within(path: str, wall: Wall) -> bool:
    return (path == wall.room or path.startswith(wall.room) and wall.room.endswith("/")) and not any(
        path.startswith(door) for door in wall.doors
    )


def imports_through_a_wall(source: Source) -> Iterator[str]:
    for wall in WALLS:
        if within(source.path, wall):
            for line, name in imports(source):
                if is_below(name, wall.forbidden) and not is_below(name, wall.doors):
                    yield f"{source.path}:{line} imports {name}: {wall.why}"


def calls_through_a_wall(source: Source) -> Iterator[str]:
    for wall in CALLS:
        if within(source.path, wall):
            for node in source.nodes:
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in wall.forbidden:
                    yield f"{source.path}:{node.lineno} calls {node.func.id}: {wall.why}"


def loose_numbers(source: Source) -> Iterator[str]:
    """`int()` of a piece of the wire: of an argument, of a slice, of a match, of a variable."""
    if not source.path.startswith(WIRE_ROOMS):
        return
    for node in source.nodes:
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "float")
        if not named or not isinstance(node, ast.Call) or not node.args:
            continue
        given = node.args[0]
        indexed = isinstance(given, ast.Subscript) and (
            isinstance(given.slice, ast.Slice)
            or isinstance(given.slice, ast.Constant)
            and isinstance(given.slice.value, int)
        )
        decoded = (
            isinstance(given, ast.Call)
            and isinstance(given.func, ast.Attribute)
            and given.func.attr in ("decode", "group", "strip")
        )
        if indexed or decoded or isinstance(given, ast.Name):
            yield f"{source.path}:{node.lineno} reads a number by {ast.unparse(node)}: use respram.integers"


def nameless_files(source: Source) -> Iterator[str]:
    for part in Path(source.path).with_suffix("").parts:
        if part.lstrip("_") in NAMELESS:
            yield f"{source.path}: {part} says nothing; name the file after what is in it"


def silent_files(source: Source) -> Iterator[str]:
    if source.tree.body and not ast.get_docstring(source.tree):
        yield f"{source.path}: opens without saying what it is"


def long_files(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > LINES_MAX:
        yield f"{source.path}: {lines} lines, more than {LINES_MAX}: split it by concern"


def long_functions(source: Source, most: int = BODY_MAX) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > most:
                yield f"{source.path}:{node.lineno} {node.name} has {lines} lines, more than {most}"


def swallowed_errors(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"{source.path}:{node.lineno} a bare except also catches what ends the process"
            elif ast.unparse(node.type) == "BaseException" and not passes_on(node):
                yield f"{source.path}:{node.lineno} BaseException is caught and neither raised again nor handed on"


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Raised again, or handed to somebody: a generator that is driven must hear of its caller's end."""
    return any(
        isinstance(one, ast.Raise) or isinstance(one, ast.Name) and one.id == handler.name
        for statement in handler.body for one in ast.walk(statement)
    )  # fmt: skip


def inherited_code(source: Source) -> Iterator[str]:
    """Only errors, protocols, plain records, log formatters and asyncio's classes have parents."""
    if source.path.startswith(ADAPTERS):
        return
    local_errors = {node.name for node in source.nodes if isinstance(node, ast.ClassDef) and is_error(node)}
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and not is_error(node):
            for parent in node.bases:
                name = ast.unparse(parent).partition("[")[0]
                if (
                    name.split(".")[0] not in PARENTS
                    and name.split(".")[-1] not in PARENTS
                    and name not in local_errors
                ):
                    yield f"{source.path}:{node.lineno} {node.name} inherits {name}: compose instead"


def is_error(node: ast.ClassDef) -> bool:
    return any(re.search(r"(Error|Exception|Fault|Warning)$", ast.unparse(parent)) for parent in node.bases)


def open_dataclasses(source: Source) -> Iterator[str]:
    for node in source.nodes:
        for mark in node.decorator_list if isinstance(node, ast.ClassDef) else []:
            text = ast.unparse(mark)
            if text.split("(")[0] in ("dataclass", "dataclasses.dataclass") and "slots=True" not in text:
                yield f"{source.path}:{mark.lineno} a dataclass without slots=True takes any attribute"


def shared_errors(source: Source) -> Iterator[str]:
    """An error that is made once and raised often keeps the frames of all its raises, with what they held."""
    within = {id(node) for made in source.nodes if isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
              for node in ast.walk(made)}  # fmt: skip
    for node in source.nodes:
        if isinstance(node, ast.Call) and id(node) not in within:
            if re.fullmatch(r"[A-Z]\w*(Error|Suspend)", ast.unparse(node.func).rpartition(".")[2]):
                yield f"{source.path}:{node.lineno} an error that lives as long as the process: see ClientError.saying"


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    imports_through_a_wall, calls_through_a_wall, loose_numbers, nameless_files, silent_files, long_files,
    long_functions,
    swallowed_errors, inherited_code, open_dataclasses, shared_errors,
)  # fmt: skip


def expect_none(complaints: Iterable[str]) -> None:
    found = list(complaints)
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[Source], Iterator[str]]) -> None:
    found = sources()
    assert len(found) > 20
    expect_none(complaint for source in found for complaint in rule(source))


@pytest.mark.parametrize("rule", [nameless_files, silent_files, long_files, swallowed_errors])
def test_the_tests_keep_the_rule_too(rule: Callable[[Source], Iterator[str]]) -> None:
    found = [source for folder in ("tests", "compat", "benchmarks") for source in sources(folder)]
    expect_none(complaint for source in found for complaint in rule(source))


def test_every_source_has_a_test_file() -> None:
    expect_none(untested([source.path for source in sources()], lambda path: (ROOT / path).exists()))


def untested(paths: list[str], exists: Callable[[str], bool]) -> Iterator[str]:
    for path in paths:
        if path.endswith("__init__.py"):
            continue
        folder, _, name = path.removeprefix("respram/").rpartition("/")
        mirror = "/".join(["tests", *([folder] if folder else []), f"test_{name}"])
        named = [test for pattern, test in TESTED_BY if Path(path).match(pattern)]
        if not any(exists(test) for test in [mirror, *named]):
            yield f"{path}: no {mirror}"


def import_circles(files: list[Source]) -> list[frozenset[str]]:
    """Sets of modules that can all reach each other by imports, at the top, in functions or for types. That a module's
    package comes along with it does not count: it is no dependence that anybody wrote.
    """
    names = {source.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): source for source in files}
    needs: dict[str, list[str]] = {}
    for name, source in names.items():
        spelt = (imported for _, imported in imports(source))
        found = (one if one in names else one.rpartition(".")[0] for one in spelt)
        needs[name] = sorted({one for one in found if one in names and one != name})
    reached = {name: _reachable(name, needs) for name in needs}
    circles = {
        frozenset(one for one in reached[name] if name in reached[one]) for name in needs if name in reached[name]
    }
    return sorted(circles, key=sorted)


def _reachable(start: str, needs: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    left = [*needs[start]]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs[name]
    return found


def test_no_circle_of_imports_comes_back() -> None:
    """A lazy import and one for types alone count: a file that cannot be read without another is part of it."""
    expect_none(f"a circle of imports: {', '.join(sorted(one))}" for one in import_circles(sources()))


def test_a_circle_is_found_however_it_is_written() -> None:
    lazily = Source("respram/a.py", "def late():\n    from respram import b")
    for_types = Source(
        "respram/b.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from respram.c import C"
    )
    for last, circles in (("from .a import late", 1), ("import respram.a", 1), ("import respram.d", 0)):
        assert len(import_circles([lazily, for_types, Source("respram/c.py", last)])) == circles


def foreign_headers(path: str, text: str) -> list[str]:
    names = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)
    return [
        f"{path} includes {name}"
        for name in names
        if name in NATIVE_HEADERS and not (path in (PREFAULT, CIPHER) and name == "pthread.h")
    ]


def test_the_c_core_knows_no_clock_no_socket_and_no_python() -> None:
    files = [
        one
        for pattern in ("*.c", "*.h")
        for one in sources("respram/engine/native", pattern)
        if not one.path.endswith("_native.c")
    ]
    expect_none(complaint for one in files for complaint in foreign_headers(one.path, one.text))


def test_no_file_of_c_or_cython_outgrows_its_room() -> None:
    patterns = ("*.c", "*.h", "*.pyx", "*.pxd", "*.pxi", "*.pyi")
    files = [one for pattern in patterns for one in sources("respram", pattern) if Path(one.path).name not in MADE]
    assert len(files) > 90
    assert not [one.path for one in files if one.text.count("\n") > LINES_MAX]


def test_the_engines_are_twins_by_file() -> None:
    """A change of behaviour is made in two files of one name."""
    engine = ROOT / "respram" / "engine"
    native = {path.stem for path in (engine / "native").glob("*.c")} - {"_native", *NATIVE_ALONE}
    pure = {path.stem for path in (engine / "pure").glob("*.py")} - set(PURE_ALONE)
    assert native == pure


@pytest.mark.filterwarnings("default")
def test_files_and_functions_that_grow_are_pointed_out() -> None:
    """A warning, not a failure: these are where to stop and think."""
    for source in sources():
        lines = source.text.count("\n")
        if lines > LINES_WARNED:
            warnings.warn(f"{source.path} has {lines} lines; {LINES_WARNED} is where to think", stacklevel=1)
        for complaint in long_functions(source, BODY_WARNED):
            warnings.warn(complaint, stacklevel=1)


# -- one offence against each rule ------------------------------------------------------------------
OFFENCES: tuple[tuple[Callable[[Source], Iterator[str]], str, str], ...] = (
    (imports_through_a_wall, "respram/engine/pure/later.py", "import time"),
    (imports_through_a_wall, "respram/engine/pure/later.py", "def late():\n    from random import choice"),
    (imports_through_a_wall, "respram/engine/later.py", "from respram import gossip"),
    (imports_through_a_wall, "respram/engine/pure/later.py", "from ...gossip import core"),
    (imports_through_a_wall, "respram/engine/__init__.py", "from ..gossip import core"),
    (imports_through_a_wall, "respram/gossip/core.py", "import os.path"),
    (imports_through_a_wall, "respram/snapshot/segment.py", "import secrets"),
    (imports_through_a_wall, "respram/gossip/core.py", "import respram.server.app"),
    (imports_through_a_wall, "respram/replica.py", "from asyncio import sleep"),
    (imports_through_a_wall, "respram/commands/keys.py", "import socket, re"),
    (imports_through_a_wall, "respram/commands/keys.py", "from datetime import datetime"),
    (imports_through_a_wall, "respram/wire/codec.py", "import io"),
    (imports_through_a_wall, "respram/scripting/runtime.py", "from respram.commands.node import Conn"),
    (imports_through_a_wall, "respram/patterns/lock.py", "from respram.errors import ClientError"),
    (imports_through_a_wall, "respram/patterns/lock.py", "import respram"),
    (imports_through_a_wall, "respram/adapters/later.py", "from respram.errors import ClientError"),
    (imports_through_a_wall, "respram/sim/world.py", "import logging"),
    (imports_through_a_wall, "respram/later.py", "import logging"),
    (imports_through_a_wall, "respram/stamp.py", "import time"),
    (imports_through_a_wall, "respram/server/app.py", "import redis"),
    (imports_through_a_wall, "respram/server/app.py", "import starlette.routing"),
    (imports_through_a_wall, "respram/gateway/later.py", "from respram.server import app"),
    (imports_through_a_wall, "respram/gateway/later.py", "from respram.config.limits import Limits"),
    (calls_through_a_wall, "respram/commands/keys.py", "print(1)"),
    (calls_through_a_wall, "respram/gossip/core.py", "open('x')"),
    (calls_through_a_wall, "respram/server/app.py", "eval('1')"),
    (loose_numbers, "respram/commands/keys.py", "int(argv[1])"),
    (loose_numbers, "respram/engine/pure/scanner.py", "int(data)"),
    (loose_numbers, "respram/wire/codec.py", "int(data[1:4])"),
    (loose_numbers, "respram/commands/keys.py", "float(argv[1].decode())"),
    (nameless_files, "respram/server/utils.py", ""),
    (nameless_files, "respram/common/texts.py", ""),
    (silent_files, "respram/later.py", "x = 1"),
    (long_files, "respram/later.py", "\n" * (LINES_MAX + 1)),
    (long_functions, "respram/later.py", "def long():\n" + "    pass\n" * BODY_MAX),
    (swallowed_errors, "respram/later.py", "try:\n    pass\nexcept:\n    pass"),
    (swallowed_errors, "respram/later.py", "try:\n    pass\nexcept BaseException:\n    pass"),
    (inherited_code, "respram/later.py", "class A(B): pass"),
    (open_dataclasses, "respram/later.py", "@dataclass(frozen=True)\nclass A: pass"),
    (shared_errors, "respram/commands/later.py", 'NO = ClientError(b"ERR no")'),
    (shared_errors, "respram/later.py", "class A:\n    no = [errors.PeerError('no')]"),
)

PERMITTED = (
    ("respram/server/app.py", "import asyncio, socket, time, logging"),
    ("respram/adapters/later.py", "from respram.adapters import NOTHING\nclass A(Framework): pass"),
    ("respram/patterns/lock.py", "from respram.patterns.naming import name\nimport redis, asyncio, time"),
    ("respram/commands/keys.py", "int(a > b)\nint(usage['rss'])\nint.from_bytes(data)"),
    ("respram/commands/keys.py", 'NO = ClientError.saying(b"ERR no")\ndef no():\n    raise ClientError(b"ERR no")'),
    ("respram/cli/main.py", "print(1)"),
    ("respram/cli/ping.py", "import socket"),
    ("respram/gossip/core.py", "class A(Protocol[T]): pass\nclass B(ValueError): pass\nclass C(NamedTuple): pass"),
    ("respram/server/later.py", "class A(asyncio.Protocol): pass\ntry:\n    pass\nexcept BaseException:\n    raise"),
)


@pytest.mark.parametrize(("rule", "path", "text"), OFFENCES, ids=lambda one: getattr(one, "__name__", str(one)[:40]))
def test_every_rule_bites(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(("path", "text"), PERMITTED)
def test_no_rule_bites_what_is_permitted(path: str, text: str) -> None:
    rules = [rule for rule in RULES if rule is not silent_files]
    assert not [complaint for rule in rules for complaint in rule(Source(path, text))]


def test_there_is_an_offence_against_every_rule() -> None:
    assert {rule for rule, _, _ in OFFENCES} == set(RULES)
    assert list(
        untested(["respram/gossip/core.py", "respram/later.py"], lambda path: path == "tests/test_later.py")
    ) == ["respram/gossip/core.py: no tests/gossip/test_core.py"]
    assert foreign_headers("a.c", "#include <stdint.h>\n# include <time.h>") == ["a.c includes time.h"]
