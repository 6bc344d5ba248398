"""Superset with sessions, caches and locks in Redis: charts, filters, login, logout, and the old cookie is nobody's."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from ports import reserve
from telling import check, same, say, true

PASSWORD = "a long password of ada"
START_S = 240
LAID_OUT = Path("laid_out.db")  # kept between runs: Superset's own tables, and nothing else
LOCKS = """
from superset.app import create_app
app = create_app()
with app.app_context():
    from superset.commands.distributed_lock.acquire import AcquireDistributedLock
    from superset.commands.distributed_lock.release import ReleaseDistributedLock
    from superset.exceptions import AcquireDistributedLockFailedException
    names = ("work", {"of": "ada"})
    AcquireDistributedLock(*names).run()
    try:
        AcquireDistributedLock(*names).run()
        print("told: taken twice")
    except AcquireDistributedLockFailedException:
        print("told: held")
    ReleaseDistributedLock(*names).run()
    try:
        AcquireDistributedLock(*names).run()
        print("told: free")
    except AcquireDistributedLockFailedException:
        print("told: not free after its release")
"""


class Browser:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.jar = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.token = ""

    def ask(self, path, data=None, method=None, form=False):
        """The status, the page, and where it led to."""
        headers = {"X-CSRFToken": self.token, "Referer": self.base} if self.token else {}
        if data is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
            data = (urllib.parse.urlencode(data) if form else json.dumps(data)).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            answer = self.opener.open(request, timeout=120)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read().decode(errors="replace"), answer.url

    def api(self, path, data=None, method=None, expected=200):
        status, text, _ = self.ask("/api/v1" + path, data, method)
        true(status == expected, f"{method or ''} {path}: {expected}", f"{status} {text[-200:]}")
        return json.loads(text)

    def login(self, password=PASSWORD):
        self.token = ""
        page = self.ask("/login/")[1]
        page = page.replace("&#34;", '"').replace("&quot;", '"')
        found = re.search(r'"csrf_token": ?"([^"]+)"|name="csrf_token"[^>]*value="([^"]+)"', page)
        token = next(filter(None, found.groups())) if found else ""
        status, _, _ = self.ask("/login/", {"username": "ada", "password": password, "csrf_token": token}, form=True)
        if self.is_in():
            self.token = self.api("/security/csrf_token/")["result"]
        return status

    def is_in(self):
        return self.ask("/api/v1/me/")[0] == 200

    def take(self, cookies):
        for cookie in cookies:
            self.jar.set_cookie(cookie)


def lay_out(home, env):
    if not LAID_OUT.exists():
        env = {name: value for name, value in env.items() if not name.startswith("RESPRAM_")}
        words = [sys.executable, "layout.py", PASSWORD]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=400, check=False)
        true(done.returncode == 0, "its tables", (done.stdout + done.stderr)[-300:])
        shutil.copyfile(home / "superset.db", "laid_out.new")
        os.replace("laid_out.new", LAID_OUT)
    shutil.copyfile(LAID_OUT, home / "superset.db")
    with sqlite3.connect(home / "records.db") as records:
        records.execute("CREATE TABLE lots (name TEXT, price INTEGER)")
        records.executemany("INSERT INTO lots VALUES (?, ?)", [("a", 1), ("b", 2)])


def starts(process, browser):
    end = time.monotonic() + START_S
    while True:
        true(process.poll() is None, "it starts", Path("superset.log").read_text()[-300:])
        try:
            same(browser.ask("/health")[0], 200)
            return
        except (urllib.error.URLError, ConnectionError):
            true(time.monotonic() < end, "it answers")
            time.sleep(0.5)


def use(process, port, home, env):
    ada, kept, made = Browser(port), [], {}

    def login():
        ada.login("a wrong password")
        true(not ada.is_in(), "no way in with a wrong password")
        ada.login()
        true(ada.is_in(), "ada is in", Path("superset.log").read_text()[-300:])
        kept.extend(ada.jar)

    def lay_table():
        words = {"database_name": "records", "sqlalchemy_uri": f"sqlite:///{home}/records.db"}
        database = ada.api("/database/", words, expected=201)["id"]
        words = {"database": database, "table_name": "lots", "schema": "main"}
        made["table"] = ada.api("/dataset/", words, expected=201)["id"]
        made["board"] = ada.api("/dashboard/", {"dashboard_title": "Lots"}, expected=201)["id"]

    def chart(*, force=False):
        query = {"columns": ["name"], "metrics": [], "orderby": [], "row_limit": 10}
        words = {"datasource": {"id": made["table"], "type": "table"}, "queries": [query], "force": force}
        found = ada.api("/chart/data", words)["result"][0]
        return found["is_cached"], sorted(row["name"] for row in found["data"])

    def charts():
        same([chart()[1], chart()[0]], [["a", "b"], True])

    def fresh_chart():
        with sqlite3.connect(home / "records.db") as records:
            records.execute("INSERT INTO lots VALUES ('c', 4)")
        same([chart(), chart(force=True)[1], chart()], [(True, ["a", "b"]), ["a", "b", "c"], (True, ["a", "b", "c"])])

    def forgets_charts():
        words = {"datasource_uids": [f"{made['table']}__table"]}
        ada.api("/cachekey/invalidate", words, expected=201)
        same(chart()[0] in (False, None), True)

    def filters():
        place = f"/dashboard/{made['board']}/filter_state"
        key = ada.api(place, {"value": '"one"'}, expected=201)["key"]
        same(ada.api(f"{place}/{key}")["value"], '"one"')
        key = ada.api(f"{place}/{key}", {"value": '"two"'}, "PUT")["key"]
        same(ada.api(f"{place}/{key}")["value"], '"two"')
        made["filter"] = f"{place}/{key}"

    def forgets_filters():
        ada.api(made["filter"], method="DELETE")
        ada.api(made["filter"], expected=404)

    def forms():
        words = {"datasource_id": made["table"], "datasource_type": "table", "form_data": '{"a": 1}'}
        made["form"] = "/explore/form_data/" + ada.api("/explore/form_data", words, expected=201)["key"]
        same(json.loads(ada.api(made["form"])["form_data"])["a"], 1)

    def forgets_forms():
        ada.api(made["form"], method="DELETE")
        ada.api(made["form"], expected=404)

    def locks():
        done = subprocess.run(
            [sys.executable, "-c", LOCKS], env=env, capture_output=True, text=True, timeout=240, check=False
        )
        told = [line for line in done.stdout.splitlines() if line.startswith("told: ")]
        same(told or done.stderr[-200:], ["told: held", "told: free"])

    def logout():
        ada.ask("/logout/")
        true(not ada.is_in(), "out")

    def old_cookie():
        thief = Browser(port)
        thief.take(kept)
        true(not thief.is_in(), "nobody")

    check("starts", lambda: starts(process, ada))
    check("login", login)
    check("tables", lay_table)
    check("charts-are-cached", charts)
    check("charts-afresh", fresh_chart)
    check("charts-forgotten", forgets_charts)
    check("filters", filters)
    check("filters-deleted", forgets_filters)
    check("forms", forms)
    check("forms-deleted", forgets_forms)
    check("locks", locks)
    check("logout", logout)
    check("old-cookie-is-dead", old_cookie)


def main():
    say("version", version("apache-superset"))
    with TemporaryDirectory() as name:
        home, port = Path(name), reserve()
        env = {**os.environ, "SUPERSET_HOME": name, "SUPERSET_CONFIG_PATH": str(Path("superset_config.py").resolve())}
        check("lays-out", lambda: lay_out(home, env))
        words = [sys.executable, "-m", "flask", "--app", "superset.app:create_app()", "run", "--port", str(port)]
        process = subprocess.Popen(words, stdout=Path("superset.log").open("w"), stderr=subprocess.STDOUT, env=env)
        try:
            use(process, port, home, env)
        finally:
            process.kill()
            process.wait()
    say("done")


main()
