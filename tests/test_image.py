"""What `make image` decides before it builds: what is lacking, where packages come from, what the image says of itself.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from release import image

ROOT = Path(__file__).parent.parent
DEBIAN = "ID=debian\nVERSION_CODENAME=trixie\n"
INSPECTED: dict[str, Any] = {
    "Docker": {
        "config": {
            "Entrypoint": ["respram"],
            "Cmd": ["serve"],
            "User": "10001",
            "StopSignal": "SIGTERM",
            "Labels": {"org.opencontainers.image.title": "respram"},
            "Healthcheck": {"Test": ["CMD", "respram", "ping"]},
        }
    }
}


@pytest.mark.parametrize(
    ("is_root", "absent", "words"),
    [
        (True, (), ""),
        (False, (), "root"),
        (True, ("buildah",), "apt install buildah"),
        (False, ("mmdebstrap", "buildah"), "mmdebstrap buildah"),
    ],
)
def test_what_is_lacking_is_named(is_root: bool, absent: tuple[str, ...], words: str) -> None:
    said = image.lacking(
        is_root, {name: None if name in absent else f"/usr/bin/{name}" for name in ("mmdebstrap", "buildah")}
    )
    assert words in said and bool(said) == bool(words)


def test_packages_come_from_where_this_debian_has_them(tmp_path: Path) -> None:
    assert image.sources(DEBIAN, tmp_path) == (image.SUITE, []), "a machine without sources has none to lend"
    (tmp_path / "sources.list").touch()
    assert image.sources(DEBIAN, tmp_path) == ("trixie", [str(tmp_path / "sources.list")])
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").touch()
    assert image.sources(DEBIAN, tmp_path) == ("trixie", [str(tmp_path / "sources.list.d/debian.sources")])
    assert image.sources(DEBIAN.replace("debian", "ubuntu"), tmp_path) == (image.SUITE, [])


def test_an_image_is_what_it_starts() -> None:
    found = image.described(INSPECTED)
    assert (
        found.command == ("respram", "serve") and found.health == ("respram", "ping") and found.user == str(image.USER)
    )
    for test in (["NONE"], ["CMD-SHELL", "respram ping"]):
        INSPECTED["Docker"]["config"]["Healthcheck"] = {"Test": test}
        with pytest.raises(image.ImageError, match="health check"):
            image.described(INSPECTED)


def test_the_last_of_a_chain_of_processes_is_the_server() -> None:
    inner = "import sys; print('here', flush=True); sys.stdin.read()"
    start = f"subprocess.run([sys.executable, '-c', {inner!r}])"
    outer = f"import subprocess, sys, threading; threading.Thread(target=lambda: {start}).start()"
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"here\n"
        found = image.last_child(runner.pid)
        assert found != runner.pid and inner in Path(f"/proc/{found}/cmdline").read_text()


def test_both_stages_are_of_one_base_that_a_build_may_name() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("ARG BASE=") < text.index("FROM ${BASE} AS build") < text.rindex("FROM ${BASE}\n")
    assert 'if [ -n "$DEBIAN_SNAPSHOT" ]' in text


def test_the_check_builds_the_image() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make image" in script and "mmdebstrap" in script and "buildah" in script
