"""Throttles password guessing: after some failures an address has to wait before it may try again.

One password of an address is looked at per slot, and the distance of the slots doubles with each failure up
to a bound. Waiting is a suspension of the connection, so that it costs the node nothing. It comes *before* the
password is looked at: a guesser who only waited longer for bad answers would hang up and try the next one. A
success does not clear the count, or whoever has one account could guess others between two logins.
Clients that share an address with a guesser wait as well: that is the price, which the bounds keep small.
"""

from ipaddress import ip_address, ip_network

from respram.commands.node import Conn, Suspend
from respram.commands.stats import Guesser
from respram.errors import ClientError

FREE_FAILURES = 5  # failures without a delay: typing errors, and a pool with an old password
DELAY_MS_FIRST = 50
DELAY_MS_MAX = 2_000  # at most 43,200 guesses a day and address
WAIT_MS_MAX = 10_000  # the longest wait for a slot; beyond it the client gets an error, and no password is checked
FORGET_MS = 600_000  # since the last failure
ADDRESSES_MAX = 10_000  # remembered addresses; when full, the one that failed longest ago is forgotten
IPV6_PREFIX = 64  # bits that are throttled together: the owner of one address owns the whole prefix


def delay_ms(failures: int) -> int:
    beyond = failures - FREE_FAILURES
    return 0 if beyond < 0 else min(DELAY_MS_FIRST << min(beyond, 16), DELAY_MS_MAX)


def wait_for_slot(conn: Conn) -> bool:
    """Returns when this connection may have a password looked at; suspends or refuses it before.

    True: it waited, and counts as a failure already, or twenty at once would wait for twenty slots as close
    together as the first two. A client that hangs up while waiting has failed as well.
    """
    guesser = conn.node.guessers.get(origin(conn.address))
    if guesser is None or conn.now_ms - guesser.failed_ms > FORGET_MS or guesser.failures < FREE_FAILURES:
        conn.guess_slot_ms = 0
        return False
    if not conn.guess_slot_ms:
        slot_ms = max(conn.now_ms, guesser.free_at_ms)
        wait_ms = slot_ms - conn.now_ms
        if wait_ms > WAIT_MS_MAX or (wait_ms and conn.executing):
            raise ClientError(
                b"ERR too many failed authentications from this address; try again in %d seconds"
                % (wait_ms // 1000 + 1)
            )
        guesser.failures += 1
        guesser.failed_ms = conn.now_ms
        guesser.free_at_ms = slot_ms + delay_ms(guesser.failures)
        conn.guess_slot_ms = slot_ms
    if conn.guess_slot_ms > conn.now_ms:
        raise Suspend(conn.guess_slot_ms)
    conn.guess_slot_ms = 0
    return True


def note_success(conn: Conn) -> None:
    """The password of a connection that waited was right, so its try no longer counts as a failure."""
    guesser = conn.node.guessers.get(origin(conn.address))
    if guesser is not None:
        guesser.failures = max(guesser.failures - 1, FREE_FAILURES)


def note_failure(conn: Conn, *, waited: bool = False) -> None:
    node, place = conn.node, origin(conn.address)
    guesser = node.guessers.pop(place, None)
    if guesser is None or conn.now_ms - guesser.failed_ms > FORGET_MS:
        guesser = Guesser()
    guesser.failures += not waited
    guesser.failed_ms = conn.now_ms
    guesser.free_at_ms = max(guesser.free_at_ms, conn.now_ms + delay_ms(guesser.failures))
    node.guessers[place] = guesser  # moved to the end: the first entry failed longest ago
    if len(node.guessers) > ADDRESSES_MAX:
        del node.guessers[next(iter(node.guessers))]
    if guesser.failures == FREE_FAILURES and not waited:
        node.log(
            f"event=auth_guessing address={place.decode()} failures={guesser.failures}: its next attempts are delayed"
        )


def origin(address: bytes) -> bytes:
    """The unit that is throttled for a client at `ip:port` or `[ip]:port`: an IPv4 address, or a whole IPv6 network."""
    host = address.rpartition(b":")[0].strip(b"[]").decode("ascii", "replace").partition("%")[0]
    try:
        parsed = ip_address(host)
    except ValueError:
        return host.encode()
    if parsed.version == 4:
        return host.encode()
    return str(ip_network((parsed, IPV6_PREFIX), strict=False)).encode()
