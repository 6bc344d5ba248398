"""phpMyAdmin with PHP's sessions in Redis: login with a new id, work, logout, and both old cookies are nobody's.

Debian's package is used as it is, from a copy whose list of paths names a configuration of the program's own.
"""

import http.cookiejar
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from databases import mariadb
from ports import reserve
from telling import HOST, PORT, check, same, say, true

PACKAGE = Path("/usr/share/phpmyadmin")
PASSWORD = "a long password of ada"
USERS = f"CREATE OR REPLACE USER ada@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO ada@localhost;"
START_S = 60
CONFIG = """<?php
$cfg['blowfish_secret'] = '0123456789abcdef0123456789abcdef';
$cfg['Servers'][1] = ['auth_type' => 'cookie', 'host' => 'localhost', 'socket' => '{database}/db.sock'];
$cfg['TempDir'] = '{place}/tmp';
"""


class Browser:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/"
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def __call__(self, path, **words):
        data = urllib.parse.urlencode(words).encode() if words else None
        with self.opener.open(self.base + path, data, timeout=60) as answer:
            return answer.read().decode()

    def token(self, page):
        found = re.search(r'name="token" value="([^"]*)"', page) or re.search(r'[?&]token=(\w+)|token:"([^"]*)"', page)
        true(found, "a token", page[-200:])
        return next(filter(None, found.groups()))

    def login(self, password=PASSWORD):
        page = self("index.php?route=/")
        return self("index.php?route=/", pma_username="ada", pma_password=password, server="1", token=self.token(page))

    def session(self):
        return next((cookie.value for cookie in self.jar if cookie.name.startswith("phpMyAdmin")), None)

    def take(self, cookies):
        for cookie in cookies:
            self.jar.set_cookie(cookie)


def is_in(page):
    return "logged_in:true" in page and 'name="pma_password"' not in page


def lay_out(place, database):
    """The package under `place/site`, with a configuration of its own."""
    shutil.copytree(PACKAGE, place / "site", symlinks=True)
    (place / "tmp").mkdir()
    paths = place / "site" / "libraries" / "vendor_config.php"
    text = paths.read_text()
    true("'/etc/phpmyadmin/config.inc.php'" in text, "the package's own paths")
    for name, own in (("/etc/phpmyadmin/config.inc.php", "config.inc.php"), ("/var/lib/phpmyadmin/tmp", "tmp")):
        text = text.replace(name, f"{place}/{own}")
    paths.write_text(text)
    (place / "config.inc.php").write_text(CONFIG.format(place=place, database=database))


def serve(place, port):
    words = ["php", "-d", "session.save_handler=redis", "-d", f"session.save_path=tcp://{HOST}:{PORT}"]
    words += ["-d", "redis.session.locking_enabled=1", "-d", "redis.session.lock_retries=500"]
    words += ["-d", "redis.session.lock_wait_time=20000"]
    words += ["-S", f"127.0.0.1:{port}", "-t", str(place / "site")]
    env = {**os.environ, "PHP_CLI_SERVER_WORKERS": "4"}
    return subprocess.Popen(words, stdout=Path("php.log").open("w"), stderr=subprocess.STDOUT, env=env)


def answers(browser):
    end = time.monotonic() + START_S
    while True:
        try:
            true("pma_username" in (page := browser("index.php?route=/")), "the page to log in", page[-200:])
            return
        except (urllib.error.URLError, ConnectionError) as error:
            true(time.monotonic() < end, "it answers", str(error) + Path("php.log").read_text()[-300:])
            time.sleep(0.2)


def use(port):
    ada = Browser(port)
    before, kept = [], []

    def login():
        true(not is_in(ada.login("a wrong password")), "no way in with a wrong password")
        before.extend(ada.jar)
        old = ada.session()
        true(is_in(ada.login()), "ada is in")
        true(ada.session() != old, "a new id")
        kept.extend(ada.jar)

    def of_old(cookies):
        """Who holds only the session's cookie of earlier is nobody. (phpMyAdmin's other cookies hold the password,
        encrypted.)
        """
        thief = Browser(port)
        thief.take([cookie for cookie in cookies if cookie.name.startswith("phpMyAdmin")])
        held = thief.session()
        page = thief("index.php?route=/")
        true(not is_in(page), "nobody")
        true(thief.session() != held, "an id that is unknown is not taken on")

    def works():
        page = ada("index.php?route=/server/sql")
        words = {"token": ada.token(page), "sql_query": "SELECT 6*7 AS found", "is_js_confirmed": "0", "server": "1"}
        answer = ada("index.php?route=/import", **words)
        true("42" in answer, "the answer of a statement", answer[-200:])

    def side_by_side():
        pages = []
        threads = [
            threading.Thread(target=lambda: pages.append(ada("index.php?route=/server/databases"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same([is_in(page) for page in pages], [True] * 4)

    def logout():
        page = ada("index.php?route=/")
        page = ada("index.php?route=/logout", token=ada.token(page), server="1")
        true(not is_in(page), "out")
        true(not is_in(ada("index.php?route=/")), "out for good")

    check("answers", lambda: answers(ada))
    check("login-with-a-new-id", login)
    check("id-of-before-is-dead", lambda: of_old(before))
    check("works", works)
    check("requests-side-by-side", side_by_side)
    check("logout", logout)
    check("cookie-is-dead", lambda: of_old(kept))
    check("login-again", lambda: true(is_in(ada.login()), "ada is in"))


def main():
    told = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", "phpmyadmin"], capture_output=True, text=True, check=False
    ).stdout
    say("version", told.partition(":")[2] or told)
    with mariadb(USERS) as database, TemporaryDirectory() as name:
        place, port = Path(name), reserve()
        lay_out(place, database)
        site = serve(place, port)
        try:
            use(port)
        finally:
            site.kill()
            site.wait()
    say("done")


main()
