"""`respram gateway`, `respram mcp`, and a gateway beside a node."""

import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest

from respram.cli.gateway import needing, take_urls
from respram.cli.main import main
from respram.errors import ConfigError
from tests.live import SOON_S, running
from tests.ports import reserve


def test_urls_are_taken_out_of_the_words() -> None:
    assert take_urls(["--port", "1", "--url", "a", "--url=b"]) == (["a", "b"], ["--port", "1"])
    for words in (["--url"], ["--url", "--port"]):
        with pytest.raises(ConfigError):
            take_urls(words)


@pytest.mark.parametrize("name", ["gateway", "mcp"])
def test_help_and_wrong_words(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0 and "--url" in capsys.readouterr().out
    assert main([name, "--nonsense"]) == 2 and "unknown argument" in capsys.readouterr().err
    assert main([name, "--url", "http://:secret@x"]) == 2
    said = capsys.readouterr().err
    assert "--url must be" in said and "secret" not in said


def test_without_the_extra_one_line_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'respram\[gateway\]'"), needing("gateway"):
        raise ModuleNotFoundError(name="starlette")


def test_serve_starts_both_and_neither_outlives_the_other() -> None:
    port, http_port = reserve(), reserve()
    words = ["serve", "--port", str(port), "--peer-port", str(reserve()), "--engine", "pure", "--gateway",
             str(http_port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "respram", *words],
        stderr=subprocess.PIPE,
        env={**os.environ, "RESPRAM_REQUIREPASS": "s/@:w"},
    )
    try:
        end = time.monotonic() + SOON_S
        while True:
            try:
                if (
                    httpx.put(f"http://127.0.0.1:{http_port}/v1/data/a", content=b"1", trust_env=False).status_code
                    == 201
                ):
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)  # it cannot tell anybody
        process.wait()
        end = time.monotonic() + SOON_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{http_port}/v1/keys", trust_env=False)
            except httpx.TransportError:
                break
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_gateway_that_cannot_start_stops_the_node_too() -> None:
    with running() as node:
        words = ["serve", "--port", str(reserve()), "--peer-port", str(reserve()), "--engine", "pure", "--gateway",
                 str(node.port)]
        done = subprocess.run(
            [sys.executable, "-m", "respram", *words], capture_output=True, text=True, timeout=SOON_S, check=False
        )
    assert done.returncode == 2 and re.search(r"cannot listen on .*choose another", done.stderr)
