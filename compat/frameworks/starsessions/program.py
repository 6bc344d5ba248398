"""A Starlette application whose sessions are kept by starsessions: `program.py STORE`."""

import os
import sys
from importlib import import_module
from importlib.metadata import version

import redis.asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starsessions import SessionAutoloadMiddleware, SessionMiddleware, get_session_id, regenerate_session_id
from telling import ENCLAVE, HOST, PORT, Refused, check, raises, same, say, true, until

sys.path.append(os.environ["RESPRAM_SOURCE"])
MODULE, _, NAME = sys.argv[1].rpartition(".")
ADAPTED = MODULE.startswith("respram")


async def enter(request):
    request.session["name"] = request.path_params["name"]
    return PlainTextResponse("in")


async def leave(request):
    request.session.clear()
    return PlainTextResponse("out")


async def rotate(request):
    """As the adapter's page says: let go of the old one, then take a new id."""
    await request.scope["store"].remove(get_session_id(request))
    regenerate_session_id(request)
    return PlainTextResponse("rotated")


async def who(request):
    return PlainTextResponse(request.session.get("name", "nobody"))


def application(port):
    """Each request has an event loop of its own here, so each has a connection of its own too."""

    async def serve(scope, receive, send):
        connection = redis.asyncio.Redis(host=HOST, port=port)
        routes = [Route("/enter/{name}", enter), Route("/leave", leave), Route("/rotate", rotate), Route("/who", who)]
        store = getattr(import_module(MODULE), NAME)(connection=connection, prefix="star:")
        app = SessionAutoloadMiddleware(Starlette(routes=routes))
        site = SessionMiddleware(app, store, lifetime=3600, rolling=True, cookie_https_only=False)
        await site({**scope, "store": store}, receive, send)
        await connection.aclose()

    return serve


def visit(path, cookie="", port=PORT):
    client = TestClient(application(port), cookies={"session": cookie} if cookie else {})
    answer = client.get(path)
    return answer.text, answer.cookies.get("session", "")


def kept():
    cookie = visit("/enter/ada")[1]
    same([visit("/who", cookie)[0], visit("/who", "made-up")[0], visit("/who")[0]], ["ada", "nobody", "nobody"])


def left():
    cookie = visit("/enter/ada")[1]
    same([visit("/leave", cookie)[0], visit("/who", cookie)[0]], ["out", "nobody"])


def rotated():
    before = visit("/enter/ada")[1]
    said, after = visit("/rotate", before)
    true(said == "rotated" and after not in ("", before), "a new cookie", after)
    same([visit("/who", after)[0], visit("/who", before)[0]], ["ada", "nobody"])


def left_everywhere():
    first = ENCLAVE[0]
    cookie = visit("/enter/ada", port=first)[1]
    for port in ENCLAVE:
        true(until(lambda port=port: visit("/who", cookie, port)[0] == "ada", 15), "the session on every node")
    # Each request saves the session that it read. One that is still on its way, or comes while the logout is, would
    # write it again.
    nodes = [redis.Redis(HOST, port) for port in ENCLAVE]
    true(
        until(lambda: len({node.pexpiretime(f"star:{cookie}") for node in nodes}) == 1, 15), "saved alike on all nodes"
    )
    visit("/leave", cookie, first)
    for port in ENCLAVE:
        true(until(lambda port=port: not redis.Redis(HOST, port).get(f"star:{cookie}"), 15), "no session on any node")
        same(visit("/who", cookie, port)[0], "nobody")


def still_in(path):
    """What the refusal leaves behind without the adapter: the old cookie logs in."""
    cookie = visit("/enter/ada")[1]
    raises(lambda: visit(path, cookie), "refused by design")
    same(visit("/who", cookie)[0], "ada")


def by_design(name, call, path, what):
    def run():
        if ADAPTED:
            call()
        else:
            still_in(path)
            raise Refused(what)

    check(name, run)


say("version", version("starsessions"))
check("session", kept)
by_design("logout", left, "/leave", "clearing the session raises, and the old cookie still logs in")
by_design("rotation", rotated, "/rotate", "letting go of the old session raises, and its cookie still logs in")
by_design("logout-everywhere", left_everywhere, "/leave", "as on one node")
say("done")
