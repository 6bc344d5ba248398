"""The plugin in a project of somebody else's."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import SOON_S

PROJECT = """
def test_a_client(respram_client):
    respram_client.set("a", "b", ex=60)
    assert respram_client.get("a") == b"b"

def test_another_server_is_empty(respram_client):
    assert respram_client.get("a") is None

def test_time(respram_server, respram_client):
    respram_client.set("a", "b", ex=3600)
    respram_server.advance(3601)
    assert respram_client.get("a") is None

def test_an_enclave(respram_enclave):
    one, other = respram_enclave(2)
    one.client().set("a", "b")
    assert one.client().execute_command("WAIT", 1, 5000) in (0, 1)

def test_settings(respram_client):
    respram_client.set("a", "b")
    assert respram_client.ttl("a") <= 7

def test_fails(respram_client):
    assert respram_client.get("a") == b"no"
"""


@pytest.mark.slow
def test_the_fixtures_are_there_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(PROJECT)
    (tmp_path / "pytest.ini").write_text("[pytest]\nrespram_settings =\n    default_ttl=7\n")
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    assert "1 failed, 5 passed" in done.stdout, done.stdout[-3000:]


def test_the_plugin_imports_no_server_until_it_is_asked(tmp_path: Path) -> None:
    program = (
        "import sys, respram.embedded.pytest_plugin; "
        "assert not [one for one in sys.modules if one.startswith('respram.server')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=SOON_S)
