"""`make image`: builds the image of the Dockerfile on a base made from Debian's packages, and tries what it starts.

No registry of images is asked. mmdebstrap makes the base from the package sources that this machine has, buildah runs
the Dockerfile on it without a daemon. Packages of Python come from where pip gets them here, with its configuration
and its authorities. Then the image's own command is started with the image's own variables, and spoken to:

- without a password it does not start, since it listens on all addresses;
- with one it answers PING, SET with EX, GET and TTL, and refuses who has no password;
- it runs as user 10001 with the native engine, the health check's command says that it lives, /data is the user's;
- SIGTERM, which `docker stop` sends, ends it with 0.

It needs root, mmdebstrap and buildah, and says so where one is missing. Everything lies in build/image, which is
removed at the end (`--keep` leaves it).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from release.smoke import SOON_S, SmokeError, expect, open_link, said_by, started

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "image"
BASE, IMAGE = "localhost/respram-base", "localhost/respram"
SUITE = "bookworm"  # the Dockerfile's suite, for machines that do not run Debian
# What python:3.12-slim has and a bare Debian has not.
PACKAGES = "python3,python3-venv,libpython3-dev,python-is-python3,ca-certificates"
# Nobody reads these in an image, and a base that is thrown away need not survive a cut of power.
LEAN = ("force-unsafe-io", *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")))
# What pip needs of this machine: how it reaches its index, and whom it trusts.
LENT = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
USER = 10001
PASSWORD = "the password of this trial"


class ImageError(Exception):
    pass


class Image(NamedTuple):
    """What the image says of itself."""

    command: tuple[str, ...]
    health: tuple[str, ...]
    user: str
    labels: Mapping[str, str]
    stop_signal: str


def say(text: str) -> None:
    print(f"image: {text}", flush=True)


def lacking(is_root: bool, tools: Mapping[str, str | None]) -> str:
    """What this machine needs first; empty when nothing."""
    absent = [name for name, path in tools.items() if path is None]
    if absent:
        return f"{' and '.join(absent)} not found; on Debian: apt install {' '.join(absent)}"
    return (
        ""
        if is_root
        else "this needs root: mmdebstrap and buildah set owners of files and enter the tree that they make"
    )


def sources(release: str, folder: Path) -> tuple[str, list[str]]:
    """The suite, and the file of apt that says where its packages are. On another system mmdebstrap knows by itself."""
    named = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    suite = named.get("VERSION_CODENAME", "").strip('"')
    files = [str(path) for path in (folder / "sources.list.d/debian.sources", folder / "sources.list") if path.exists()]
    return (suite, files[:1]) if named.get("ID") == "debian" and suite and files else (SUITE, [])


def described(inspected: Mapping[str, Any]) -> Image:
    config = inspected["Docker"]["config"]
    kind, *health = config.get("Healthcheck", {}).get("Test", ["NONE"])
    if kind != "CMD":
        raise ImageError(f"the health check is {kind}, not a command")
    command = (*config["Entrypoint"], *config["Cmd"])
    return Image(command, tuple(health), config["User"], config.get("Labels") or {}, config.get("StopSignal", ""))


def call(words: list[str], log: Path, **variables: str) -> str:
    """What it says on standard output; what it says on the other is kept in the log and shown where it fails."""
    with log.open("a") as file:
        file.write(f"$ {' '.join(words)}\n")
        file.flush()
        done = subprocess.run(
            words, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, stderr=file, text=True, check=False
        )
        file.write(done.stdout)
    if done.returncode:
        raise ImageError(f"{words[0]} ended with {done.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
    return done.stdout


class Store:
    """buildah with layers and containers of its own under `work`, and no runtime but chroot."""

    def __init__(self, work: Path) -> None:
        self.log = work / "log"
        self.words = [
            "buildah",
            "--root",
            str(work / "store"),
            "--runroot",
            str(work / "run"),
            "--storage-driver",
            "vfs",
        ]

    def call(self, *words: str) -> str:
        return call([*self.words, *words], self.log).strip()

    def run(self, container: str, command: tuple[str, ...], variables: Mapping[str, str], secrets: Path) -> list[str]:
        told = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        volume = ["--volume", f"{secrets}:/run/secrets/respram:ro"]
        return [*self.words, "run", "--isolation", "chroot", *told, *volume, container, "--", *command]


def make_base(store: Store, work: Path) -> None:
    suite, files = sources(Path("/etc/os-release").read_text(), Path("/etc/apt"))
    archive = work / "base.tar"
    lean = [f"--dpkgopt={one}" for one in LEAN]
    words = [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        f"--include={PACKAGES}",
        *lean,
        suite,
        str(archive),
        *files,
    ]
    call(words, store.log, TMPDIR=str(work))
    container = store.call("from", "scratch")
    store.call("add", container, str(archive), "/")
    store.call("commit", "--quiet", "--rm", container, BASE)
    archive.unlink()


def build(store: Store) -> Image:
    lent = [word for path in LENT if Path(path).exists() for word in ("--volume", f"{path}:{path}:ro")]
    told = ["--build-arg", f"BASE={BASE}", "--build-arg", "DEBIAN_SNAPSHOT="]
    store.call(
        "build",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--layers=false",
        *lent,
        *told,
        "--tag",
        IMAGE,
        str(ROOT),
    )
    return described(json.loads(store.call("inspect", "--type", "image", IMAGE)))


def user_of(pid: int) -> int:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("Uid:"))
    return int(line.split()[1])


def last_child(pid: int) -> int:
    """The program at the end of the chain of processes that buildah starts it through, from any of its threads."""
    while children := [
        one for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()
    ]:
        pid = int(children[0])
    return pid


def converse(port: int) -> None:
    with open_link(port) as file:
        expect(said_by(file, "GET", "greeting")[:7], b"-NOAUTH", "GET without a password")
        expect(said_by(file, "AUTH", PASSWORD), b"+OK", "AUTH")
        expect(said_by(file, "PING"), b"+PONG", "PING")
        expect(said_by(file, "SET", "greeting", "hello", "EX", "600"), b"+OK", "SET EX")
        expect(said_by(file, "GET", "greeting"), b"hello", "GET")
        expect(0 < int(said_by(file, "TTL", "greeting")[1:]) <= 600, True, "TTL within what was said")
        expect(b"engine:native\r\n" in said_by(file, "INFO", "respram"), True, "the engine is the native one")


def try_image(store: Store, image: Image, work: Path) -> None:
    """The container shares this machine's network, so that the server is told a port of its own, on loopback."""
    secret = work / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o444)
    container = store.call("from", IMAGE)
    alone = store.run(container, image.command, {"RESPRAM_PORT": "0", "RESPRAM_PEER_PORT": "0"}, secret)
    bare = subprocess.run(alone, capture_output=True, text=True, timeout=SOON_S, check=False)
    expect(
        (bare.returncode, "password" in bare.stderr),
        (2, True),
        f"started for everybody without a password ({bare.stderr[-300:]})",
    )
    say("without a password it does not start on all addresses")
    told = {
        "RESPRAM_PORT": "0",
        "RESPRAM_PEER_PORT": "0",
        "RESPRAM_BIND": "127.0.0.1",
        "RESPRAM_REQUIREPASS_FILE": "/run/secrets/respram",
    }
    began = time.monotonic()
    with subprocess.Popen(store.run(container, image.command, told, secret), stderr=subprocess.PIPE) as runner:
        try:
            port, _ = started(runner)
            say(f"started in {time.monotonic() - began:.1f} s")
            server = last_child(runner.pid)
            expect(user_of(server), USER, "the user that it runs as")
            converse(port)
            asked = store.run(container, image.health, told | {"RESPRAM_PORT": str(port)}, secret)
            health = subprocess.run(asked, capture_output=True, text=True, timeout=SOON_S, check=False)
            expect((health.returncode, health.stderr), (0, ""), "the health check's command")
            say("PING, SET EX, GET, TTL, AUTH and the health check answer as they should")
            os.kill(server, getattr(signal, image.stop_signal))
            expect(runner.wait(SOON_S), 0, f"the exit code after {image.stop_signal}")
        finally:
            if runner.poll() is None:
                runner.kill()
    say(f"stopped with 0 at {image.stop_signal}")
    data = Path(store.call("mount", container)) / "data"
    found = data.stat()
    expect((found.st_uid, found.st_gid, found.st_mode & 0o777), (USER, USER, 0o700), "owner and mode of /data")
    store.call("umount", container)


def make(work: Path) -> None:
    store = Store(work)
    began = time.monotonic()
    make_base(store, work)
    say(f"a base from Debian's packages, in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    image = build(store)
    expect((image.user, image.stop_signal), (str(USER), "SIGTERM"), "user and stop signal of the image")
    expect("org.opencontainers.image.licenses" in image.labels, True, "the image is labelled")
    say(f"every step of the Dockerfile, in {time.monotonic() - began:.0f} s")
    try_image(store, image, work)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave build/image, to look at what was made")
    args = parser.parse_args()
    if reason := lacking(os.geteuid() == 0, {name: shutil.which(name) for name in ("mmdebstrap", "buildah")}):
        print(f"image: {reason}", file=sys.stderr)
        return 1
    WORK.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=WORK))
    work.chmod(0o755)  # apt downloads as a user of its own, which must be able to read it
    try:
        make(work)
    except (ImageError, SmokeError, OSError, subprocess.SubprocessError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    finally:
        if not args.keep:
            shutil.rmtree(WORK, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
