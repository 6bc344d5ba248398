"""huey with its results, locks and expiring keys in the node; its queue is a list."""

from importlib.metadata import version

from huey import RedisExpireHuey
from telling import HOST, PORT, check, same, say

huey = RedisExpireHuey("site", host=HOST, port=PORT, expire_time=600, blocking=False)


@huey.task()
def add(left, right):
    return left + right


say("version", version("huey"))


def works():
    result = add(2, 3)
    huey.execute(huey.dequeue())
    same(result.get(), 5)


def locks():
    with huey.lock_task("once"):
        same(huey.is_locked("once"), True)
    same(huey.is_locked("once"), False)


check("task", works)
check("put-and-get", lambda: (huey.put("k", "v"), same(huey.get("k"), "v")))
check("delete", lambda: same(huey.storage.delete_data("k"), True))
check("lock", locks)
say("done")
