"""Directus with cache, limits, locks and messages between its processes in Redis: bootstrap, two processes, records,
logout.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from databases import mariadb
from ports import reserve
from telling import HOST, PORT, check, same, say, true, until

START_S = 240
MAIL, PASSWORD = "ada@example.com", "a long password of ada"
POINTS = 100  # requests from one address within ten seconds
COMMAND = ["node", "node_modules/directus/cli.js"]
SQL = """
CREATE DATABASE directus; CREATE USER ada@localhost IDENTIFIED BY 'secret'; GRANT ALL ON directus.* TO ada@localhost;
"""


def settings(database, port):
    return {
        **os.environ,
        "HOST": "127.0.0.1", "PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SECRET": "0123456789abcdef0123456789abcdef",
        "DB_CLIENT": "mysql", "DB_SOCKET_PATH": f"{database}/db.sock", "DB_DATABASE": "directus", "DB_USER": "ada",
        "DB_PASSWORD": "secret",
        "ADMIN_EMAIL": MAIL, "ADMIN_PASSWORD": PASSWORD, "TELEMETRY": "false", "LOG_STYLE": "raw", "SERVE_APP": "false",
        "REDIS": f"redis://{HOST}:{PORT}", "CACHE_ENABLED": "true", "CACHE_STORE": "redis", "CACHE_TTL": "5m",
        "CACHE_AUTO_PURGE": "true", "CACHE_STATUS_HEADER": "x-cache", "SYNCHRONIZATION_STORE": "redis",
        "MESSENGER_STORE": "redis",
        "RATE_LIMITER_ENABLED": "true", "RATE_LIMITER_STORE": "redis", "RATE_LIMITER_POINTS": str(POINTS),
        "RATE_LIMITER_DURATION": "10",
    }  # fmt: skip


class Client:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.token = ""

    def __call__(self, path, words=None, method=None):
        """The status, the headers, and what came."""
        data = None if words is None else json.dumps(words).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text[:1] in (b"{", b"[") else text

    def ask(self, path, words=None, method=None, expected=200):
        """As above, and waits while its address is limited."""
        end = time.monotonic() + 60
        while (found := self(path, words, method))[0] == 429 and time.monotonic() < end:
            time.sleep(0.5)
        true(found[0] == expected, f"{method or ''} {path}: {expected}", f"{found[0]} {str(found[2])[-200:]}")
        return found[2]


def bootstrap(env):
    done = subprocess.run([*COMMAND, "bootstrap"], env=env, capture_output=True, text=True, timeout=400, check=False)
    true(done.returncode == 0, "it bootstraps", (done.stdout + done.stderr)[-300:])


def starts(process, client, name):
    end = time.monotonic() + START_S
    while True:
        true(process.poll() is None, "it starts", Path(name).read_text()[-300:])
        try:
            true(client("/server/ping")[0] == 200, "it answers")
            return
        except (urllib.error.URLError, ConnectionError):
            true(time.monotonic() < end, "it answers", Path(name).read_text()[-300:])
            time.sleep(0.5)


def use(first, second):
    held = {}

    def login():
        true(
            first("/auth/login", {"email": MAIL, "password": "a wrong password"})[0] == 401,
            "no way in with a wrong password",
        )
        found = first.ask("/auth/login", {"email": MAIL, "password": PASSWORD})["data"]
        first.token = second.token = found["access_token"]
        held["refresh"] = found["refresh_token"]
        same(first.ask("/users/me")["data"]["email"], MAIL)

    def collection():
        """A new table is seen by the other process, which has to forget what it knew."""
        fields = [{"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}]
        fields += [{"field": "name", "type": "string", "schema": {}}]
        second("/items/lots")
        first.ask("/collections", {"collection": "lots", "schema": {}, "meta": {}, "fields": fields})
        true(until(lambda: second("/items/lots")[0] == 200, 60), "the other process has it")

    def cached():
        """Once kept, an answer comes from there."""
        first.ask("/items/lots", {"name": "one"})
        same(first.ask("/items/lots?fields=name")["data"], [{"name": "one"}])
        true(until(lambda: first("/items/lots?fields=name")[1].get("x-cache") == "HIT", 60), "a hit")
        true(until(lambda: second("/items/lots?fields=name")[1].get("x-cache") == "HIT", 60),
             "a hit at the other process")

    def purged():
        first.ask("/items/lots/1", {"name": "two"}, "PATCH")
        same([one.ask("/items/lots?fields=name")["data"] for one in (first, second)], [[{"name": "two"}]] * 2)
        first.ask("/items/lots/1", method="DELETE", expected=204)
        same([one.ask("/items/lots?fields=name")["data"] for one in (first, second)], [[]] * 2)

    def cleared():
        true(first("/utils/cache/clear", {})[0] in (200, 204), "cleared")
        true(first("/items/lots?fields=name")[1].get("x-cache") != "HIT", "no hit")

    def dropped():
        first.ask("/collections/lots", method="DELETE", expected=204)
        true(until(lambda: second("/items/lots")[0] == 403, 60), "the other process knows")

    def limited():
        found = [first("/server/ping")[0] for _ in range(2 * POINTS)]
        true(429 in found, "429", set(found))
        true(until(lambda: first("/server/ping")[0] == 200, 60), "served again, later")

    def logout():
        renewed = first.ask("/auth/refresh", {"refresh_token": held["refresh"], "mode": "json"})["data"]
        first.ask("/auth/logout", {"refresh_token": renewed["refresh_token"], "mode": "json"}, expected=204)
        first.token = ""
        for token in (held["refresh"], renewed["refresh_token"]):
            first.ask("/auth/refresh", {"refresh_token": token, "mode": "json"}, expected=401)

    for name, call in (
        ("login", login), ("a-new-table-is-seen-by-both", collection), ("cached", cached), ("purged", purged),
        ("cleared", cleared),
        ("dropped", dropped), ("limited", limited), ("logout", logout), ("login-again", login),
    ):  # fmt: skip
        check(name, call)


def main():
    say("version", json.loads(Path("node_modules/directus/package.json").read_text())["version"])
    with mariadb(SQL) as database:
        ports = [reserve(), reserve()]
        check("bootstrap", lambda: bootstrap(settings(database, ports[0])))
        processes = []
        try:
            for number, port in enumerate(ports):
                with Path(f"directus-{number}.log").open("w") as log:
                    words = [*COMMAND, "start"]
                    processes.append(
                        subprocess.Popen(words, env=settings(database, port), stdout=log, stderr=subprocess.STDOUT)
                    )
            clients = [Client(port) for port in ports]
            for number, client in enumerate(clients):
                words = (processes[number], client, f"directus-{number}.log")
                check(f"start-{number + 1}", lambda words=words: starts(*words))
            use(*clients)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    say("done")


main()
