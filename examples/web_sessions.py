"""A small web app whose sessions are keys that expire: log in, count visits, log out.

python examples/web_sessions.py --http 8000         # then open http://127.0.0.1:8000/
"""
# ruff: noqa: T201

import argparse
import contextlib
import html
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import redis

from respram.patterns import SessionEnded, Sessions

COOKIE = "session"
BODY_BYTES_MAX = 4096
LOGIN = '<form method="post" action="/login">Name: <input name="user" required><button>log in</button></form>'
LOGOUT = '<form method="post" action="/logout"><button>log out</button></form>'


def handler(sessions: "Sessions[redis.Redis]") -> type[BaseHTTPRequestHandler]:
    class Pages(BaseHTTPRequestHandler):
        def session_id(self) -> str:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
            return morsel.value if morsel else ""

        def do_GET(self) -> None:
            session_id = self.session_id()
            state = sessions.load(session_id)
            if state is None:
                return self.reply(LOGIN)
            state["visits"] += 1
            try:
                sessions.save(session_id, state)
            except SessionEnded:  # logged out in another window, a moment ago
                return self.reply(LOGIN)
            return self.reply(f"<p>{html.escape(state['user'])}, visit {state['visits']}</p>{LOGOUT}")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > BODY_BYTES_MAX:
                return self.send_error(413)
            form = parse_qs(self.rfile.read(length).decode())
            if self.session_id():
                sessions.end(self.session_id())  # at logout, and at login too: the id must not survive a change of user
            if self.path == "/login" and form.get("user"):
                return self.redirect(sessions.create({"user": form["user"][0], "visits": 0}))
            return self.redirect("")

        def redirect(self, session_id: str) -> None:
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Set-Cookie", f"{COOKIE}={session_id}; HttpOnly; SameSite=Lax; Path=/")
            self.end_headers()

        def reply(self, body: str) -> None:
            data = f"<!doctype html><title>respram</title>{body}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: cookies are secrets."""

    return Pages


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--port", type=int, default=6379)
    options.add_argument("--http", type=int, default=8000)
    options.add_argument("--idle", type=float, default=1800.0, help="seconds after which a silent user is logged out")
    args = options.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", args.http), handler(Sessions(redis.Redis(port=args.port), args.idle)))
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
