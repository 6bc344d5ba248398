"""A consumer that handles each event once, however often and to however many consumers it is delivered.

    printf '1 pay\\n2 ship\\n1 pay\\n' | python examples/dedup_consumer.py

Each line is an event: its id, a blank, and the rest. An event named "fail" fails once, and is handled when it comes
again.
"""
# ruff: noqa: T201

import argparse
import sys

import redis

from respram.patterns import Dedup


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--port", type=int, default=6379)
    options.add_argument("--topic", default="example")
    options.add_argument("--window", type=float, default=60.0, help="seconds within which an event counts as handled")
    args = options.parse_args()
    client = redis.Redis(port=args.port)
    dedup = Dedup(client, args.topic, window_s=args.window)
    failed: set[str] = set()

    def handle(event_id: str, payload: str) -> None:
        if payload == "fail" and event_id not in failed:
            failed.add(event_id)
            raise RuntimeError("this event fails the first time")
        print(f"handled {event_id} {payload}", flush=True)

    for line in sys.stdin:
        event_id, _, payload = line.strip().partition(" ")
        if not event_id:
            continue
        try:
            if not dedup.process(event_id, handle, event_id, payload).done:
                print(f"skipped {event_id}", flush=True)
        except RuntimeError as error:
            print(f"failed {event_id}: {error}", flush=True)
    client.close()


if __name__ == "__main__":
    main()
