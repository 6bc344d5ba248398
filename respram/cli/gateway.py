"""`respram gateway` and `respram mcp`, and the gateway that `respram serve --gateway PORT` starts beside the node."""

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from respram.config.options import PORT_MAX, read_whole
from respram.config.settings import Config
from respram.errors import ConfigError

START_S = 20.0  # for a gateway beside a node: importing a web framework takes seconds
STOP_S = 5.0

Parse = Callable[[list[str], Mapping[str, bool]], dict[str, str]]


def help_of(name: str) -> str:
    from respram.gateway import settings

    return settings.HELP if name == "gateway" else settings.MCP_HELP


def read_port(text: str) -> int:
    try:
        return read_whole(text, 0, PORT_MAX)
    except ValueError as error:
        raise ConfigError(f"--gateway must be {error}") from None


def run_gateway(words: list[str], variables: Mapping[str, str], parse: Parse) -> int:
    from respram.gateway import settings

    urls, rest = take_urls(words)
    made = settings.load(parse(rest, settings.FLAGS), urls, variables)
    with needing("gateway"):
        from respram.gateway.serving import serve

        # The module mcp is imported at the first call of an agent; report its absence at the start.
        if importlib.util.find_spec("mcp") is None:
            raise ModuleNotFoundError("no module named mcp", name="mcp")
    return serve(made)


def run_mcp(words: list[str], variables: Mapping[str, str], parse: Parse) -> int:
    from respram.gateway import settings

    urls, rest = take_urls(words)
    targets = settings.read_targets(parse(rest, {"url": True, "url-file": True}), urls, variables)
    with needing("gateway"):
        from respram.gateway.serving import serve_agent
    return serve_agent(targets)


def take_urls(words: list[str]) -> tuple[list[str], list[str]]:
    """The values of every --url, and the other words."""
    urls, rest, left = [], [], iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name != "--url":
            rest.append(word)
            continue
        following = value if equals else next(left, "")
        if not following or following.startswith("--"):
            raise ConfigError("--url needs a value after it")
        urls.append(following)
    return urls, rest


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turns a missing module into one line that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"this needs {error.name}, which is not installed: pip install 'respram[{extra}]'") from None


@contextlib.contextmanager
def beside(config: Config, port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Runs a gateway for the node of this process. It starts before the node, and ends when this process ends."""
    if not config.port:
        raise ConfigError("--gateway needs a node with a plain port: set --port")
    host = next((one for one in config.bind if one in ("127.0.0.1", "0.0.0.0", "::", "::1")), config.bind[0])  # noqa: S104
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    login = f":{quote(config.requirepass, safe='')}@" if config.requirepass else ""
    url = f"redis://{login}{f'[{host}]' if ':' in host else host}:{config.port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "respram", "gateway", "--lifeline", f"--port={port}"],
        env={**environment, "RESPRAM_URL": url},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        if not ready or not os.read(process.stdout.fileno(), 64):
            raise ConfigError("the gateway did not start; its own error line says why")
        yield
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
