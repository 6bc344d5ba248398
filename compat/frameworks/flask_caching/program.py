"""A Flask application with a cached view and a memoized function: `program.py CACHE_TYPE`."""

import importlib.metadata
import itertools
import os
import sys

import flask
from flask_caching import Cache
from telling import HOST, PORT, Refused, check, raises, same, say

sys.path.append(os.environ["RESPRAM_SOURCE"])
ADAPTED = sys.argv[1].startswith("respram")
calls = itertools.count(1)
app = flask.Flask("matrix")
cache = Cache(
    app,
    config={"CACHE_TYPE": sys.argv[1], "CACHE_REDIS_HOST": HOST, "CACHE_REDIS_PORT": PORT, "CACHE_KEY_PREFIX": "fc:"},
)


@app.get("/view")
@cache.cached(timeout=60)
def view():
    return str(next(calls))


@cache.memoize(60)
def doubled(number):
    return number * 2, next(calls)


def stored():
    same(
        [cache.set("a", {"b": 1}, timeout=60), cache.get("a"), cache.get("missing"), cache.has("a")],
        [True, {"b": 1}, None, True],
    )
    same([bool(cache.add("a", 2)), bool(cache.add("new", 2)), cache.get("new")], [False, True, 2])
    same([bool(cache.set_many({"x": 1, "y": 2}, timeout=60)), cache.get_many("x", "y", "z")], [True, [1, 2, None]])


def viewed():
    client = app.test_client()
    same(client.get("/view").text, client.get("/view").text)


def memoized():
    same([doubled(2) == doubled(2), doubled(2) == doubled(3)], [True, False])


def forgotten():
    before = doubled(5)
    cache.delete_memoized(doubled)
    same([doubled(5)[0], doubled(5) != before], [10, True])


def deleted():
    if ADAPTED:
        same([bool(cache.delete("a")), cache.get("a"), bool(cache.add("a", 2)), cache.get("a")], [True, None, True, 2])
        cache.set("b", 1)
        same([bool(cache.delete_many("a", "b")), cache.get_many("a", "b")], [True, [None, None]])
        cache.set("c", 1)
        same([bool(cache.clear()), cache.get("c")], [True, None])
        return
    raises(lambda: cache.delete("a"), "refused by design")
    raises(cache.clear, "refused by design")
    same(cache.get("a"), {"b": 1})
    raise Refused("delete and clear raise, and the values stay")


with app.app_context():
    say("version", importlib.metadata.version("Flask-Caching"))
    check("get-set", stored)
    check("cached-view", viewed)
    check("memoize", memoized)
    check("delete-memoized", forgotten)
    check("delete", deleted)
    say("done")
