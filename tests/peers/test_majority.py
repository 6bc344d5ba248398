"""`--decide majority` on live nodes: one grant, nothing lost, a token that grows; and nothing without a majority."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis

from respram.slots import SLOTS
from tests.engine.conftest import ENGINES

from .enclave import Member, enclave, until, until_ready

PATIENCE_S = 120  # a node that comes back votes some seconds after it is ready; on a busy machine much later
RACES, COUNTS = 20, 60
WEIGHTS = (1, 3, 1)
UNKNOWN = "unknown"


@pytest.fixture(scope="module", params=[*ENGINES])
def nodes(request: pytest.FixtureRequest) -> Iterator[list[Member]]:
    words = ("--decide", "majority", "--enclave-size", "3")
    with enclave(3, *words, engines=(request.param,), each=lambda n: ("--home-weight", str(WEIGHTS[n]))) as members:
        until_ready(members)
        for member in members:
            until(partial(votes, member), "no vote", PATIENCE_S)
        yield members


def votes(member: Member) -> bool:
    return bool(member.info().get("majority_votes"))


def again(act: Callable[[], object]) -> object:
    """As a client would: again while it is certain that nothing was done. UNKNOWN: it may have been done."""
    told: list[object] = []

    def ask() -> bool:
        try:
            told.append(act())
        except redis.exceptions.BusyLoadingError:
            pass
        except redis.exceptions.ResponseError as error:
            if str(error).startswith("UNCERTAIN"):  # on a machine that stood still for a second
                told.append(UNKNOWN)
            elif "nothing was done" not in str(error):
                raise
        return bool(told)

    until(ask, "no decision", PATIENCE_S)
    return told[0]


def decided(member: Member, *words: str) -> object:
    return again(lambda: member.client.execute_command(*words))


def test_of_all_who_want_a_name_one_gets_it_and_every_increment_counts(nodes: list[Member]) -> None:
    for number in range(RACES):
        told = [decided(member, "SET", f"name{number}", "me", "NX", "EX", "600") for member in nodes]
        granted = sum(one in (b"OK", True) for one in told)
        assert granted == 1 or granted == 0 and UNKNOWN in told, told
    counted = [decided(nodes[number % 3], "INCR", "counter") for number in range(COUNTS)]
    seen = [int(str(one)) for one in counted if one != UNKNOWN]
    assert seen == sorted(set(seen)) and COUNTS >= seen[-1] >= len(seen) > COUNTS // 2, counted
    assert sum(int(str(member.info()["majority_decided"])) for member in nodes) >= RACES + len(seen)


def test_the_token_grows_with_each_decision_and_is_there_for_who_was_answered(nodes: list[Member]) -> None:
    assert nodes[0].client.execute_command("RESPRAM", "TOKEN", "nothing") is None
    tokens = []
    for number in range(9):
        member = nodes[number % 3]
        if decided(member, "SET", "fenced", str(number), "GET") != UNKNOWN:
            tokens.append(member.client.execute_command("RESPRAM", "TOKEN", "fenced"))
    assert len(tokens) > 4 and tokens == sorted(set(tokens)) and all(isinstance(token, int) for token in tokens)


def transaction(member: Member, *words: str) -> list[object]:
    with member.client.pipeline() as pipe:
        pipe.incr("{t}a")
        pipe.execute_command(*words)
        told: list[object] = pipe.execute()
        return told


def test_a_transaction_is_decided_by_a_majority_and_one_that_cannot_be_is_refused(nodes: list[Member]) -> None:
    told = again(lambda: transaction(nodes[0], "RESPRAM", "TOKEN", "{t}a"))
    while told == UNKNOWN:
        told = again(lambda: transaction(nodes[0], "RESPRAM", "TOKEN", "{t}a"))
    assert isinstance(told, list)
    number, token = told
    assert token == nodes[0].client.execute_command("RESPRAM", "TOKEN", "{t}a")
    with pytest.raises(redis.exceptions.ResponseError, match="NOQUORUM a majority cannot decide a transaction"):
        transaction(nodes[0], "RESPRAM", "STATE")
    assert nodes[0].client.get("{t}a") == b"%d" % number


def test_it_cannot_be_left_while_the_node_runs(nodes: list[Member]) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match="majority"):
        nodes[0].client.config_set("decide", "local")
    assert nodes[0].client.config_get("decide")["decide"] == "majority"


def test_a_node_of_more_weight_decides_about_more_and_its_vote_counts_once(nodes: list[Member]) -> None:
    def shares() -> list[int]:
        return [int(str(member.info()["homes_slots_here"])) for member in nodes]

    until(lambda: sum(shares()) == SLOTS and shares()[1] > SLOTS // 2, "not its share", PATIENCE_S)
    heavy, others = nodes[1], [nodes[0], nodes[2]]
    heavy.kill()
    granted = []
    for number in range(RACES):
        told = [decided(member, "SET", f"without{number}", "me", "NX", "EX", "600") for member in others]
        assert sum(one in (b"OK", True) for one in told) == 1 or UNKNOWN in told, told
        if UNKNOWN not in told:
            granted.append(f"without{number}")
    heavy.start(wait=False)
    until(partial(votes, heavy), "no vote", PATIENCE_S)
    until(lambda: shares()[1] > SLOTS // 2, "not its share again", PATIENCE_S)
    assert granted and decided(heavy, "SET", granted[0], "me", "NX") in (None, UNKNOWN)


def test_alone_a_node_decides_nothing_and_who_comes_back_has_a_vote_again(nodes: list[Member]) -> None:
    while decided(nodes[0], "SET", "kept", "before", "GET") == UNKNOWN:
        pass
    gone = nodes[1:]
    for member in gone:
        member.stop()
    with pytest.raises((redis.exceptions.ResponseError, redis.exceptions.BusyLoadingError), match="nothing was done"):
        nodes[0].client.set("kept", "alone", xx=True)
    assert nodes[0].client.get("kept") == b"before", "reads and blind writes go on"
    nodes[0].stop()  # two at once have forgotten: nobody can know what they had promised
    for member in nodes:
        member.start(wait=False)
    for member in nodes:
        until(partial(votes, member), "no vote", PATIENCE_S)
    assert again(lambda: nodes[1].client.set("kept", "anew", get=True)) in (None, UNKNOWN), "there are no snapshots"
    nodes[2].kill()
    while decided(nodes[0], "SET", "while two are there", "first", "GET") == UNKNOWN:
        pass  # it went to the home that is gone
    nodes[2].start(wait=False)
    until(partial(votes, nodes[2]), "no vote", PATIENCE_S)
    nodes[0].kill()
    told: object = UNKNOWN
    while told == UNKNOWN:
        told = again(lambda: nodes[2].client.set("while two are there", "second", nx=True, get=True))
    assert told == b"first", "one that was not there has it as well, or would have no vote"
    nodes[0].start(wait=False)
    until(partial(votes, nodes[0]), "no vote", PATIENCE_S)
