"""redis-py gives up a connection after 5 s by its own default, and then sends the command again.

On a busy machine a test would count an INCR twice, or fail for 5 s in which its node had no core. So where a test names
no bound, its client has that of every other wait.
"""

import inspect

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.connection

BOUNDS = frozenset({"socket_timeout", "socket_connect_timeout"})
MAKERS = (
    redis.Redis, redis.asyncio.Redis, redis.connection.AbstractConnection, redis.connection.UnixDomainSocketConnection,
    redis.asyncio.connection.AbstractConnection,
)  # fmt: skip


def give_patience(seconds: float) -> None:
    """Makes `seconds` the default bound of every client and connection that is made from now on."""
    for maker in MAKERS:
        init = inspect.unwrap(maker.__init__)
        given = [one for one in inspect.signature(init).parameters.values() if one.default is not one.empty]
        names = [one.name for one in given if one.kind is not one.KEYWORD_ONLY]
        pairs = zip(names, init.__defaults__ or (), strict=True)
        init.__defaults__ = tuple(seconds if name in BOUNDS and old is not None else old for name, old in pairs)
        if init.__kwdefaults__:
            init.__kwdefaults__ |= dict.fromkeys(BOUNDS & init.__kwdefaults__.keys(), seconds)
