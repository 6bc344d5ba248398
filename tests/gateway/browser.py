"""Chromium, driven over its debugging pipe: no driver and no network is needed for it."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parent.parent.parent / "build/axe/node_modules/axe-core/axe.min.js"
ANSWER_S = 60.0
WORDS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server", "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip


class Page:
    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._number = 0
        self.session = ""
        self.complaints: list[str] = []  # of the console: errors, and what the page's policy forbade

    def send(self, method: str, **words: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": words}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, words = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded" and words["entry"]["level"] == "error":
            self.complaints.append(words["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(words["exceptionDetails"])[:500])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], ANSWER_S)
            assert ready, "the browser does not answer"
            piece = os.read(self._read, 1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        one, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(one)
        return found

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < end, f"{script} did not come true; the console says {self.complaints}"
            time.sleep(0.1)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def violations(self) -> list[str]:
        """What axe-core finds, by rule and place."""
        self.run(AXE.read_text() + "; 0")
        found = self.run("axe.run().then((found) => found.violations.map((one) => one.id + ': ' + one.nodes.map((node) "
                         "=> node.html).join(' | ')))")
        assert isinstance(found, list)
        return found


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    assert NAME is not None
    to_browser, from_us = os.pipe()
    from_browser, to_us = os.pipe()

    def pipes() -> None:  # where the browser looks for them
        os.dup2(to_browser, 3)
        os.dup2(to_us, 4)
        for one in (3, 4):
            os.set_inheritable(one, True)

    with tempfile.TemporaryDirectory(prefix="respram-browser-") as folder:
        process = subprocess.Popen(
            [NAME, *WORDS, f"--user-data-dir={folder}"], preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(to_us)
        try:
            page = Page(from_us, from_browser)
            target = page.send("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                page.send(f"{domain}.enable")
            yield page
        finally:
            os.close(from_us)
            os.close(from_browser)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
