"""The network does to chunks what it was told to, and nothing else."""

from random import Random

from respram.sim.network import Connection, Faults, Network


def sent(faults: Faults, count: int = 2_000) -> tuple[Network, list[list[int]]]:
    network = Network(Random(1), faults)
    connection = Connection(((0, 1), (1, 1)))
    return network, [network.arrivals(connection, 0, 10, now_ms) for now_ms in range(count)]


def test_calm_is_in_order_and_complete() -> None:
    _, times = sent(Faults((1, 30)))
    flat = [one for at in times for one in at]
    assert len(flat) == 2_000 and flat == sorted(flat)


def test_faults_come_about_as_often_as_asked() -> None:
    network, times = sent(Faults((1, 30), 0.1, 0.2, 0.5))
    assert 150 < network.lost < 250 and network.lost == sum(not at for at in times)
    assert 300 < sum(len(at) == 2 for at in times) < 420
    flat = [at[0] for at in times if at]
    assert flat != sorted(flat)


def test_a_cut_is_one_way() -> None:
    network = Network(Random(1))
    network.cut = {(0, 1)}
    connection = Connection(((0, 1), (1, 1)))
    assert network.arrivals(connection, 0, 1, 0) == []
    assert len(network.arrivals(connection, 1, 1, 0)) == 1
