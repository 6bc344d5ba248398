"""Bounds that only make sense together."""

from dataclasses import fields

from respram.gossip.policy import Policy, Terms


def test_every_bound_is_positive_and_they_fit_together() -> None:
    policy = Policy()
    for one in fields(policy):
        value = getattr(policy, one.name)
        may_be_none = one.name in ("ids_mark", "enclave_size")
        assert may_be_none or (value if isinstance(value, bytes | Terms) else value > 0), one.name
    assert (
        policy.dump_bytes
        < policy.dump_in_flight_bytes_max
        < policy.sync_in_flight_bytes_max
        < policy.in_flight_bytes_max
    )
    assert policy.in_flight_bytes_max < policy.queue_bytes_max
    assert policy.ack_delay_ms < policy.resend_ms
    assert policy.stopped_ms <= policy.indirect_patience_ms  # nobody is suspected sooner
    assert policy.doubt_ms <= policy.forward_ms  # clients wait for it, and would else be told to come again
    assert policy.round_ms_least < policy.round_ms < policy.round_ms_max
    assert policy.pull_ms <= policy.pull_ms_max < policy.absent_ms
    assert policy.filter_part_bytes * policy.filter_parts_max > 6 << 20  # the largest filter: 4M records
