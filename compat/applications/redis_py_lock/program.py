"""redis-py's Lock as its users hold it: taken, contested, extended, renewed, given back, lost, and free when its time
is up.
"""

import time
from importlib.metadata import version

import redis
from telling import HOST, PORT, check, same, say, true

one, other = redis.Redis(HOST, PORT), redis.Redis(HOST, PORT)
say("version", version("redis"))
mine = one.lock("job", timeout=30)
theirs = other.lock("job", timeout=30)

check("acquire", lambda: same(mine.acquire(blocking=False), True))
check("contested", lambda: same(theirs.acquire(blocking=False), False))
check("owned", lambda: same((mine.owned(), theirs.owned(), mine.locked()), (True, False, True)))
check("extend", lambda: same(mine.extend(60), True))
check("extended", lambda: true(60 < one.ttl("job") <= 90, "a ttl of 90 s"))
check("reacquire", lambda: same(mine.reacquire(), True))


def not_mine():
    theirs.local.token = b"not-the-owner"
    try:
        theirs.release()
    except redis.exceptions.LockNotOwnedError:
        theirs.local.token = None
        return
    true(False, "LockNotOwnedError")


check("release-of-another-is-refused", not_mine)
check("release", lambda: mine.release())
check("free-at-once", lambda: same(one.exists("job"), 0))
check("taken-by-the-other", lambda: same(theirs.acquire(blocking=False), True))
check("released-by-the-other", lambda: theirs.release())


def waits():
    brief = one.lock("brief", timeout=0.3)
    same(brief.acquire(), True)
    began = time.monotonic()
    same(other.lock("brief", timeout=5, sleep=0.02).acquire(blocking_timeout=5), True)
    true(time.monotonic() - began < 4, "the lock once its time is up")


def within():
    with one.lock("with", timeout=10):
        same(other.exists("with"), 1)
    same(other.exists("with"), 0)


check("free-when-its-time-is-up", waits)
check("with-statement", within)
say("done")
