"""Document 004's own code, with its import lines changed and its placeholders filled in; and what its names do beyond
it.
"""

import asyncio
import collections
import json
import logging
import os
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from respram.patterns import (
    BadName,
    ChunkExpired,
    ContentMissing,
    NodeRefused,
    SessionTimedOut,
    StreamEnded,
    Tampered,
    Unreadable,
    WrongKey,
    seigr,
)
from tests.live import SOON_S
from tests.patterns.documents import block, blocks, run, without_imports
from tests.ports import reserve

PACKAGE = "seigr_toolset_transmissions"
SEED = b"seed_32_bytes_minimum_required!!"
NAMES = ("BinaryStorage", "ContentDistribution", "EndpointManager", "FrameDispatcher", "KademliaDHT", "PubSubManager",
         "STCWrapper",
         "StreamDecoder", "StreamEncoder", "DHTNode", "ConnectionTimeoutError")  # fmt: skip


class Done(Exception):
    """Ends a loop of the document that has no end."""


Scenario = Callable[[], Awaitable[None]]


@pytest.fixture
def on_store(enclave_ports: tuple[int, ...]) -> Callable[[Scenario], None]:
    """Runs a scenario in a loop of its own, with the enclave's three nodes in use."""

    def perform(scenario: Scenario) -> None:
        async def whole() -> None:
            nodes = {f"127.0.0.1:{port}": client(port) for port in enclave_ports}
            seigr.use(nodes)
            try:
                await asyncio.wait_for(scenario(), SOON_S * 6)
            finally:
                for each in nodes.values():
                    await each.aclose()
                seigr.use({})

        asyncio.run(whole())

    return perform


def client(port: int) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis(host="127.0.0.1", port=port, retry=Retry(NoBackoff(), 0))


def names(**placeholders: Any) -> dict[str, Any]:
    """What the document's import lines named, now from here, and the placeholders that it leaves to its reader."""
    return {name: getattr(seigr, name) for name in NAMES} | {"asyncio": asyncio, "json": json, "os": os} | placeholders


def code(mark: str) -> str:
    return without_imports(block("004", "python", mark), PACKAGE)


async def sessions() -> tuple[seigr.STTNode, seigr.STTNode, Any, Any]:
    """Two nodes with a session."""
    name = os.urandom(8).hex()
    ada, bob = seigr.STTNode(f"ada-{name}"), seigr.STTNode(f"bob-{name}")
    here, there = await asyncio.gather(ada.connect(("10.0.0.2", 9337), bob.node.node_id), bob.accept())
    return ada, bob, here, there


def test_every_block_of_the_document_is_run_here() -> None:
    marks = ("stream_video", "store_sensor_readings", "broadcast_to_viewers", "FRAME_MY_HANDSHAKE", "handle_request",
             "PubSubManager", "send_loop", "send_file_with_progress", "stream_video = session", "robust_connect",
             "reconnect()",
             "ContentDistribution")  # fmt: skip
    found = blocks("004", "python")
    assert len(found) == len(marks)
    assert all(any(mark in text for mark in marks) for text in found)


def test_live_video_is_streamed(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        shown: list[bytes] = []
        sent: list[bytes] = []

        def display(frame: bytes) -> None:
            shown.append(frame)
            if len(shown) == 3:
                raise Done

        async def send_to_peer(segment: bytes) -> None:
            sent.append(segment)

        camera = types.SimpleNamespace(capture=lambda: b"raw %d " % len(shown) * 20_000)
        encoder = types.SimpleNamespace(encode=lambda raw: b"H" + raw)
        decoder = types.SimpleNamespace(decode=lambda data: data[1:])
        here = names(session_id=b"s" * 8, stream_id=1, your_h264_encoder=encoder, your_h264_decoder=decoder,
                     camera=camera,
                     transport=types.SimpleNamespace(send_to_peer=send_to_peer), display=display)  # fmt: skip
        await run(code("async def stream_video()"), here)
        with pytest.raises(Done):
            await here["stream_video"]()
        assert shown == [b"raw %d " % number * 20_000 for number in range(3)]
        assert len(sent) == 6 and not any(b"raw 0 raw 0" in segment or b"raw 1 raw 1" in segment for segment in sent)

    on_store(scenario)


def test_sensor_readings_are_stored_by_hash(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        index: dict[str, dict[int, str]] = collections.defaultdict(dict)
        here = names(your_index=index)
        await run(code("store_sensor_readings"), here)
        await here["store_sensor_readings"]()
        address = index["sensor_01"][1234567890]
        again = await seigr.BinaryStorage(seigr.STCWrapper(SEED)).retrieve(address)
        assert json.loads(again) == {"temp": 25.3, "humidity": 60, "time": 1234567890}

    on_store(scenario)


def test_segments_are_routed_to_endpoints(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        viewers = [
            await seigr.EndpointManager().register_endpoint(f"viewer_{name}") for name in ("alice", "bob", "charlie")
        ]
        stc = seigr.STCWrapper(SEED)
        here = names(
            stc=stc, session_id=b"s" * 8, stream_id=1, frame=b"raw", your_encoder=types.SimpleNamespace(encode=bytes)
        )
        await run(code("broadcast_to_viewers"), here)
        await here["broadcast_to_viewers"]()
        for viewer in viewers:
            decoder = seigr.StreamDecoder(stc, b"s" * 8, 1)
            decoder.receive_segment(await viewer.receive(SOON_S), 0)
            assert await decoder.receive_all() == b"raw"
        with pytest.raises(ContentMissing):
            await seigr.EndpointManager().route_to_endpoint("viewer_nobody", b"x")
        assert {"viewer_alice", "viewer_bob"} <= set(await seigr.EndpointManager().broadcast(b"all"))

    on_store(scenario)


def test_frames_are_dispatched(on_store: Callable[[Scenario], None], capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        here = names(frame_type=0x80, frame_payload=b"\x00\x00\x00\x07" + b"ada")
        await run(code("FRAME_MY_HANDSHAKE"), here)
        assert "Handshake from ada, protocol v7" in capsys.readouterr().out
        with pytest.raises(Unreadable):
            await here["dispatcher"].dispatch(0x81, b"")
        with pytest.raises(BadName):
            here["dispatcher"].register_handler(0x80, print)
        here["dispatcher"].register_handler(0x82, lambda payload: payload * 2)
        assert await here["dispatcher"].dispatch(0x82, b"x") == b"xx"

    on_store(scenario)


def test_a_request_is_answered(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        ada, bob, here, there = await sessions()
        server, client_code = code("handle_request").split("# Client")
        serving = names(process=bytes.lower)
        await run(server, serving)
        handling = asyncio.ensure_future(serving["handle_request"](there))
        asking = names(session=here)
        await run(client_code, asking)
        assert asking["response"] == b"get /data" and asking["stream"].is_closed()
        await handling
        await ada.stop()
        await bob.stop()

    on_store(scenario)


def test_topics_reach_their_subscribers(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        heard: list[str] = []
        here = names(my_node_id=b"\x01" * 20, sensor_reading_bytes=b"25.3", deserialize=bytes.decode,
                     process_reading=heard.append)  # fmt: skip
        await run(code("PubSubManager(dht=dht)"), here)
        assert heard == [], "nobody had subscribed when the document published"
        other = seigr.PubSubManager(seigr.KademliaDHT("another", 9338))
        while not heard:
            await other.publish("sensor_data", b"26.1")
            await asyncio.sleep(0.01)
        assert set(heard) == {"26.1"}
        with pytest.raises(BadName):
            await here["pubsub"].subscribe("sensor_data", print)
        told: list[Any] = []
        await other.subscribe("more", lambda *all_of_it: told.append(all_of_it))
        await here["pubsub"].publish("more", b"x")
        while not told:
            await asyncio.sleep(0.01)
        assert told == [("more", b"x", seigr.DHTNode("01" * 20))]
        await other.unsubscribe("more")
        await here["dht"].stop()
        await other.stop()

    on_store(scenario)


def test_both_sides_send_and_receive_at_once(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        ada, bob, here, there = await sessions()
        sent: list[bytes] = []
        heard: list[bytes] = []

        def get_data() -> bytes:
            sent.append(b"%d" % len(sent))
            return sent[-1]

        def process(data: bytes) -> None:
            heard.append(data)
            if len(heard) == 5:
                raise Done

        async def echo() -> None:
            stream = there.open_stream(1)
            while True:
                await stream.send(await stream.receive())

        echoing = asyncio.ensure_future(echo())
        with pytest.raises(Done):
            await run(code("send_loop"), names(stream=here.open_stream(1), get_data=get_data, process=process))
        assert heard == sent[:5]
        await seigr.cancelled(
            [echoing, *(task for task in asyncio.all_tasks() if "send_loop" in repr(task.get_coro()))]
        )
        await ada.stop()
        await bob.stop()

    on_store(scenario)


def test_a_file_goes_over_a_stream_with_its_progress(
    on_store: Callable[[Scenario], None], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        ada, bob, here, there = await sessions()
        data = os.urandom(2_500_000)
        (tmp_path / "video").write_bytes(data)
        sending = names()
        await run(code("send_file_with_progress"), sending)
        await sending["send_file_with_progress"](here.open_stream(3), str(tmp_path / "video"))
        assert capsys.readouterr().out.splitlines()[-1] == "Progress: 100.0%"
        parts = [await there.get_stream(3).receive(SOON_S) for _ in range(3)]
        with pytest.raises(StreamEnded):
            await there.get_stream(3).receive(SOON_S)
        assert b"".join(parts) == data
        await ada.stop()
        await bob.stop()

    on_store(scenario)


def test_an_application_has_several_streams_at_once(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        name = os.urandom(8).hex()
        ada, bob = seigr.STTNode(f"ada-{name}"), seigr.STTNode(f"bob-{name}")
        accepting = asyncio.ensure_future(bob.accept())

        async def send(stream: Any) -> None:
            await stream.send(b"on %d" % stream.stream_id)

        here = names(
            node=ada, peer_addr=None, peer_id=bob.node.node_id, send_video=send, send_audio=send, send_chat=send
        )
        await run(code("stream_video = session"), here)
        there = await accepting
        assert [await there.get_stream(number).receive(SOON_S) for number in (1, 2, 3)] == [b"on 1", b"on 2", b"on 3"]
        assert (here["stream_video"].max_frame_size, here["stream_audio"].max_frame_size) == (32768, 8192)
        await ada.stop()
        await bob.stop()

    on_store(scenario)


def test_a_connection_is_tried_again(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        here = names()
        await run(code("robust_connect"), here)
        name = os.urandom(8).hex()
        ada, bob = seigr.STTNode(f"ada-{name}"), seigr.STTNode(f"bob-{name}")
        accepting = asyncio.ensure_future(bob.accept())
        session = await here["robust_connect"](ada, None, bob.node.node_id)
        assert session.session_id == (await accepting).session_id
        away = client(reserve())
        with pytest.raises(ConnectionRefusedError):
            await here["robust_connect"](seigr.STTNode("ada", away), None, "bob", max_retries=2)
        with pytest.raises(SessionTimedOut):
            await ada.connect(None, f"nobody-{name}", timeout=0.02)
        await away.aclose()
        await ada.stop()
        await bob.stop()

    on_store(scenario)


# redis-py may lose the connection of a command that is cancelled: nobody can close it then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dead_peer_is_told_and_a_wrong_seed_or_password_too(
    on_store: Callable[[Scenario], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        called: list[str] = []

        async def reconnect() -> None:
            called.append("reconnect")

        name = os.urandom(8).hex()
        ada, bob = seigr.STTNode(f"ada-{name}", alive_s=0.4), seigr.STTNode(f"bob-{name}", alive_s=0.4)
        here = names(node=ada, logger=logging.getLogger("stt"), reconnect=reconnect)
        await run(code("reconnect()"), here)
        await asyncio.gather(ada.connect(None, bob.node.node_id), bob.accept())
        await seigr.cancelled([bob.task] if bob.task else [])  # as if its process were gone
        while not called:
            await asyncio.sleep(0.01)
        assert "timed out - peer dead?" in caplog.text
        here["on_session_closed"](b"\x01", "auth_failure")
        assert "check shared_seed" in caplog.text
        await ada.stop()

    on_store(scenario)


def test_content_is_published_and_retrieved(on_store: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        here = names(my_node_id=b"\x02" * 20, my_data=b"a chapter")
        await run(code("publish_content"), here)
        assert here["retrieved_data"] == b"a chapter"
        assert here["content_id"] == seigr.STCWrapper(SEED).hash(b"a chapter").hex()
        # Of three nodes one is dead and one has nothing: the third is asked at the same time.
        nodes = {"dead": client(reserve()), **here["dht"].pool.clients}
        dht = seigr.KademliaDHT("x", nodes=nodes)
        await dht.start()
        assert await seigr.ContentDistribution(dht=dht).retrieve_content(here["content_id"]) == b"a chapter"
        assert "dead" in {node for node, _ in dht.lookup("anything")}
        await nodes["dead"].aclose()
        with pytest.raises(NodeRefused):
            await seigr.KademliaDHT("x", nodes={"dead": client(reserve())}).start()

    on_store(scenario)


# -- what the names do beyond the document's code ---------------------------------------------------
async def segments(encoder: seigr.StreamEncoder, data: bytes) -> list[tuple[int, bytes]]:
    found: AsyncIterator[tuple[int, bytes]] = encoder.send(data)
    return [each async for each in found]


def test_segments_come_together_in_order_and_a_gap_is_told() -> None:
    async def scenario() -> None:
        stc = seigr.STCWrapper(SEED)
        encoder = seigr.StreamEncoder(stc, b"s", 1, segment_bytes=4)
        decoder = seigr.StreamDecoder(stc, b"s", 1)
        sent = await segments(encoder, b"0123456789ab")
        assert [seq for seq, _ in sent] == [0, 1, 2] and encoder.finish() == 3
        with pytest.raises(StreamEnded):
            await segments(encoder, b"more")
        for seq, segment in (sent[2], sent[0], sent[0]):
            decoder.receive_segment(segment, seq)
        assert await decoder.receive_all() == b"0123"
        with pytest.raises(ChunkExpired) as caught:
            await decoder.receive_all()
        assert caught.value.seq == 1 and decoder.skip_to_oldest() == 2
        assert await decoder.receive_all() == b"89ab" and await decoder.receive_all() == b""
        for other in (seigr.StreamDecoder(stc, b"t", 1), seigr.StreamDecoder(stc, b"s", 2)):
            with pytest.raises(Tampered):
                other.receive_segment(sent[0][1], 0)
        with pytest.raises(WrongKey):
            seigr.StreamDecoder(seigr.STCWrapper(b"x" * 32), b"s", 1).receive_segment(sent[0][1], 0)

    asyncio.run(scenario())


def test_segments_that_wait_are_bounded_and_a_short_seed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seigr, "PENDING_MAX", 2)
    monkeypatch.setattr(seigr, "_nodes", {})  # other tests may have said which

    async def scenario() -> None:
        stc = seigr.STCWrapper(SEED)
        decoder = seigr.StreamDecoder(stc, b"s", 1)
        sent = await segments(seigr.StreamEncoder(stc, b"s", 1, segment_bytes=1), b"abcd")
        for seq, segment in sent[1:3]:
            decoder.receive_segment(segment, seq)
        with pytest.raises(ChunkExpired):
            decoder.receive_segment(sent[3][1], 3)

    asyncio.run(scenario())
    with pytest.raises(BadName):
        seigr.STCWrapper(b"short")
    with pytest.raises(BadName, match="use"):
        seigr.nodes_in_use()
    assert repr(seigr.STCWrapper(SEED)) == "STCWrapper()"
