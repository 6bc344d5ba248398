"""A Flask application whose sessions are kept by Flask-Session: `program.py MODULE_OF_SESSION`."""

import importlib
import importlib.metadata
import os
import sys

import flask
import redis
from telling import ENCLAVE, HOST, PORT, Refused, check, raises, same, say, true, until

sys.path.append(os.environ["RESPRAM_SOURCE"])
MODULE = sys.argv[1]
ADAPTED = MODULE.startswith("respram")
node = redis.Redis(HOST, PORT)


def application(node):
    app = flask.Flask("matrix")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=node, SESSION_KEY_PREFIX="flask:", TESTING=True)
    importlib.import_module(MODULE).Session(app)

    @app.get("/enter/<name>")
    def enter(name):
        flask.session["name"] = name
        return "in"

    @app.get("/rotate")
    def rotate():
        app.session_interface.regenerate(flask.session)
        return "rotated"

    @app.get("/leave")
    def leave():
        flask.session.clear()
        return "out"

    @app.get("/who")
    def who():
        return flask.session.get("name", "nobody")

    return app


APP = application(node)


def who(cookie, app=APP):
    client = app.test_client()
    client.set_cookie("session", cookie)
    return client.get("/who").text


def entered(app=APP):
    client = app.test_client()
    client.get("/enter/ada")
    return client, client.get_cookie("session").value


def kept():
    client, cookie = entered()
    same([client.get("/who").text, who(cookie), who("made-up")], ["ada", "ada", "nobody"])
    true(node.ttl(f"flask:{cookie}") > 86_400, "a month", node.ttl(f"flask:{cookie}"))


def left():
    client, cookie = entered()
    same(client.get("/leave").text, "out")
    same([client.get("/who").text, who(cookie)], ["nobody", "nobody"])


def left_everywhere():
    """A site that runs once at each node of an enclave: a logout at one is a logout at all."""
    apps = [application(redis.Redis(HOST, port)) for port in ENCLAVE]
    client, cookie = entered(apps[0])
    for app in apps:
        true(until(lambda app=app: who(cookie, app) == "ada", 15), "the session on every node")
    # Each request saves the session that it read. One that is still on its way, or comes while the logout is, would
    # write it again.
    nodes = [redis.Redis(HOST, port) for port in ENCLAVE]
    true(
        until(lambda: len({node.pexpiretime(f"flask:{cookie}") for node in nodes}) == 1, 15), "saved alike on all nodes"
    )
    same(client.get("/leave").text, "out")
    for port, app in zip(ENCLAVE, apps, strict=True):
        true(until(lambda port=port: not redis.Redis(HOST, port).get(f"flask:{cookie}"), 15), "no session on any node")
        same(who(cookie, app), "nobody")


def rotated():
    client, cookie = entered()
    same(client.get("/rotate").text, "rotated")
    true(client.get_cookie("session").value != cookie, "a new cookie")
    same([client.get("/who").text, who(cookie)], ["ada", "nobody"])


def still_in(path):
    """What the refusal leaves behind without the adapter: the old cookie logs in."""
    client, cookie = entered()
    raises(lambda: client.get(path), "refused by design")
    same(who(cookie), "ada")


def by_design(name, call, path, what):
    def run():
        if ADAPTED:
            call()
        else:
            still_in(path)
            raise Refused(what)

    check(name, run)


say("version", importlib.metadata.version("Flask-Session"))
check("session", kept)
by_design("logout", left, "/leave", "clearing the session raises, and the old cookie still logs in")
by_design("rotation", rotated, "/rotate", "regenerating raises, and the old cookie still logs in")
by_design("logout-everywhere", left_everywhere, "/leave", "as on one node")
say("done")
