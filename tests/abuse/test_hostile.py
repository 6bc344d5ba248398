"""What a member of the enclave could say: well-formed, hostile messages in their thousands.
`fuzz_peers.py` is the long form.
"""

import random
import time
from collections import Counter

from respram.wire.codec import LAYOUTS, encode
from respram.wire.frames import Frames
from tests.abuse.fuzz_peers import fuzz
from tests.abuse.hostile import Hostile
from tests.live import SOON_S
from tests.peers.enclave import PATIENT, enclave

MESSAGES = 4_000
PIECES_MIN = 400  # by however slow a machine


def test_a_member_that_says_whatever_can_be_said_costs_nobody_but_itself() -> None:
    seed = random.randrange(1 << 32)
    with enclave(2, "--maxmemory", "32mb", *PATIENT, secret="") as members:
        outcome = fuzz(members, MESSAGES, time.monotonic() + SOON_S, seed)
    assert outcome.messages >= PIECES_MIN and outcome.links > 5, (seed, outcome)


def test_every_message_of_the_table_is_made_and_can_be_read() -> None:
    hostile = Hostile(1, lambda: 1_795_000_000_000, {5: b"127.0.0.1:1", 6: b"127.0.0.1:2"})
    seen: Counter[bytes] = Counter()
    frames = Frames(1 << 24)
    assert list(frames.push(encode(hostile.begin())))  # behind it frames may be long
    for _ in range(3_000):
        message = hostile.message()
        (again,) = frames.push(encode(message))
        assert again == message
        seen[message.word] += 1
    assert set(seen) == set(LAYOUTS)
