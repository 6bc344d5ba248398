"""throttled-py with its store in the node: each of its algorithms, used as its page shows."""

from importlib.metadata import version

from telling import HOST, PORT, Difference, Refused, check, same, say
from throttled import RateLimiterType, Throttled, rate_limiter, store

node = store.RedisStore(server=f"redis://{HOST}:{PORT}/0")


def limited(kind):
    def run():
        throttle = Throttled(using=kind, quota=rate_limiter.per_min(3, burst=3), store=node)
        try:
            got = [throttle.limit("ada").limited for _ in range(5)]
        except Exception as error:
            if type(error).__name__ != "StoreUnavailableError":
                raise
            raise Refused("its script keeps a hash, a list or a set: it raises StoreUnavailableError") from None
        same(got, [False, False, False, True, True])

    return run


say("version", version("throttled-py"))
kinds = RateLimiterType.choice()
if not kinds:
    raise Difference("expected=algorithms got=none")
for kind in kinds:
    check(kind.replace("_", "-"), limited(kind))
say("done")
