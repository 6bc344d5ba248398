"""oauth2-proxy with its sessions in Redis: login at a provider of our own, the page, logout, and the old cookie is
worth nothing.
"""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ports import reserve
from telling import HOST, PORT, check, same, say, true

START_S = 20


class Provider(BaseHTTPRequestHandler):
    """As much of DigitalOcean as the proxy asks: it hands out a token for any code, and knows one user."""

    def answer(self):
        words = {
            "/token": {"access_token": "t", "token_type": "bearer", "expires_in": 3600, "refresh_token": "r"},
            "/profile": {"account": {"email": "ada@example.org", "status": "active"}},
        }.get(urllib.parse.urlsplit(self.path).path)
        body = json.dumps(words or {}).encode()
        self.send_response(200 if words else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer()

    def log_message(self, *words):
        pass


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *words):
        return None


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, base):
        self.base = base
        self.cookies = {}
        self.opener = urllib.request.build_opener(NoRedirect)

    def get(self, path):
        request = urllib.request.Request(self.base + path)
        request.add_header("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        try:
            answer = self.opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read().decode(errors="replace")
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";", 1)[0].partition("=")
            gone = (
                not value
                or "Max-Age=0" in line
                or "01 Jan 1970" in line
                or re.search(r"Expires=\w+, \d+ \w+ (19|200)", line)
            )
            self.cookies.pop(name, None)
            if not gone:
                self.cookies[name] = value
        return answer.status, answer.headers.get("Location", ""), body

    def login(self):
        _, location, _ = self.get("/oauth2/start?rd=%2F")
        state = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["state"][0]
        return self.get("/oauth2/callback?code=c&state=" + urllib.parse.quote(state))[0]


def start(provider, port):
    words = [
        "./proxy", "--provider=digitalocean", f"--login-url={provider}/login", f"--redeem-url={provider}/token",
        f"--profile-url={provider}/profile",
        f"--validate-url={provider}/profile", "--client-id=i", "--client-secret=s",
        "--cookie-secret=0123456789abcdef0123456789abcdef",
        "--cookie-secure=false", "--email-domain=*", "--upstream=static://202", f"--http-address=127.0.0.1:{port}",
        f"--redirect-url=http://127.0.0.1:{port}/oauth2/callback", "--session-store-type=redis",
        f"--redis-connection-url=redis://{HOST}:{PORT}",
        "--cookie-expire=1h", "--cookie-refresh=1s", "--skip-provider-button=true",
    ]
    return subprocess.Popen(words, stdout=Path("proxy.log").open("w"), stderr=subprocess.STDOUT)


def starts(process, browser):
    end = time.monotonic() + START_S
    while True:
        true(process.poll() is None, "it starts", Path("proxy.log").read_text()[-300:])
        try:
            same(browser.get("/ping")[0], 200)
            return
        except urllib.error.URLError:
            true(time.monotonic() < end, "it answers")
            time.sleep(0.1)


def main():
    say("version", re.search(r"oauth2-proxy/v7 v(\S+)", Path("go.mod").read_text())[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = reserve()
    process = start(f"http://127.0.0.1:{server.server_port}", port)
    browser = Browser(f"http://127.0.0.1:{port}")
    try:
        check("starts", lambda: starts(process, browser))
        check("stranger-is-sent-away", lambda: true(browser.get("/")[0] in (302, 403), "302 or 403"))
        check("login", lambda: same(browser.login(), 302))
        check("page", lambda: same(browser.get("/")[0], 202))
        check("who-am-i", lambda: same(json.loads(browser.get("/oauth2/userinfo")[2])["email"], "ada@example.org"))

        def refreshes():
            time.sleep(1.5)
            same([browser.get("/")[0] for _ in range(3)], [202] * 3)

        check("refresh-under-its-lock", refreshes)
        kept = dict(browser.cookies)

        def logout():
            same(browser.get("/oauth2/sign_out")[0], 302)
            true(browser.get("/")[0] in (302, 403), "302 or 403")

        check("logout", logout)

        def old_cookie():
            browser.cookies = kept
            true(browser.get("/")[0] in (302, 403), "302 or 403 with the old cookie")

        check("old-cookie-is-dead", old_cookie)

        def again():
            browser.cookies = {}
            same([browser.login(), browser.get("/")[0]], [302, 202])

        check("login-again", again)
    finally:
        process.kill()
        process.wait()
    say("done")


main()
