"""huey's result store in the node: with expiry it is strings alone; the queue stays in memory."""

from importlib.metadata import version

from huey.storage import RedisExpireStorage
from telling import HOST, PORT, Refused, check, raises, same, say, true

store = RedisExpireStorage(name="matrix", host=HOST, port=PORT, expire_time=60)


def kept():
    store.put_data("task", b"result", is_result=True)
    same(
        [store.peek_data("task"), store.has_data_for_key("task"), store.has_data_for_key("other")],
        [b"result", True, False],
    )
    life = store.conn.ttl(store.result_key("task"))
    true(0 < life <= 60, "60 s", life)


def once():
    same([store.put_if_empty("lock", b"1"), store.put_if_empty("lock", b"2")], [True, False])


def taken():
    """This store lets results end by themselves instead of deleting them when they are read."""
    store.put_data("taken", b"result", is_result=True)
    same([store.pop_data("taken"), store.pop_data("other")], [b"result", store.peek_data("other")])


def queued():
    raises(lambda: store.enqueue(b"task"), "refused by design")
    raise Refused("the queue is a list")


say("version", version("huey"))
check("result", kept)
check("put-if-empty", once)
check("take", taken)
check("queue", queued)
say("done")
