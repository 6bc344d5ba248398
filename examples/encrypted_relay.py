"""An encrypted relay between two terminals: what is typed into one appears in the other, and the node reads none of it.

    python examples/encrypted_relay.py secret  # prints a secret: pass it to the other side
    python examples/encrypted_relay.py receive SECRET            # in one terminal
    python examples/encrypted_relay.py send SECRET               # in the other: lines, until end of file

The stream's name is derived from the secret; each line is sealed and lives for --ttl seconds.
"""
# ruff: noqa: T201

import argparse
import contextlib
import sys

import redis

from respram.patterns import PatternError, Sealer, SecureRelay, StreamDecoder, StreamEncoder, TimedOut, new_secret


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--port", type=int, default=6379)
    options.add_argument("--ttl", type=float, default=60.0)
    options.add_argument("role", choices=["secret", "send", "receive"])
    options.add_argument("secret", nargs="?", default="")
    args = options.parse_args()
    if args.role == "secret":
        print(new_secret())
        return 0
    client = redis.Redis(port=args.port)
    try:
        sealer = Sealer(args.secret)
        name = SecureRelay(client, args.secret, slot="lines").key.decode()
        if args.role == "send":
            encoder = StreamEncoder(client, name, args.ttl, sealer=sealer)
            for line in sys.stdin:
                encoder.send(line.encode())
            encoder.close()
        else:
            receive(StreamDecoder(client, name, sealer=sealer))
    except PatternError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        client.close()
    return 0


def receive(decoder: "StreamDecoder[redis.Redis]") -> None:
    """Prints lines until the sender is at its end, however long it is silent in between."""
    while True:
        with contextlib.suppress(TimedOut):
            for line in decoder.messages(timeout_s=60):
                sys.stdout.write(line.decode(errors="replace"))
                sys.stdout.flush()
            return


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
