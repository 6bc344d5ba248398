"""A Celery worker and its callers in one process; tasks travel in memory, results through the node."""

import celery
from celery import chord, group
from celery.contrib.testing.worker import start_worker
from telling import HOST, PORT, Refused, check, raises, same, say, true

app = celery.Celery("matrix", broker="memory://", backend=f"redis://{HOST}:{PORT}/0")
app.conf.update(result_expires=60, task_track_started=True, broker_connection_retry_on_startup=False)


@app.task
def add(left, right):
    return left + right


@app.task
def fail():
    raise ValueError("as asked")


@app.task
def total(numbers):
    return sum(numbers)


def one():
    result = add.delay(2, 3)
    same([result.get(timeout=10), result.status], [5, "SUCCESS"])
    life = app.backend.client.ttl(app.backend.get_key_for_task(result.id))
    true(0 < life <= 60, "60 s", life)


def failed():
    result = fail.delay()
    raises(lambda: result.get(timeout=10), "as asked")
    same(result.status, "FAILURE")


def many():
    same(
        group(add.s(number, number) for number in range(20)).apply_async().get(timeout=20),
        [2 * number for number in range(20)],
    )


def stored():
    result = group(add.s(1, 1), add.s(2, 2)).apply_async()
    result.save()
    same(celery.result.GroupResult.restore(result.id, app=app).get(timeout=10), [2, 4])


def forgotten():
    result = add.delay(1, 1)
    result.get(timeout=10)
    raises(result.forget, "refused by design")
    raise Refused("forget raises; the result leaves after result_expires")


def chorded():
    """A chord counts its parts in a list or sorted set, which there is not."""
    raises(lambda: chord([add.s(1, 1), add.s(2, 2)])(total.s()).get(timeout=8), "refused by design")
    raise Refused("a chord keeps its parts in a sorted set and deletes it: it raises")


say("version", celery.__version__)
with start_worker(
    app, perform_ping_check=False, pool="threads", concurrency=2, loglevel="critical", shutdown_timeout=10
):
    check("result", one)
    check("failure", failed)
    check("group", many)
    check("group-saved", stored)
    check("forget", forgotten)
    check("chord", chorded)
say("done")
