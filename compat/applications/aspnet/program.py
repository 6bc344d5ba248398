"""The commands that ASP.NET's RedisCache sends for a session (recorded from version 9), sent by redis-py."""

import redis
from telling import HOST, PORT, check, same, say

node = redis.Redis(HOST, PORT)
say("version", "9.0")


def sets():
    pipe = node.pipeline(transaction=True)
    pipe.execute_command("HSET", "session", "absexp", -1, "sldexp", 12000000000, "data", b"payload")
    pipe.execute_command("EXPIRE", "session", 1200)
    same(pipe.execute(), [3, True])


check("set", sets)
check(
    "get",
    lambda: same(
        node.execute_command("HMGET", "session", "absexp", "sldexp", "data"), [b"-1", b"12000000000", b"payload"]
    ),
)
check("refresh", lambda: same(bool(node.execute_command("EXPIRE", "session", 1200)), True))
check("remove", lambda: same(node.execute_command("DEL", "session"), 1))
check("removed", lambda: same(node.execute_command("HMGET", "session", "absexp", "sldexp"), [None, None]))
say("done")
