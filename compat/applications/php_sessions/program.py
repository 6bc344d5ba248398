"""A site in PHP whose sessions phpredis keeps: login with a new id, the old id dead, requests side by side, logout, the
cookie dead.
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

from ports import reserve
from telling import check, same, say, true

PHP = shutil.which("php") or "php"
port = reserve()
site = subprocess.Popen(
    [PHP, "-d", "display_errors=1", "-S", f"127.0.0.1:{port}", "site.php"], stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    env={**os.environ, "LOCKING": sys.argv[1], "PHP_CLI_SERVER_WORKERS": "4"},
)  # fmt: skip


def ask(path, cookie=""):
    """The page, and the cookie that the site set."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    link.request("GET", path, headers={"Cookie": f"PHPSESSID={cookie}"} if cookie else {})
    answer = link.getresponse()
    given = [
        value.partition("=")[2].partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"
    ]
    return answer.read().decode(), (given[-1] if given else cookie)


def visits():
    body, state["first"] = ask("/count")
    same(body, "nobody 1")
    same(ask("/count", state["first"])[0], "nobody 2")


def logs_in():
    body, state["second"] = ask("/login", state["first"])
    same(body, "ada 2")
    true(state["second"] != state["first"], "a new id")


def side_by_side():
    threads = [threading.Thread(target=ask, args=("/count", state["second"])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sys.argv[1] == "1":
        same(ask("/", state["second"])[0], "ada 8")


state = {}
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    say(
        "version",
        subprocess.run([PHP, "-r", "echo phpversion('redis');"], capture_output=True, text=True, check=False).stdout,
    )
    check("visit", visits)
    check("login-with-a-new-id", logs_in)
    check("old-id-is-dead", lambda: same(ask("/", state["first"])[0], "nobody 0"))
    check("stays-in", lambda: same(ask("/", state["second"])[0].partition(" ")[0], "ada"))
    check("requests-side-by-side", side_by_side)
    check("logout", lambda: same(ask("/logout", state["second"])[0], "nobody 0"))
    check("cookie-is-dead", lambda: same(ask("/", state["second"])[0], "nobody 0"))
finally:
    site.kill()
say("done")
