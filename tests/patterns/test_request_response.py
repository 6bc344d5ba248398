"""Questions and answers, several responders, failures on both sides."""

from typing import Any

import pytest

from respram.patterns import (
    RemoteError,
    Requester,
    Responder,
    StoreAway,
    StreamEncoder,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    drivers,
    settle,
    steps,
)
from tests.patterns.conftest import World
from tests.ports import reserve


def shout(request: bytes) -> bytes:
    return request.upper()


def test_a_request_is_answered(world: World) -> None:
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = world.together(lambda: requester.call(b"get /data", 5), lambda: responder.serve_one(shout, 5))
    assert answers == [b"GET /DATA", True]


def test_responders_share_the_requests_and_each_is_handled_once(world: World) -> None:
    handled: list[bytes] = []

    def handle(request: bytes) -> bytes:
        handled.append(request)
        return request * 2

    requesters = [Requester(world.another(), world.name) for _ in range(4)]
    responders = [Responder(world.another(), world.name) for _ in range(4)]
    calls = [lambda each=each, at=at: each.call(b"%d" % at, 5) for at, each in enumerate(requesters)]
    serves = [lambda each=each: each.serve_one(handle, 5) for each in responders]
    answers = world.together(*calls, *serves)
    assert answers == [b"00", b"11", b"22", b"33", True, True, True, True]
    assert sorted(handled) == [b"0", b"1", b"2", b"3"]


def test_a_handler_that_fails_tells_both_sides_and_no_secrets(world: World) -> None:
    def fail(request: bytes) -> bytes:
        raise ValueError(request)

    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    told, raised = world.together(lambda: requester.call(b"secret", 5), lambda: responder.serve_one(fail, 5))
    assert isinstance(raised, ValueError)
    assert isinstance(told, RemoteError) and "ValueError" in str(told) and "secret" not in str(told)


def test_without_the_other_side_each_ends_in_time(world: World) -> None:
    assert not world(Responder(world.client, world.name).serve_one(shout, 0.02))
    with pytest.raises(TimedOut):
        world(Requester(world.client, world.name).call(b"x", 0.02))


def test_a_responder_that_was_away_skips_requests_whose_time_is_up(world: World) -> None:
    responder = Responder(world.client, world.name)
    for ttl_s in (4, 5):
        with pytest.raises(TimedOut):
            world(Requester(world.client, world.name, ttl_s).call(b"r%d" % int(ttl_s), 0))
    responder.decoder.position = 0
    world.expire(f"stream:requests%3A{world.name}:0")
    heard: list[bytes] = []

    def hear(request: bytes) -> bytes:
        heard.append(request)
        return b""

    assert world(responder.serve_one(hear, 2))
    assert heard == [b"r5"]


def test_a_strange_message_is_named(world: World) -> None:
    world(StreamEncoder(world.client, f"requests:{world.name}", 5).send(b"short"))
    with pytest.raises(Unreadable):
        world(Responder(world.client, world.name).serve_one(shout, 1))


def test_an_answer_that_is_too_large_is_told_to_both_sides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "VALUE_BYTES_MAX", 1000)
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = [lambda: requester.call(b"x", 5), lambda: responder.serve_one(lambda request: request * 1001, 5)]
    told, raised = world.together(*answers)
    assert isinstance(raised, ValueTooLarge)
    assert isinstance(told, RemoteError) and "ValueTooLarge" in str(told)


def test_a_claim_that_was_sent_twice_is_still_one_s_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = steps.ask_all

    def resent(*commands: Any) -> Any:
        # What a client library does when the connection broke after the first of two attempts.
        return (
            (yield from twice(commands[0], *commands))[1:] if commands[0][0] == "SET" else (yield from twice(*commands))
        )

    monkeypatch.setattr(settle, "ask_all", resent)
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = world.together(lambda: requester.call(b"once", 5), lambda: responder.serve_one(shout, 5))
    assert answers == [b"ONCE", True]


def test_a_server_goes_on_after_a_handler_that_failed_and_answers_with_an_error(world: World) -> None:
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    done: list[bytes] = []
    told: list[Exception] = []

    def handle(request: bytes) -> bytes:
        done.append(request)
        if request == b"away":
            raise StoreAway("the handler's own store")
        return bytes((1 // int(request),))

    world.raw.set(f"stream:requests%3A{world.name}:head", b"x", px=1)
    world.until(lambda: not world.raw.exists(f"stream:requests%3A{world.name}:head"))
    world(StreamEncoder(world.client, f"requests:{world.name}", 30).send(b"short"))
    calls = [lambda text=text: requester.call(text, 5) for text in (b"0", b"1", b"away", b"x")]
    serving = lambda: responder.serve(handle, lambda: len(done) == 4, told.append, 0.01)  # noqa: E731
    *answers, served = world.together(*calls, serving)
    assert served == 4 and answers[1] == b"\x01"
    assert [type(each) for each in answers] == [RemoteError, bytes, RemoteError, RemoteError]
    assert sorted(type(each).__name__ for each in told) == [
        "StoreAway",
        "Unreadable",
        "ValueError",
        "ZeroDivisionError",
    ]


def test_a_server_whose_node_is_away_ends(world: World) -> None:
    with pytest.raises(StoreAway):
        world(Responder(world.another(port=reserve()), world.name).serve(shout))
