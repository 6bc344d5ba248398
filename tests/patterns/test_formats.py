"""docs/patterns/formats.json against the library, and against the programs in Node and Go, which exchange with it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

from respram.patterns import (
    AppendLog,
    Batch,
    Cache,
    ContentStore,
    CoordinationToken,
    Counter,
    DataStore,
    DeadDrop,
    Dedup,
    Endpoints,
    Heartbeat,
    Presence,
    Sealer,
    SecureRelay,
    Sessions,
    StateMachine,
    StreamDecoder,
    StreamEncoder,
    Versions,
    Workflow,
    derived,
    heartbeat,
    lanes,
    live_stream,
    new_secret,
    pieces,
    reference,
)
from respram.patterns.naming import level, levels
from tests.live import SOON_S
from tests.patterns.conftest import World

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "docs" / "patterns" / "formats.json"
PROGRAMS = ROOT / "compat" / "patterns"
BUILD_S = 300.0  # a first build of the Go program, on a busy machine


def vectors() -> Any:
    return json.loads(VECTORS.read_text())


def test_names_are_written_and_derived_as_the_vectors_say() -> None:
    every = vectors()
    for one in every["levels"]:
        assert (level(one["text"]), levels(one["text"])) == (one["level"], one["levels"])
    for one in every["derived"]:
        assert derived(one["prefix"], *one["parts"]).decode() == one["key"]
    assert len(every["levels"]) > 5 and len({one["key"] for one in every["derived"]}) == 4


def test_every_key_is_what_the_vectors_say() -> None:
    client: redis.Redis = redis.Redis()
    makers: dict[str, Any] = {
        "dead_drop": lambda *args: DeadDrop(client, *args).key,
        "token": lambda name: CoordinationToken(client, name).key,
        "heartbeat": lambda member, group: Heartbeat(client, member, group=group).key,
        "heartbeat_of_a_group": lambda member, group: Heartbeat(client, member, group=group).key,
        "dedup": lambda topic, event: Dedup(client, topic).key(event),
        "stream_head": live_stream.head_key,
        "stream_chunk": live_stream.chunk_key,
        "lane_head": lambda lane, of: live_stream.head_key(lanes.stream_name(lane, of)),
        "content": lambda store, _: ContentStore(client, store).content_key(reference(b"content")),
        "label": lambda store, label: ContentStore(client, store).label_key(label),
        "data_store": lambda namespace, name: DataStore(client).use_namespace(namespace).key(name),
        "counter": lambda name: Counter(client, name).key,
        "counter_part": lambda name, part: Counter(client, name, part=part).key,
        "versions": lambda store, name: Versions(ContentStore(client, store), name).key,
        "workflow": lambda name, job: Workflow(client, name, ("a",)).key(job),
        "batch": lambda name: Batch(client, name).key,
        "batch_piece": lambda name, number: pieces.piece_key(Batch(client, name).key, number),
        "log": lambda store, name: AppendLog(ContentStore(client, store), name).key,
        "cache": lambda name, key: Cache(client, name).key(key),
        "session": lambda session_id: Sessions(client).key(session_id),
        "roster_of_beats": heartbeat.roster_base,
        "roster_of_namespaces": lambda root: DataStore(client, root=root)._roster(),
    }
    every = vectors()["keys"]
    assert set(every) == set(makers)
    for name, one in every.items():
        assert makers[name](*one["args"]).decode() == one["key"], name
    client.close()


def test_sealed_texts_are_opened_and_heads_are_read_as_the_vectors_say() -> None:
    every = vectors()
    for one in every["sealed"]:
        sealer = Sealer(one["secret"], one["algorithm"])
        assert sealer.open(bytes.fromhex(one["sealed"]), bytes.fromhex(one["context"])) == bytes.fromhex(one["plain"])
    for one in every["relay_keys"]:
        client: redis.Redis = redis.Redis()
        assert SecureRelay(client, one["secret"], one["slot"]).key.decode() == one["key"]
        client.close()
    for one in every["stream_heads"]:
        head = (one["next"], int(one["life"]), int(one["closed"]))
        assert live_stream.head_of(bytes.fromhex(one["bytes"]), "x") == head
        assert live_stream.HEAD.pack(*head).hex() == one["bytes"]
    assert {one["algorithm"] for one in every["sealed"]} == {"aes-256-gcm", "chacha20-poly1305"}


@pytest.fixture(scope="session", params=["node", "go"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a program that knows the formats."""
    tool = shutil.which(request.param)
    if tool is None:
        pytest.skip(f"no {request.param} on this machine")
    if request.param == "node":
        return [tool, str(PROGRAMS / "program.mjs")]
    binary = tmp_path_factory.mktemp("go") / "program"
    subprocess.run([tool, "build", "-o", str(binary), "."], cwd=PROGRAMS / "go", check=True, timeout=BUILD_S)
    return [str(binary)]


def perform(program: list[str], *words: str) -> str:
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_program_agrees_with_every_vector(program: list[str], tmp_path: Path) -> None:
    assert perform(program, "vectors", str(VECTORS)) == "ok vectors"
    changed = vectors()
    changed["derived"][0]["key"] = "handoff:0"
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    failed = subprocess.run(
        [*program, "vectors", str(tmp_path / "changed.json")], capture_output=True, check=False, timeout=SOON_S
    )
    assert failed.returncode != 0 and b"derived" in failed.stderr


def test_the_library_reads_what_the_program_wrote(program: list[str], world: World) -> None:
    name, secret = f"{world.name} é:1", new_secret()
    endpoint = world(Endpoints(world.client, 60).register(world.name))
    assert perform(program, "write", str(world.port), name, secret) == "ok write"
    store = ContentStore(world.client, name, 60)
    assert world(DeadDrop(world.client, name, "a", "b").look()) == b"a drop"
    assert world(CoordinationToken(world.client, name).held()).holder == "other"
    assert world(CoordinationToken(world.client, name).claim("python")) is None
    assert world(CoordinationToken(world.client, f"{name}:gone").held()) is None
    assert world(CoordinationToken(world.client, f"{name}:gone").claim("python")).holder == "python"
    assert world(endpoint.receive(SOON_S)) == b"for all"
    assert world(Presence(world.client, name).members()) == ["worker"]
    assert world(Presence(world.client, name).detail("worker")) == b"load 1"
    state = world(StateMachine(world.client, {"queued": ["done"]}).state(name))
    assert (state.name, state.detail) == ("queued", {"by": "other"})
    assert not world(Dedup(world.client, name).first("event:1"))
    assert world(SecureRelay(world.client, secret, name).pick_up()) == b"the papers"
    assert world.take(StreamDecoder(world.client, name).messages(SOON_S), 2) == [b"first second"]
    assert world(store.get_content_by_label("app:config")) == b"content"


def test_the_program_reads_what_the_library_wrote(program: list[str], world: World) -> None:
    name, secret = f"{world.name} é:2", new_secret()
    store = ContentStore(world.client, name, 60)
    world(DeadDrop(world.client, name, "a", "b").leave(b"a drop", 60))
    world(CoordinationToken(world.client, name, 60).claim("python"))
    gone = CoordinationToken(world.client, f"{name}:gone", 60)
    world(gone.let_go(world(gone.claim("python"))))
    lanes._lanes.clear()  # the program looks for the first message of a lane
    world(Endpoints(world.client, 60).broadcast(b"for all"))
    world(Heartbeat(world.client, "worker", 60, name).beat(b"load 1"))
    world(StateMachine(world.client, {"queued": ["done"]}, 60).begin(name, "queued", {"by": "python"}))
    assert world(Dedup(world.client, name, 60).first("event:1"))
    world(SecureRelay(world.client, secret, name).drop(b"the papers", 60))
    encoder = StreamEncoder(world.client, name, 60, chunk_bytes=6)
    world(encoder.send(b"first second"))
    world(encoder.close())
    world(store.store_at_label("app:config", b"content"))
    assert perform(program, "read", str(world.port), name, secret) == "ok read"
