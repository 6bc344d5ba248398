"""Settling: a claim is granted only after the other nodes hold it too. No key of a pattern may live here.

    others = Settle(nodes=2, clients=(client_of_node_2, client_of_node_3))
    CoordinationToken(client_of_node_1, "stage-2", settle=others).claim("worker-7")

Without settling the key's home alone grants a claim. While a node dies or is cut off, and with `--decide local`, two
nodes can both grant one in the milliseconds before they exchange records. With settling the claim is written, WAIT
confirms that `nodes` other nodes hold it, and then it is read again: on this node, and on those whose clients are
given. With a client of every node, two claims cannot both be granted: each claimant reads every node after all of them
merged its claim. If both were written, the later stamp wins on every node that has merged both, and the loser's read
finds it there. A claim that is tried after the merge is refused by the node itself. With `nodes` alone the claim is
read again on this node only, `pause_s` after the others acknowledged it. Their earlier writes have arrived by then,
unless a link lags by more. This is as reliable as the links are; with clients it is exact. Not promised: a grant while
a node is away. Then Unsettled is raised, and the claim is void.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

from respram.patterns.effects import AskAny, Command, Pause
from respram.patterns.errors import PatternError, Unsettled
from respram.patterns.steps import Steps, ask_all, ask_whole, ttl_ms

PAUSE_S = 0.02  # ten times the interval at which a node sends its writes, 2 ms
LETTING_GO_S = 0.001  # the shortest TTL: an overwrite with it lets go of the key


@dataclass(frozen=True, slots=True)
class Settle:
    nodes: int  # other nodes of the enclave that must hold the write
    timeout_s: float = 1.0
    clients: tuple[Any, ...] = ()  # one of each other node, of the same kind as the pattern's own
    pause_s: float = PAUSE_S

    def __post_init__(self) -> None:
        if self.nodes < 1 or len(self.clients) not in (0, self.nodes):
            raise ValueError("settle on one other node at least, and give a client of each of them or none")


def claimed(
    key: bytes, mine: bytes, ttl_s: float, settle: Settle | None, *more: Command
) -> Steps[tuple[bool, list[Any]]]:
    """Claims by SET NX: whether the claim is ours, and the replies to `more` of the same round trip. Raises Unsettled.

    The GET recognises our own claim when a client library sent the SET twice.
    """
    claim: tuple[Command, ...] = (("SET", key, mine, "NX", "PX", ttl_ms(ttl_s)), ("GET", key))
    wait: tuple[Command, ...] = ()
    if settle is not None:
        wait = (("WAIT", settle.nodes, max(1, round(settle.timeout_s * 1000))),)
    try:
        _, found, *replies = yield from ask_whole(*claim, *more, *wait)
    except GeneratorExit:
        raise
    except BaseException:
        # A caller that is cancelled or gets no answer does not know that it holds the key, so the key is released.
        with contextlib.suppress(PatternError):
            yield from let_go(key, mine)
        raise
    if settle is None:
        return found == mine, replies
    held = replies.pop()
    if found != mine:
        return False, replies
    if held < settle.nodes:
        yield from let_go(key, mine)
        raise Unsettled(
            f"{held} of {settle.nodes} other nodes took the claim within {settle.timeout_s} s; it was let go"
        )
    try:
        if (yield from stands(key, mine, settle)):
            return True, replies
    except (GeneratorExit, Unsettled):
        raise
    except BaseException:
        with contextlib.suppress(PatternError):
            yield from let_go(key, mine)
        raise
    # Our claim is released here, in case it still stands somewhere; another client's later claim is left alone.
    yield from let_go(key, mine)
    return False, replies


def stands(key: bytes, mine: bytes, settle: Settle) -> Steps[bool]:
    """Whether every node with a client holds exactly this value. Raises Unsettled when one does not answer."""
    yield Pause(settle.pause_s)
    (found,) = yield from ask_all(("GET", key))
    if found != mine or not settle.clients:
        return bool(found == mine)
    outcomes: list[Any] = yield AskAny((("GET", key),), settle.clients, lambda replies: replies[0] != mine)
    for outcome in outcomes:
        if isinstance(outcome, list) and outcome[0] != mine:
            return False
    if any(not isinstance(outcome, list) for outcome in outcomes):
        yield from let_go(key, mine)
        raise Unsettled("a node that was to be asked does not answer; the claim was let go")
    return True


def let_go(key: bytes, mine: bytes) -> Steps[bool]:
    """Frees the key if it is still ours, for the next claim through any node; False if it was not ours.

    A node treats an empty value that lives one millisecond as an immediate release.
    """
    (ours,) = yield from ask_whole(("SET", key, b"", "IFEQ", mine, "PX", ttl_ms(LETTING_GO_S)))
    return bool(ours)
