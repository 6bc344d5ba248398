"""limits, and two limiters of web frameworks over it: `program.py fixed|moving|sliding|slowapi|flask`.
Counts, resets, and opens again.
"""

import sys
import time
from functools import partial
from importlib.metadata import version

from telling import HOST, PORT, check, same, say, true

URL = f"redis://{HOST}:{PORT}"


def of_limits(name):
    from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, storage, strategies

    kept = storage.storage_from_string(URL)
    kinds = {
        "fixed": strategies.FixedWindowRateLimiter, "moving": strategies.MovingWindowRateLimiter,
        "sliding": strategies.SlidingWindowCounterRateLimiter,
    }
    limiter, item = kinds[name](kept), RateLimitItemPerMinute(3)

    def counts():
        same([limiter.hit(item, "ada") for _ in range(5)], [True, True, True, False, False])

    def tells():
        same(limiter.test(item, "ada"), False)
        same(limiter.get_window_stats(item, "ada").remaining, 0)

    def clears():
        limiter.clear(item, "ada")
        same(limiter.hit(item, "ada"), True)

    def opens():
        brief = RateLimitItemPerSecond(1)
        same([limiter.hit(brief, "bob"), limiter.hit(brief, "bob")], [True, False])
        end = time.monotonic() + 5
        while not limiter.hit(brief, "bob"):
            true(time.monotonic() < end, "the window opens again")
            time.sleep(0.1)

    check("counts", counts)
    check("tells", tells)
    check("clears", clears)
    check("opens-again", opens)
    check("reset-all", lambda: true(kept.reset() is not None, "how many keys were let go"))


def of_slowapi():
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    limiter = Limiter(key_func=lambda request: "ada", storage_uri=URL)

    @limiter.limit("3/minute")
    async def page(request: Request):
        return PlainTextResponse("page")

    app = Starlette(routes=[Route("/", page)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    client = TestClient(app, raise_server_exceptions=False)
    check("limits-requests", lambda: same([client.get("/").status_code for _ in range(5)], [200, 200, 200, 429, 429]))
    check("reset", lambda: limiter.reset())
    check("serves-again", lambda: same(client.get("/").status_code, 200))


def of_flask():
    from flask import Flask
    from flask_limiter import Limiter

    app = Flask("site")
    limiter = Limiter(lambda: "ada", app=app, storage_uri=URL, default_limits=["3/minute"], strategy="fixed-window")

    @app.get("/")
    def page():
        return "page"

    client = app.test_client()
    check("limits-requests", lambda: same([client.get("/").status_code for _ in range(5)], [200, 200, 200, 429, 429]))
    check("reset", lambda: limiter.reset())
    check("serves-again", lambda: same(client.get("/").status_code, 200))


windows = {name: (partial(of_limits, name), "limits") for name in ("fixed", "moving", "sliding")}
kinds = {**windows, "slowapi": (of_slowapi, "slowapi"), "flask": (of_flask, "Flask-Limiter")}
run, package = kinds[sys.argv[1]]
say("version", version(package))
run()
say("done")
