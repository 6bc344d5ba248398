"""Celery's results in the node (its broker is in memory): fetched, forgotten, of a group, and a chord's callback."""

from importlib.metadata import version

from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker
from telling import HOST, PORT, check, same, say

app = Celery("site", broker="memory://", backend=f"redis://{HOST}:{PORT}/0")
app.conf.update(result_expires=600, task_always_eager=False, broker_connection_retry_on_startup=True)


@app.task(name="add")
def add(left, right):
    return left + right


@app.task(name="total")
def total(numbers):
    return sum(numbers)


app.loader.import_default_modules()
say("version", version("celery"))
with start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR"):
    kept = add.delay(2, 3)
    check("result", lambda: same(kept.get(timeout=10), 5))
    check("result-by-its-id", lambda: same(app.AsyncResult(kept.id).result, 5))
    check("forget", lambda: kept.forget())
    check("forgotten", lambda: same(app.AsyncResult(kept.id).state, "PENDING"))
    check("group", lambda: same(group(add.s(n, n) for n in range(4)).apply_async().get(timeout=10), [0, 2, 4, 6]))
    check("chord", lambda: same(chord((add.s(n, n) for n in range(4)), total.s()).apply_async().get(timeout=10), 12))
say("done")
