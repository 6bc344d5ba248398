"""The `client` fixture: a node without sockets or clocks, and connections to it.

Every test that asks for it runs on each engine, and with the fast paths on and off, because both must
answer alike. `reference` is a real redis-server, for tests that compare; they are skipped without one.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.live import SOON_S
from tests.ports import reserve

from ..engine.conftest import ENGINES
from .rig import Client, Reference, Rig


@pytest.fixture(
    params=[(name, hot) for name in ENGINES for hot in (True, False)],
    ids=lambda one: f"{one[0]}-{'hot' if one[1] else 'cold'}",
)
def rig(request: pytest.FixtureRequest) -> Rig:
    name, hot = request.param
    return Rig(ENGINES[name], hot=hot)


@pytest.fixture
def client(rig: Rig) -> Client:
    return rig.connect()


@pytest.fixture
def reference(reference_server: Reference) -> Reference:
    """Empty, and in RESP2 whatever the test before did."""
    reference_server(b"RESET")
    reference_server(b"FLUSHALL")
    return reference_server


@pytest.fixture(scope="session")
def reference_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine")
    port = reserve()
    place: Path = tmp_path_factory.mktemp("redis")
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(place)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            with closing(Reference(port, SOON_S)) as server:
                yield server
        finally:
            process.kill()
