"""A knock: with it a node that dials shows in its first packet that it knows the cluster's secret.

The first bytes of TLS (the ClientHello) show nothing. To find out who dials, the other side needs a handshake of about
a millisecond, and anybody can ask for thousands of them a second. So the name of the server that a ClientHello carries
in the clear (SNI) is a knock here: a time, a number drawn at random, and a MAC of both under a key that is derived from
the secret. It is checked in some microseconds, before there is a link or any TLS (door.py). It opens nothing: the
handshake proves who is there, as before. A knock decides only who has to wait.

    SNI = base32(time_ms[6] nonce[10] HMAC-SHA256(key, "respram knock" time_ms nonce)[:16]) ".peer.respram"

A knock counts once, and only while its time is within KNOCK_MS_MAX of this node's clock. So whoever records knocks
gains nothing from them at the node that has heard them.
"""

import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Sequence

KNOCK_MS_MAX = 10_000  # either way: clocks of peers may differ by 2 s, and a dial takes up to 5
KNOCKS_MAX = 4_096  # of them remembered; more than so many honest dials do not come within KNOCK_MS_MAX
SUFFIX = b".peer.respram"
TIME_BYTES, NONCE_BYTES, MAC_BYTES = 6, 10, 16
CHARS = (TIME_BYTES + NONCE_BYTES + MAC_BYTES) * 8 // 5 + 1
SPELLED = re.compile(rb"[a-z2-7]{%d}" % CHARS)


def make(key: bytes, now_ms: int, nonce: bytes) -> str:
    said = now_ms.to_bytes(TIME_BYTES, "big") + nonce
    return b32encode(said + _mac(key, said)).decode().rstrip("=").lower() + SUFFIX.decode()


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"respram knock" + said, "sha256")[:MAC_BYTES]


class Knocks:
    """What this node has heard, so that none counts twice."""

    def __init__(self) -> None:
        self.heard: dict[bytes, int] = {}  # what was said, to its time; oldest first

    def is_good(self, keys: Sequence[bytes], hello: bytes, now_ms: int) -> bool:
        """Whether the beginning of a TLS handshake has a knock that counts. It counts no more then."""
        end = hello.find(SUFFIX)
        label = hello[max(end - CHARS, 0) : max(end, 0)]
        if not SPELLED.fullmatch(label):
            return False
        whole = b32decode(label.upper() + b"=" * (-CHARS % 8))
        said, mac = whole[:-MAC_BYTES], whole[-MAC_BYTES:]
        time_ms = int.from_bytes(said[:TIME_BYTES], "big")
        if abs(time_ms - now_ms) > KNOCK_MS_MAX or said in self.heard:
            return False
        if not any(hmac.compare_digest(mac, _mac(key, said)) for key in keys):
            return False
        if len(self.heard) >= KNOCKS_MAX:
            self._forget(now_ms)
        self.heard[said] = time_ms
        return True

    def _forget(self, now_ms: int) -> None:
        """Those that do not count any more; if all still do, the one that came first."""
        kept = {said: time_ms for said, time_ms in self.heard.items() if abs(time_ms - now_ms) <= KNOCK_MS_MAX}
        if len(kept) == len(self.heard):
            del kept[next(iter(kept))]
        self.heard = kept
