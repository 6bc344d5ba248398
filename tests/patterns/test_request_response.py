"""Questions and answers, several responders, failures on both sides."""

from typing import Any

import pytest

from respram.patterns import (
    RemoteError,
    Requester,
    Responder,
    Sealer,
    StoreAway,
    StreamEncoder,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    drivers,
    new_secret,
    settle,
    steps,
)
from respram.patterns.live_stream import chunk_key, head_key
from respram.patterns.request_response import ID_BYTES
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.ports import reserve


def shout(request: bytes) -> bytes:
    return request.upper()


def test_a_request_is_answered(world: World) -> None:
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = world.together(lambda: requester.call(b"get /data", SOON_S), lambda: responder.serve_one(shout, SOON_S))
    assert answers == [b"GET /DATA", True]


def test_responders_share_the_requests_and_each_is_handled_once(world: World) -> None:
    handled: list[bytes] = []

    def handle(request: bytes) -> bytes:
        handled.append(request)
        return request * 2

    requesters = [Requester(world.another(), world.name) for _ in range(4)]
    responders = [Responder(world.another(), world.name) for _ in range(4)]
    calls = [lambda each=each, at=at: each.call(b"%d" % at, SOON_S) for at, each in enumerate(requesters)]
    serves = [lambda each=each: each.serve_one(handle, SOON_S) for each in responders]
    answers = world.together(*calls, *serves)
    assert answers == [b"00", b"11", b"22", b"33", True, True, True, True]
    assert sorted(handled) == [b"0", b"1", b"2", b"3"]


def test_a_handler_that_fails_tells_both_sides_and_no_secrets(world: World) -> None:
    def fail(request: bytes) -> bytes:
        raise ValueError(request)

    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    told, raised = world.together(lambda: requester.call(b"secret", SOON_S), lambda: responder.serve_one(fail, SOON_S))
    assert isinstance(raised, ValueError)
    assert isinstance(told, RemoteError) and "ValueError" in str(told) and "secret" not in str(told)


def test_without_the_other_side_each_ends_in_time(world: World) -> None:
    assert not world(Responder(world.client, world.name).serve_one(shout, 0.02))
    with pytest.raises(TimedOut):
        world(Requester(world.client, world.name).call(b"x", 0.02))


def test_a_responder_that_was_away_skips_requests_whose_time_is_up(world: World) -> None:
    responder = Responder(world.client, world.name)
    for ttl_s in (60, 600):
        with pytest.raises(TimedOut):
            world(Requester(world.client, world.name, ttl_s).call(b"r%d" % int(ttl_s), 0))
    responder.decoder.position = 0
    world.expire(f"stream:requests%3A{world.name}:0")
    heard: list[bytes] = []

    def hear(request: bytes) -> bytes:
        heard.append(request)
        return b""

    assert world(responder.serve_one(hear, SOON_S))
    assert heard == [b"r600"]


def test_a_strange_message_is_named(world: World) -> None:
    world(StreamEncoder(world.client, f"requests:{world.name}", 600).send(b"short"))
    with pytest.raises(Unreadable):
        world(Responder(world.client, world.name).serve_one(shout, SOON_S))


def test_an_answer_that_is_too_large_is_told_to_both_sides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "VALUE_BYTES_MAX", 1000)
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = [
        lambda: requester.call(b"x", SOON_S), lambda: responder.serve_one(lambda request: request * 1001, SOON_S),
    ]  # fmt: skip
    told, raised = world.together(*answers)
    assert isinstance(raised, ValueTooLarge)
    assert isinstance(told, RemoteError) and "ValueTooLarge" in str(told)


def test_a_claim_that_was_sent_twice_is_still_one_s_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = steps.ask_whole

    def resent(*commands: Any) -> Any:
        # What a client library does when the connection broke after the first of two attempts.
        return (
            (yield from twice(commands[0], *commands))[1:] if commands[0][0] == "SET" else (yield from twice(*commands))
        )

    monkeypatch.setattr(settle, "ask_whole", resent)
    requester, responder = Requester(world.client, world.name), Responder(world.another(), world.name)
    answers = world.together(lambda: requester.call(b"once", SOON_S), lambda: responder.serve_one(shout, SOON_S))
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
    calls = [lambda text=text: requester.call(text, SOON_S) for text in (b"0", b"1", b"away", b"x")]
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


def test_messages_that_no_requester_could_have_written_are_told_and_stepped_over(world: World) -> None:
    stream = f"requests:{world.name}"
    requester, responder = Requester(world.client, world.name, 60), Responder(world.another(), world.name, 60)
    world(StreamEncoder(world.client, stream, 60, chunk_bytes=4, sealer=Sealer(new_secret())).send(b"of many chunks"))
    world(StreamEncoder(world.client, stream, 60).send(b"x" * ID_BYTES))
    world.raw.set(chunk_key(stream, 4), b"by another program", px=60_000)
    told: list[Exception] = []
    handled: list[bytes] = []

    def handle(request: bytes) -> bytes:
        handled.append(request)
        return shout(request)

    served = world.together(
        lambda: requester.call(b"now", SOON_S),
        lambda: responder.serve(handle, lambda: b"now" in handled, told.append, 0.01),
    )
    assert served[0] == b"NOW" and [type(each) for each in told] == [Unreadable, Unreadable]
    # The head of the stream too may be another program's, for a while.
    world.raw.set(head_key(stream), b"no head", px=60_000)
    world(responder.serve(shout, lambda: len(told) == 4, told.append, 0.001))
    with pytest.raises(Unreadable):
        world(responder.serve_one(shout, 0.001))
    world.expire(head_key(stream))
