"""A LangGraph graph whose node is cached, by LangGraph's own cache for Redis."""

import itertools
from importlib.metadata import version
from typing import TypedDict

import redis
from langgraph.cache.redis import RedisCache
from langgraph.graph import StateGraph
from langgraph.types import CachePolicy
from telling import HOST, PORT, Refused, check, same, say, true

calls = itertools.count(1)
node = redis.Redis(HOST, PORT)
cache = RedisCache(node)


class State(TypedDict):
    word: str
    call: int


def work(state: State) -> dict:
    return {"call": next(calls)}


builder = StateGraph(State)
builder.add_node("work", work, cache_policy=CachePolicy(ttl=60))
builder.set_entry_point("work")
builder.set_finish_point("work")
graph = builder.compile(cache=cache)


def cached():
    got = [graph.invoke({"word": word})["call"] for word in ("a", "a", "b", "a")]
    same(got, [1, 1, 2, 1])
    lives = [node.ttl(key) for key in node.keys("*")]
    true(lives and all(0 < one <= 60 for one in lives), "60 s for each", lives)


def several():
    keys = [(("space",), "one"), (("space",), "two")]
    cache.set({keys[0]: ({"a": 1}, 60)})
    same(cache.get(keys), {keys[0]: {"a": 1}})


def cleared():
    cache.clear([("space",)])
    same(cache.get([(("space",), "one")]), {(("space",), "one"): {"a": 1}})
    raise Refused("LangGraph itself hides the refusal of clear, and the values stay")


say("version", version("langgraph"))
check("cached-node", cached)
check("get-set", several)
check("clear", cleared)
say("done")
