"""The table of parameters: every one reads, and every one that writes takes what it shows."""

import pytest

from respram.commands.parameters import PARAMETERS, Parameter, Refused, draft_of, memory, number
from respram.config.limits import configurable
from respram.config.options import OPTIONS, Option

from .rig import Rig


def test_every_limit_with_an_option_is_a_parameter() -> None:
    options = {name.encode() for name in configurable()}
    assert options and options <= PARAMETERS.keys()


def test_what_a_node_started_with_among_its_peers_is_shown_and_stays(rig: Rig) -> None:
    shown = {
        name: PARAMETERS[name].read(rig.node)
        for name in (b"tree-leaves", b"peer-queue-limit", b"join", b"network", b"tree-root")
    }
    assert shown == {
        b"tree-leaves": b"25",
        b"peer-queue-limit": b"16777216",
        b"join": b"",
        b"network": b"respram",
        b"tree-root": b"auto",
    }
    assert all(PARAMETERS[name].write is None for name in shown)


def test_what_a_parameter_shows_can_be_set_again_and_changes_nothing(rig: Rig) -> None:
    written = 0
    for name, parameter in PARAMETERS.items():
        shown = parameter.read(rig.node)
        if parameter.write is None or name == b"client-output-buffer-limit":
            continue
        draft = draft_of(rig.node)
        parameter.write(rig.node, draft, shown)
        assert draft == draft_of(rig.node), name
        written += 1
    assert written > 20


def test_a_parameter_takes_what_its_flag_takes_and_no_more(rig: Rig) -> None:
    flags = {option.name.encode(): option for option in OPTIONS}
    tried = 0
    for name, parameter in PARAMETERS.items():
        if name not in flags or parameter.write is None or name == b"maxclients":  # at most what the node began with
            continue
        if flags[name].unit not in ("count", "seconds", "microseconds"):
            continue
        for text in (b"-2", b"-1", b"0", b"1", b"315360000", b"315360001", b"3600000001", b"99999999999"):
            assert _takes(flags[name], text) == _writes(rig, parameter, text), (name, text)
            tried += 1
    assert tried > 50


def _takes(option: Option, text: bytes) -> bool:
    try:
        option.read(text.decode())
    except ValueError:
        return False
    return True


def _writes(rig: Rig, parameter: Parameter, text: bytes) -> bool:
    assert parameter.write is not None
    try:
        parameter.write(rig.node, draft_of(rig.node), text)
    except Refused:
        return False
    return True


def test_every_writable_parameter_refuses_nonsense(rig: Rig) -> None:
    free = {b"requirepass"}  # any text is a password
    for name, parameter in PARAMETERS.items():
        if parameter.write is None or name in free:
            continue
        for text in (b"no\0nsense", b"-7", b"1e3", b" 1", b"9" * 50):
            draft = draft_of(rig.node)
            with pytest.raises(Refused):
                parameter.write(rig.node, draft, text)
            assert draft == draft_of(rig.node), (name, text)


@pytest.mark.parametrize(
    ("text", "size"),
    [(b"0", 0), (b"1b", 1), (b"1k", 1000), (b"1KB", 1024), (b"2m", 2_000_000), (b"2Mb", 2 << 20), (b"3g", 3 * 10**9),
     (b"3gb", 3 << 30)],
)  # fmt: skip
def test_units_of_memory_are_those_of_redis(text: bytes, size: int) -> None:
    assert memory(text, 0, 1 << 40) == size


@pytest.mark.parametrize("text", [b"", b"mb", b"1 mb", b"-1", b"1tb", b"1.5mb", b"0x10"])
def test_what_is_no_size_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="memory value"):
        memory(text, 0, 1 << 40)


def test_bounds_are_inclusive() -> None:
    assert number(b"1", 1, 3) == 1 and number(b"3", 1, 3) == 3
    for text in (b"0", b"4", b"-1", b"9223372036854775807"):
        with pytest.raises(Refused, match="between 1 and 3 inclusive"):
            number(text, 1, 3)
    with pytest.raises(Refused, match="couldn't be parsed into an integer"):
        number(b"99999999999999999999", 1, 3)


def test_the_output_limits_of_both_classes_are_set_at_once(rig: Rig) -> None:
    parameter = PARAMETERS[b"client-output-buffer-limit"]
    assert parameter.write is not None
    draft = draft_of(rig.node)
    parameter.write(rig.node, draft, b"normal 100mb 1mb 9 pubsub 2mb 1mb 9 replica 0 0 0")
    limits = draft.limits
    assert (limits.output_buffer_bytes_max, limits.output_soft_bytes_max, limits.output_soft_s) == (
        100 << 20,
        1 << 20,
        9,
    )
    assert (limits.pubsub_output_bytes_max, limits.pubsub_output_soft_bytes_max) == (2 << 20, 1 << 20)
    for text in (b"normal 0 0 0", b"normal 1mb", b"master 1 1 1", b""):
        with pytest.raises(Refused):
            parameter.write(rig.node, draft_of(rig.node), text)
