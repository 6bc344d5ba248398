"""How a Python program says what came of a check: the lines of `compat/verdict.py`, and where the nodes are."""

import asyncio
import os
import sys
import time

HOST = os.environ["RESPRAM_HOST"]
PORT = int(os.environ["RESPRAM_PORT"])
SOCKET = os.environ.get("RESPRAM_SOCKET", "")  # "": the node is reached by its port
AUTH_PORT = int(os.environ["RESPRAM_AUTH_PORT"])
PASSWORD = os.environ["RESPRAM_PASSWORD"]
TLS_PORT = int(os.environ["RESPRAM_TLS_PORT"] or 0)
TLS_CA = os.environ["RESPRAM_TLS_CA"]
ENCLAVE = [int(port) for port in os.environ["RESPRAM_ENCLAVE"].split(",") if port]


class Difference(Exception):
    """What was expected, and what came."""


class Left(Exception):
    """This client has no such thing; the reason."""


class Refused(Exception):
    """Refused by design, and reported as such; the reason."""


def say(*words):
    print(*(" ".join(str(word).split()) for word in words), flush=True)


def same(got, expected):
    if got != expected:
        raise Difference(f"expected={shown(expected)} got={shown(got)}")


def true(fact, expected, got=False):
    if not fact:
        raise Difference(f"expected={expected} got={shown(got)}")


def shown(value):
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."


def raises(call, words):
    """The error that the call raises, which must hold these words."""
    try:
        got = call()
    except Exception as error:
        true(words in str(error), words, error)
        return error
    raise Difference(f"expected=an error with {words!r} got={shown(got)}")


async def raises_soon(awaitable, words):
    try:
        got = await awaitable
    except Exception as error:
        true(words in str(error), words, error)
        return error
    raise Difference(f"expected=an error with {words!r} got={shown(got)}")


def told(name, error):
    if error is None:
        say("ok", name)
    elif isinstance(error, Left):
        say("skip", name, error)
    elif isinstance(error, Refused):
        say("limit", name, error)
    elif isinstance(error, Difference):
        say("fail", name, error)
    else:
        say("fail", name, f"expected=no error got={type(error).__name__}: {shown(str(error))}")


def check(name, call):
    error = None
    try:
        call()
    except Exception as caught:
        error = caught
    told(name, error)


async def check_soon(name, call, seconds=20):
    error = None
    try:
        await asyncio.wait_for(call(), seconds)
    except Exception as caught:
        error = caught
    told(name, error)


def restart():
    """The node ends and starts again; returns when it answers."""
    say("restart")
    if sys.stdin.readline().strip() != "restarted":
        raise Difference("expected=a new node got=nothing")


def until(call, seconds=5.0):
    """Asks again until the answer is true."""
    end = time.monotonic() + seconds
    while not (got := call()) and time.monotonic() < end:
        time.sleep(0.01)
    return got


def in_ms(ms):
    return int(time.time() * 1000) + ms
