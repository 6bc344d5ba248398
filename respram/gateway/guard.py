"""Who may ask at all, before anything is read: the names a browser was told to use, where a page came from, and who
says so.

A page of somebody else's must not reach a store on loopback, neither by asking for it (CORS: its Origin is not ours)
nor by having its own name point here (DNS rebinding: its Host is a name that we do not have). So a Host has to be an
address, `localhost`, or a name of `--allow-host`; an Origin has to be that very host, or one of `--allow-origin`. A
browser that sends neither but says `Sec-Fetch-Site: cross-site` may open the page and nothing else.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from respram.gateway.target import Login, read_authorization

HEADERS_SEEN = frozenset({b"host", b"origin", b"authorization", b"sec-fetch-site", b"sec-fetch-dest"})
GUESSES_MAX = 5  # wrong passwords of one address within GUESS_S; further ones are refused without asking the node
GUESS_S = 10.0
HOSTS_MAX = 1_000  # cached host names that were found to be the gateway's own
ADDRESSES_MAX = 10_000  # addresses with failures that are remembered


class Denied(NamedTuple):
    status: int
    reason: str
    challenge: bool = False  # the response asks the client to log in


@dataclass(frozen=True, slots=True)
class Rules:
    hosts: frozenset[str] = frozenset()  # accepted host names besides addresses and localhost
    origins: frozenset[str] = frozenset()  # of pages that may call the API; "*": all
    anonymous: bool = True  # a client without a login gets the rights of the gateway's own user


class Guard:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._known: set[bytes] = set()  # host names that were checked and accepted

    def check(self, headers: dict[bytes, bytes], *, is_page: bool) -> Denied | None:
        host = headers.get(b"host")
        if host not in self._known and not self._learn(host):
            return Denied(421, "This name is not one of the gateway's: say --allow-host NAME where it is started.")
        origin = headers.get(b"origin")
        if origin is None and b"sec-fetch-site" not in headers:
            return None
        assert host is not None
        if origin is not None and not self.may_ask(origin, host):
            return Denied(
                403, "A page of another origin may not ask: say --allow-origin ORIGIN where the gateway is started."
            )
        foreign = headers.get(b"sec-fetch-site") == b"cross-site" and origin is None and not self.rules.origins
        if foreign and not (is_page and headers.get(b"sec-fetch-dest") == b"document"):
            return Denied(403, "A page of another site may not ask.")
        return None

    def may_ask(self, origin: bytes, host: bytes) -> bool:
        text = origin.decode("latin-1").lower()
        if "*" in self.rules.origins or text in self.rules.origins:
            return True
        own = host.decode("latin-1").lower()
        return text in (f"http://{own}", f"https://{own}")

    def _learn(self, host: bytes | None) -> bool:
        if host is None or not self._is_ours(host.decode("latin-1")):
            return False
        if len(self._known) < HOSTS_MAX:
            self._known.add(host)
        return True

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            _ = urlsplit(f"//{host}").port
        except ValueError:
            return False
        if name in self.rules.hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def login(self, headers: dict[bytes, bytes]) -> Login | Denied | None:
        value = headers.get(b"authorization")
        if value is None:
            return (
                None
                if self.rules.anonymous
                else Denied(401, "Say who you are: basic or bearer authorization of an ACL user.", True)
            )
        return read_authorization(value) or Denied(401, "This authorization is neither basic nor a bearer token.", True)

    # -- wrong passwords --------------------------------------------------------------------------
    def guessed(self, address: str, now_s: float) -> None:
        """Counts another wrong password from an address."""
        times = self._wrong.setdefault(address, [])
        times.append(now_s)
        del times[: -GUESSES_MAX - 1]
        self._wrong.move_to_end(address)
        while len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)

    def is_guessing(self, address: str, now_s: float) -> bool:
        times = self._wrong.get(address)
        return times is not None and len(times) >= GUESSES_MAX and now_s - times[-GUESSES_MAX] < GUESS_S
