"""MediaWiki with its sessions and caches in Redis: login, edit, read, logout, and the old cookie is nobody's."""

import http.cookiejar
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from ports import reserve
from telling import HOST, PORT, check, same, say, true

WIKI = Path("/usr/share/mediawiki")
PASSWORD = "a long password of ada"
START_S = 20
SETTINGS = """
$wgObjectCaches['redis'] = ['class' => 'RedisBagOStuff', 'servers' => ['{host}:{port}'], 'persistent' => false];
$wgMainCacheType = $wgSessionCacheType = $wgMessageCacheType = $wgParserCacheType = 'redis';
$wgJobRunRate = 0;
$wgDebugLogFile = '{place}/debug.log';
$wgDebugLogGroups['redis'] = '{place}/redis.log';
"""


class Browser:
    def __init__(self, base):
        self.api = base + "/api.php"
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def __call__(self, **words):
        data = urllib.parse.urlencode({**words, "format": "json", "formatversion": "2"}).encode()
        return json.load(self.opener.open(self.api, data, timeout=30))

    def token(self, kind):
        return self(action="query", meta="tokens", type=kind)["query"]["tokens"][f"{kind}token"]

    def me(self):
        return self(action="query", meta="userinfo")["query"]["userinfo"]

    def name(self):
        found = self.me()
        return None if found.get("anon") else found["name"]

    def login(self, password=PASSWORD):
        return self(
            action="clientlogin", username="Ada", password=password, logintoken=self.token("login"),
            loginreturnurl="http://localhost/",
        )["clientlogin"]["status"]  # fmt: skip

    def cookies(self):
        return list(self.jar)

    def take(self, cookies):
        for cookie in cookies:
            self.jar.set_cookie(cookie)


def install(place, port):
    words = ["php", str(WIKI / "maintenance" / "install.php"), "--dbtype", "sqlite", "--dbname", "wiki", "--dbpath",
             place, "--confpath", place]
    words += ["--server", f"http://127.0.0.1:{port}", "--scriptpath", "", "--pass", PASSWORD, "Wiki", "Ada"]
    # The installer will not begin where the package's own settings are seen.
    env = {**os.environ, "MW_CONFIG_FILE": f"{place}/LocalSettings.php"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False, env=env)
    settings = Path(place, "LocalSettings.php")
    true(settings.exists(), "it installs", (done.stdout + done.stderr)[-300:])
    settings.write_text(settings.read_text() + SETTINGS.format(host=HOST, port=PORT, place=place))


def serve(place, port):
    words = ["php", "-S", f"127.0.0.1:{port}", "-t", str(WIKI)]
    env = {**os.environ, "MW_CONFIG_FILE": f"{place}/LocalSettings.php", "PHP_CLI_SERVER_WORKERS": "2"}
    return subprocess.Popen(words, stdout=Path("php.log").open("w"), stderr=subprocess.STDOUT, env=env)


def answers(browser):
    end = time.monotonic() + START_S
    while True:
        try:
            browser.me()
            return
        except (urllib.error.URLError, json.JSONDecodeError, ConnectionError):
            true(time.monotonic() < end, "it answers", Path("php.log").read_text()[-300:])
            time.sleep(0.2)


def main():
    say("version", re.search(r"MW_VERSION', '([^']+)", (WIKI / "includes" / "Defines.php").read_text())[1])
    with TemporaryDirectory() as place:
        port = reserve()
        check("install", lambda: install(place, port))
        process = serve(place, port)
        ada, stranger = Browser(f"http://127.0.0.1:{port}"), Browser(f"http://127.0.0.1:{port}")
        kept = []
        try:
            check("answers", lambda: answers(ada))

            def login():
                same(ada.login("a wrong password"), "FAIL")
                same(ada.login(), "PASS")
                same(ada.name(), "Ada")
                kept.extend(ada.cookies())

            def edit():
                for text in ("first", "second"):
                    answer = ada(action="edit", title="Page", text=text, token=ada.token("csrf"))
                    same(answer.get("edit", answer).get("result"), "Success")
                    page = stranger(action="parse", page="Page", prop="wikitext")["parse"]["wikitext"]
                    same(page, text)

            def delete():
                answer = ada(action="delete", title="Page", token=ada.token("csrf"))
                true("delete" in answer, "deleted", answer)
                same(stranger(action="parse", page="Page").get("error", {}).get("code"), "missingtitle")

            def logout():
                ada(action="logout", token=ada.token("csrf"))
                same(ada.name(), None)

            def old_cookie():
                thief = Browser(f"http://127.0.0.1:{port}")
                thief.take(kept)
                same(thief.name(), None)

            for name, call in (
                ("login", login),
                ("edit", edit),
                ("delete", delete),
                ("logout", logout),
                ("old-cookie-is-dead", old_cookie),
            ):
                check(name, call)
            check("login-again", lambda: same(ada.login(), "PASS"))
        finally:
            process.kill()
            process.wait()
    say("done")


main()
