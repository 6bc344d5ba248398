"""BF.*: filters whose items end with their generation, and whose lanes several nodes put together."""

from itertools import pairwise

import pytest
from pybloom_live import BloomFilter

from respram.commands import windows
from respram.commands.windows import Facts
from respram.engine.scores import with_score

from ..engine.conftest import ENGINES
from .rig import NOW, OK, Client, Rig

HOUR = 3_600_000


def numbers(reply: bytes) -> list[int]:
    return [int(line[1:]) for line in reply.split(b"\r\n")[1:-1]]


def words(start: int, stop: int) -> list[bytes]:
    return [b"item:%d" % number for number in range(start, stop)]


def test_an_item_is_new_once(client: Client) -> None:
    assert client(b"BF.ADD", b"f", b"a") == b":1\r\n" and client(b"BF.ADD", b"f", b"a") == b":0\r\n"
    assert client(b"BF.MADD", b"f", b"a", b"b", b"b", b"c") == b"*4\r\n:0\r\n:1\r\n:0\r\n:1\r\n"
    assert client(b"BF.EXISTS", b"f", b"b") == b":1\r\n" and client(b"BF.EXISTS", b"f", b"x") == b":0\r\n"
    assert client(b"BF.MEXISTS", b"f", b"a", b"x", b"c") == b"*3\r\n:1\r\n:0\r\n:1\r\n"
    assert client(b"BF.CARD", b"f") == b":3\r\n"
    assert (
        client(b"BF.MEXISTS", b"no", b"a", b"b") == b"*2\r\n:0\r\n:0\r\n" and client(b"BF.CARD", b"no") == b":0\r\n"
    )


def test_in_resp3_the_answers_are_booleans_as_in_redisbloom(client: Client) -> None:
    client(b"HELLO", b"3")
    assert (
        client(b"BF.ADD", b"f", b"a") == b"#t\r\n" and client(b"BF.MADD", b"f", b"a", b"b") == b"*2\r\n#f\r\n#t\r\n"
    )
    assert client(b"BF.EXISTS", b"f", b"a") == b"#t\r\n" and client(b"BF.MEXISTS", b"f", b"x") == b"*1\r\n#f\r\n"
    assert client(b"BF.INFO", b"f", b"CAPACITY") == b"%1\r\n+Capacity\r\n:100\r\n"
    assert client(b"BF.INFO", b"f").startswith(b"%5\r\n+Capacity\r\n:100\r\n+Size\r\n")


def test_a_filter_tells_what_it_is_made_of(client: Client) -> None:
    assert client(b"BF.RESERVE", b"f", b"0.001", b"5000", b"NONSCALING") == OK
    assert client(b"BF.INFO", b"f", b"items") == b"*1\r\n:0\r\n" == client(b"BF.INFO", b"f", b"SIZE")
    client(b"BF.MADD", b"f", *words(0, 1000))
    fields = client(b"BF.INFO", b"f").split(b"\r\n")[1:-1]
    facts = dict(zip(fields[::2], fields[1::2], strict=False))
    assert facts[b"+Capacity"] == b":5000" and facts[b"+Number of filters"] == b":1"
    assert facts[b"+Number of items inserted"] == b":1000" == client(b"BF.CARD", b"f")[:-2]
    assert fields[8:] == [b"+Expansion rate", b"$-1"]
    link = Facts(0.001, 5000, 0, 2, HOUR).link(0)
    assert facts[b"+Size"] == b":%d" % (link.parts * link.part_bytes) and link.parts == 10
    assert (
        client(b"BF.INFO", b"no") == b"-ERR not found\r\n"
        and client(b"BF.INFO", b"f", b"x") == b"-ERR Invalid information value\r\n"
    )


# -- generations -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("generations", "window_s"), [(2, 60), (3, 60), (5, 60)])
def test_an_item_is_remembered_for_its_window_and_at_most_one_span_longer(
    client: Client, generations: int, window_s: int
) -> None:
    span_ms = -(-window_s * 1000 // (generations - 1))
    assert (
        client(b"BF.RESERVE", b"f", b"0.01", b"1000", b"EX", b"%d" % window_s, b"GENERATIONS", b"%d" % generations)
        == OK
    )
    for step in range(4):
        item = b"item:%d" % step
        added_ms = client.rig.now_ms
        assert client(b"BF.ADD", b"f", item) == b":1\r\n"
        while client(b"BF.EXISTS", b"f", item) == b":1\r\n":
            client.advance(1_000)
            client(b"BF.ADD", b"f", b"tick")  # somebody adds, so the filter goes on
        assert window_s * 1000 <= client.rig.now_ms - added_ms <= window_s * 1000 + span_ms
        client.advance(737)


def test_an_item_that_is_added_again_is_remembered_from_then_on(client: Client) -> None:
    client(b"BF.RESERVE", b"f", b"0.01", b"1000", b"EX", b"60")
    for _ in range(10):
        assert client(b"BF.ADD", b"f", b"a") in (b":1\r\n", b":0\r\n")
        client.advance(59_999)
        assert client(b"BF.EXISTS", b"f", b"a") == b":1\r\n"
    assert client(b"BF.CARD", b"f") == b":1\r\n"


def test_a_filter_that_nobody_adds_to_ends_and_leaves_nothing(client: Client) -> None:
    client(b"BF.RESERVE", b"f", b"0.01", b"100", b"EX", b"60")
    client(b"BF.ADD", b"f", b"a")
    client.advance(60_000)
    assert client(b"EXISTS", b"f") == b":1\r\n"
    client.advance(60_000)
    client.advance(50)  # as long as destroying may take
    assert client(b"EXISTS", b"f") == b":0\r\n" and client(b"DBSIZE") == b":0\r\n"
    assert client(b"BF.EXISTS", b"f", b"a") == b":0\r\n" and client.rig.engine.counters()["records"] == 0
    assert client(b"BF.ADD", b"f", b"a") == b":1\r\n" and client(b"BF.INFO", b"f", b"CAPACITY") == b"*1\r\n:100\r\n"


def test_a_fixed_end_holds_whatever_is_added(client: Client) -> None:
    client(b"BF.ADD", b"f", b"a")
    client(b"EXPIRE", b"f", b"100")
    client.advance(60_000)
    client(b"BF.ADD", b"f", b"b")
    assert client(b"TTL", b"f") == b":40\r\n"
    client.advance(40_000)
    assert client(b"BF.MEXISTS", b"f", b"a", b"b") == b"*2\r\n:0\r\n:0\r\n"
    assert client(b"BF.ADD", b"f", b"b") == b":1\r\n"  # another filter, which knows nothing of the first


# -- error rates and growth --------------------------------------------------------------------------------
@pytest.mark.parametrize(("error", "capacity"), [("0.01", 400), ("0.01", 6_000), ("0.1", 3_000), ("0.001", 2_000)])
def test_strangers_are_taken_for_members_as_rarely_as_was_asked(error: str, capacity: int) -> None:
    client = Rig(ENGINES["pure"]).connect()
    client(b"BF.RESERVE", b"f", error.encode(), b"%d" % capacity, b"NONSCALING")
    members = words(0, capacity)
    for chunk in range(0, capacity, 1000):
        client(b"BF.MADD", b"f", *members[chunk : chunk + 1000])
    assert all(numbers(client(b"BF.MEXISTS", b"f", *members)))
    false = sum(numbers(client(b"BF.MEXISTS", b"f", *words(1_000_000, 1_006_000))))
    assert false <= 6_000 * float(error)


def test_a_filter_that_does_not_grow_says_when_it_is_full(client: Client) -> None:
    client(b"BF.RESERVE", b"f", b"0.01", b"10", b"NONSCALING")
    reply = client(b"BF.MADD", b"f", *words(0, 30))
    assert reply.endswith(b"-ERR non scaling filter is full\r\n") and reply.count(b":1\r\n") == 10
    assert (
        client(b"BF.ADD", b"f", b"more") == b"-ERR non scaling filter is full\r\n"
        and client(b"BF.ADD", b"f", b"item:0") == b":0\r\n"
    )
    client(b"BF.RESERVE", b"g", b"0.01", b"10", b"EXPANSION", b"0")
    assert client(b"BF.MADD", b"g", *words(0, 30)).endswith(b"is full\r\n")


def test_a_filter_grows_by_its_expansion(client: Client) -> None:
    client(b"BF.RESERVE", b"f", b"0.01", b"50", b"EXPANSION", b"3")
    client(b"BF.MADD", b"f", *words(0, 500))
    assert (
        client(b"BF.INFO", b"f", b"FILTERS") == b"*1\r\n:3\r\n"
        and client(b"BF.INFO", b"f", b"CAPACITY") == b"*1\r\n:650\r\n"
    )
    assert client(b"BF.INFO", b"f", b"EXPANSION") == b"*1\r\n:3\r\n"
    assert all(numbers(client(b"BF.MEXISTS", b"f", *words(0, 500))))
    assert sum(numbers(client(b"BF.MEXISTS", b"f", *words(10_000, 12_000)))) <= 20


def test_a_filter_has_so_many_links_at_most(client: Client) -> None:
    client(b"BF.RESERVE", b"f", b"0.01", b"1", b"EXPANSION", b"1")
    reply = client(b"BF.MADD", b"f", *words(0, 30))
    assert (
        reply.endswith(b"is full\r\n")
        and client(b"BF.INFO", b"f", b"FILTERS") == b"*1\r\n:%d\r\n" % windows.LINKS_MAX
    )


# -- words -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"BF.RESERVE f x 10", b"ERR bad error rate"),
        (b"BF.RESERVE f 0 10", b"ERR error rate must be in the range (0.000000, 1.000000)"),
        (b"BF.RESERVE f 1 10", b"ERR error rate must be in the range (0.000000, 1.000000)"),
        (b"BF.RESERVE f 0.1 x", b"ERR bad capacity"),
        (b"BF.RESERVE f 0.1 0", b"ERR capacity must be in the range [1, 4194304]"),
        (b"BF.RESERVE f 0.1 4194305", b"ERR capacity must be in the range [1, 4194304]"),
        (b"BF.RESERVE f 0.1 10 EXPANSION", b"ERR no expansion"),
        (b"BF.RESERVE f 0.1 10 EXPANSION x", b"ERR bad expansion"),
        (b"BF.RESERVE f 0.1 10 EXPANSION -1", b"ERR expansion must be in the range [0, 32768]"),
        (b"BF.RESERVE f 0.1 10 NONSCALING EXPANSION 2", b"ERR Nonscaling filters cannot expand"),
        (b"BF.RESERVE f 0.1 10 FOO", b"ERR Unknown argument received"),
        (b"BF.RESERVE f 0.1 10 EX 0", b"ERR invalid expire time in 'bf.reserve' command"),
        (b"BF.RESERVE f 0.1 10 GENERATIONS 1", b"ERR generations must be in the range [2, 16]"),
        (b"BF.RESERVE f 0.1 10 EX 99999999", b"ERR invalid expire time in 'bf.reserve' command"),
        (b"BF.INSERT f ITEMS", b"ERR wrong number of arguments for 'bf.insert' command"),
        (b"BF.INSERT f NOCREATE ITEMS a", b"ERR not found"),
        (b"BF.INSERT f FOO ITEMS a", b"ERR Unknown argument received"),
        (b"BF.INSERT f ERROR ITEMS a b", b"ERR bad error rate"),
        (b"BF.ADD f", b"ERR wrong number of arguments for 'bf.add' command"),
        (b"BF.INFO f", b"ERR not found"),
    ],
)
def test_wrong_words_are_told_and_make_nothing(client: Client, line: bytes, error: bytes) -> None:
    assert client(*line.split(b" ")) == b"-%b\r\n" % error and client(b"EXISTS", b"f") == b":0\r\n"


def test_a_filter_is_made_once_and_under_a_free_key(client: Client) -> None:
    assert (
        client(b"BF.RESERVE", b"f", b"0.1", b"10") == OK
        and client(b"BF.RESERVE", b"f", b"0.1", b"10") == b"-ERR item exists\r\n"
    )
    assert (
        client(b"BF.INSERT", b"g", b"CAPACITY", b"77", b"ERROR", b"0.02", b"EX", b"9", b"ITEMS", b"a", b"a")
        == b"*2\r\n:1\r\n:0\r\n"
    )
    assert (
        client(b"BF.INFO", b"g", b"CAPACITY") == b"*1\r\n:77\r\n"
        and 9_000 <= numbers(b"*\r\n" + client(b"PTTL", b"g"))[0] <= 18_000
    )
    client(b"SET", b"text", b"v")
    client(b"ZADD", b"z", b"1", b"a")
    for key in (b"text", b"z"):
        for command in (
            (b"BF.ADD", key, b"a"),
            (b"BF.EXISTS", key, b"a"),
            (b"BF.CARD", key),
            (b"BF.RESERVE", key, b"0.1", b"5"),
            (b"BF.INFO", key),
        ):
            assert client(*command).startswith(b"-WRONGTYPE "), command


def test_memory_that_is_full_refuses_what_would_grow_it(rig: Rig) -> None:
    client = rig.connect()
    client(b"BF.ADD", b"f", b"a")
    rig.node.settings = rig.node.settings._replace(memory_bytes_max=1)
    rig.engine.configure(rig.node.settings)
    assert client(b"BF.ADD", b"f", b"b").startswith(b"-OOM ") and client(b"BF.EXISTS", b"f", b"a") == b":1\r\n"


# -- several nodes ----------------------------------------------------------------------------------------
def nodes(name: str, count: int) -> list[Client]:
    clients = []
    for number in range(1, count + 1):
        rig = Rig(lambda settings, number=number: ENGINES[name](settings._replace(node=number)))  # type: ignore[misc]
        rig.node.number = number
        clients.append(rig.connect())
    return clients


def level(*clients: Client) -> None:
    """What each wrote reaches each other one, as gossip brings it."""
    payloads = [client.rig.engine.drain(1 << 30) for client in clients]
    for at, client in enumerate(clients):
        for other, payload in enumerate(payloads):
            if other != at and payload:
                assert client.rig.engine.merge(payload, client.rig.now_ms).malformed == 0


@pytest.mark.parametrize("name", ENGINES)
def test_three_nodes_hold_the_union_after_a_cut(name: str) -> None:
    one, two, three = group = nodes(name, 3)
    one(b"BF.RESERVE", b"f", b"0.01", b"2000", b"EX", b"60")
    level(*group)
    for round_number in range(3):
        for at, client in enumerate(group):  # a cut: nobody hears of the others
            client(b"BF.MADD", b"f", *words(1_000 * at + 100 * round_number, 1_000 * at + 100 * round_number + 100))
        two(b"BF.ADD", b"f", b"item:0")  # what another added as well
        level(one, two)  # healed for two of them
        assert all(numbers(two(b"BF.MEXISTS", b"f", *words(0, 100 * round_number + 100))))
        assert not all(numbers(three(b"BF.MEXISTS", b"f", *words(0, 100 * round_number + 100))))
        # The third missed what these two told each other: it gets all there is, as one that joins does.
        for client, other in ((one, three), (two, three), (three, one), (three, two)):
            other.rig.engine.merge(b"".join(everything(client)), other.rig.now_ms)
    everybody = words(0, 300) + words(1_000, 1_300) + words(2_000, 2_300)
    for client in group:
        assert all(numbers(client(b"BF.MEXISTS", b"f", *everybody)))
        assert sum(numbers(client(b"BF.MEXISTS", b"f", *words(50_000, 51_000)))) <= 10
        assert client(b"BF.ADD", b"f", b"item:2299") == b":0\r\n"
    cards = {client(b"BF.CARD", b"f") for client in group}
    assert len(cards) == 1 and 890 <= numbers(b"*\r\n" + cards.pop())[0] <= 910
    for client in group:
        client.advance(121_000)
        assert client(b"EXISTS", b"f") == b":0\r\n" and client(b"BF.EXISTS", b"f", b"item:0") == b":0\r\n"


def everything(client: Client) -> list[bytes]:
    from respram.record import SPACES

    return [record for space in range(SPACES) for record in client.rig.engine.records(space)]


@pytest.mark.parametrize("name", ENGINES)
def test_two_nodes_that_make_the_same_filter_at_once_share_it(name: str) -> None:
    one, two = nodes(name, 2)
    one(b"BF.ADD", b"f", b"a")
    two(b"BF.ADD", b"f", b"b")
    level(one, two)
    for client in (one, two):
        assert client(b"BF.MEXISTS", b"f", b"a", b"b", b"c") == b"*3\r\n:1\r\n:1\r\n:0\r\n"
        assert client(b"BF.CARD", b"f") == b":2\r\n"


@pytest.mark.parametrize("name", ENGINES)
def test_a_node_that_starts_again_adds_to_what_it_added_before(name: str) -> None:
    one, again = nodes(name, 2)
    one(b"BF.MADD", b"f", b"a", b"b")
    level(one, again)
    again(b"BF.ADD", b"f", b"c")
    assert (
        again(b"BF.MEXISTS", b"f", b"a", b"b", b"c") == b"*3\r\n:1\r\n:1\r\n:1\r\n"
        and again(b"BF.CARD", b"f") == b":3\r\n"
    )


def test_what_a_peer_sends_may_be_anything(client: Client) -> None:
    client(b"BF.ADD", b"f", b"a")
    engine, now_ms = client.rig.engine, client.rig.now_ms
    for value in (b"", b"1234567", b"\xff" * 8, b"\xff" * 100, with_score(0.0, b"x")):
        for name in (
            windows.lane_name(7),
            windows.lane_name(7)[:5],
            b"l",
            b"p",
            b"",
            windows.part_name(NOW // HOUR, 0, 0, Facts().layout, 7),
        ):
            engine.put_member(0, b"f", name, value, None, now_ms)
            assert client(b"BF.EXISTS", b"f", b"a") == b":1\r\n" and client(b"BF.EXISTS", b"f", b"x") == b":0\r\n"
            assert client(b"BF.INFO", b"f").startswith(b"*10\r\n")
    engine.put_member(0, b"f", windows.FACTS_NAME, b"\xff" * 60, None, now_ms)
    assert client(b"BF.EXISTS", b"f", b"a").startswith(b"-WRONGTYPE ")


# -- layout ------------------------------------------------------------------------------------------------
def test_a_part_is_what_pybloom_live_reads() -> None:
    link = Facts(0.02, 300, 0, 2, HOUR).link(0)
    bits = 0
    for item in range(200):
        bits |= windows.mask_of(item * 7919, link)
    value = windows.part_packed(5, link, bits, 200)
    from io import BytesIO

    data = BytesIO(value[8:])
    read = BloomFilter.fromfile(data)
    assert (read.error_rate, read.num_slices, read.bits_per_slice, read.capacity, read.count) == (
        link.error,
        link.slices,
        link.width,
        300,
        200,
    )
    assert int.from_bytes(read.bitarray.tobytes(), "little") == bits == windows.part_bits(value, link)


@pytest.mark.parametrize(
    "facts",
    [Facts(), Facts(0.25, 1, 0, 2, 100), Facts(1e-7, 4 << 20, 2, 16, HOUR), Facts(0.05, 777, 32_768, 3, 1_000)],
)
def test_the_rates_of_all_links_add_up_to_the_one_that_was_asked_for(facts: Facts) -> None:
    links = [facts.link(number) for number in range(facts.links_max)]
    assert facts.generations * sum(link.error for link in links) <= facts.error * 1.0001
    assert all(before.items <= after.items <= windows.CAPACITY_MAX for before, after in pairwise(links))
    assert all(link.parts * link.room >= link.items and link.part_bytes < 8_192 for link in links)
    assert windows.unpacked(facts.packed()) == facts
