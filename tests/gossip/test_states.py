"""The states have names that operators read."""

from respram.gossip import states

from .rig import Bench


def test_a_node_without_roots_goes_from_joining_to_ready_and_says_so_in_the_book() -> None:
    bench = Bench(roots=[b"root:7000"])
    assert bench.core.state == states.JOINING == "joining" and not bench.core.me.ready
    bench.wait(4_000)
    assert bench.core.state == states.ALONE == "alone" and not bench.core.me.ready
    bench.wait(27_000)
    assert bench.core.state == states.READY == "ready" and bench.core.me.ready
    assert states.ISOLATED == "isolated" and {states.ISOLATED, states.READY}.isdisjoint(states.DOUBTFUL)
