"""A worker pool that hands over work: jobs in a stream, claims that expire, results by dead drop.

    python examples/worker_pool.py --jobs 8 --workers 3

The first worker dies in its first job. Its claim expires, and another worker takes the job over. Run it in several
terminals with the same --pool to let the pools share the jobs.
"""
# ruff: noqa: T201

import argparse
import threading
import time
import uuid

import redis

from respram.patterns import DeadDrop, Dedup, StreamDecoder, StreamEncoder, StreamEnded, TimedOut

CLAIM_S = 0.5  # how long a dead worker's job waits for another
RESULT_S = 60.0


def work(client: redis.Redis, pool: str, name: str, dies: bool) -> None:
    claims = Dedup(client, pool, window_s=RESULT_S, running_s=CLAIM_S)
    jobs = StreamDecoder(client, f"jobs:{pool}")
    waiting: list[str] = []  # jobs that other workers held when we tried them: those workers may have died
    ended = False
    while not ended or waiting:
        try:
            job = waiting.pop(0) if ended else jobs.receive(timeout_s=5).decode()
        except (StreamEnded, TimedOut):
            ended = True
            continue

        def handle(job: str = job) -> None:
            time.sleep(0.02)  # stands for the work itself
            DeadDrop(client, pool, job, "result").leave(f"{job} by {name}".encode(), RESULT_S)

        # To die in the middle is to leave a claim behind that only time takes back.
        if dies and Dedup(client, pool, window_s=CLAIM_S).first(job):
            print(f"{name} dies with {job}", flush=True)
            return
        if not claims.process(job, handle).done and DeadDrop(client, pool, job, "result").look() is None:
            waiting.append(job)
            if ended:
                time.sleep(0.05)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--port", type=int, default=6379)
    options.add_argument("--jobs", type=int, default=8)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--pool", default=uuid.uuid4().hex[:8])
    args = options.parse_args()
    client = redis.Redis(port=args.port)
    jobs = [f"job-{number}" for number in range(args.jobs)]
    queue = StreamEncoder(client, f"jobs:{args.pool}", ttl_s=RESULT_S)
    for job in jobs:
        queue.send(job.encode())
    queue.close()
    workers = [
        threading.Thread(target=work, args=(client, args.pool, f"worker-{number}", number == 0))
        for number in range(args.workers)
    ]
    workers[0].start()
    workers[0].join()  # it must have died in the middle of a job before the others begin
    for worker in workers[1:]:
        worker.start()
    for job in jobs:
        print(DeadDrop(client, args.pool, job, "result").wait(timeout_s=30).decode(), flush=True)
    for worker in workers[1:]:
        worker.join()
    client.close()


if __name__ == "__main__":
    main()
