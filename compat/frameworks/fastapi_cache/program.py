"""A FastAPI application with a cached view, by fastapi-cache2."""

import itertools
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis
from telling import HOST, PORT, Refused, check, raises, same, say, true

calls = itertools.count(1)


@asynccontextmanager
async def life(app):
    FastAPICache.init(RedisBackend(Redis(host=HOST, port=PORT)), prefix="fastapi")
    yield


app = FastAPI(lifespan=life)


@app.get("/view")
@cache(expire=60)
async def view(word: str):
    return {"word": word, "call": next(calls)}


@app.get("/clear")
async def clear():
    return await FastAPICache.clear(namespace="")


def viewed(client):
    first = client.get("/view?word=a")
    same(
        [client.get("/view?word=a").json(), client.get("/view?word=b").json()["call"]],
        [first.json(), first.json()["call"] + 1],
    )
    true("max-age" in client.get("/view?word=a").headers["cache-control"], "max-age")


def cleared(client):
    raises(lambda: client.get("/clear"), "refused by design")
    raise Refused("clear deletes in a script: it raises, and the values stay")


say("version", version("fastapi-cache2"))
with TestClient(app) as client:
    check("cached-view", lambda: viewed(client))
    check("clear", lambda: cleared(client))
say("done")
