"""A presence board: who beats is there, who stops is gone.

python examples/presence_board.py board
python examples/presence_board.py beat ada  # in other terminals; end each with Ctrl-C
"""
# ruff: noqa: T201

import argparse
import contextlib
import time

import redis

from respram.patterns import Heartbeat, Presence


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--port", type=int, default=6379)
    options.add_argument("--group", default="example")
    options.add_argument("--ttl", type=float, default=3.0, help="seconds of silence after which a member is gone")
    options.add_argument("role", choices=["board", "beat"])
    options.add_argument("name", nargs="?", default="somebody")
    args = options.parse_args()
    client = redis.Redis(port=args.port)
    with contextlib.suppress(KeyboardInterrupt):
        if args.role == "beat":
            member = Heartbeat(client, args.name, args.ttl, args.group)
            while True:
                member.beat()
                time.sleep(args.ttl / 4)
        board = Presence(client, args.group)
        board.enable_events()
        for change in board.changes(poll_s=min(1.0, args.ttl / 3)):
            print(f"{'+' if change.alive else '-'} {change.member} ({change.source})", flush=True)


if __name__ == "__main__":
    main()
