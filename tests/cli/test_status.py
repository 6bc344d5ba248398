"""`respram status`: one screen, one exit code."""

import json

import pytest

import respram
from respram.cli.main import main
from respram.cli.status import problems_of
from respram.gateway.live import nodes_of
from tests.ports import reserve


def test_one_screen_about_an_enclave(capsys: pytest.CaptureFixture[str]) -> None:
    with respram.Enclave(2, engine="pure") as nodes, nodes[0].client() as client:
        client.set("a", "b", ex=30)
        assert main(["status", "--url", nodes[0].url]) == 0
        said = capsys.readouterr().out
        assert said.startswith("state      ready") and "1 end within a minute" in said and said.count("127.0.0.1:") == 2
        assert main(["status", "--url", nodes[0].url, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["keys"] == 1 and found["problems"] == [] and len(found["nodes"]) == 2


def test_the_exit_code_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--url", f"redis://127.0.0.1:{reserve()}"]) == 1
    assert "no node answers" in capsys.readouterr().err
    assert main(["status", "--nonsense"]) == 2
    with respram.Server(engine="pure", requirepass="right") as server:
        assert main(["status", "--url", f"redis://:wrong@127.0.0.1:{server.port}"]) == 4
        assert "wrong" not in capsys.readouterr().err.replace("refused", "")
    assert main(["status", "--help"]) == 0


def test_a_node_that_left_in_order_is_no_problem_and_does_not_join() -> None:
    node = {"node": "2", "address": "a:1", "enclave": "e", "role": "trunk", "parent": "", "ready": "0"}
    rows = [[part.encode() for pair in {**node, "status": status}.items() for part in pair]
            for status in ("left", "dead", "alive")]
    states = [one["state"] for one in nodes_of(rows, {"node_number": "1"})]
    assert states == ["left", "dead", "joining"]
    problems = problems_of({"state": "ready", "nodes": nodes_of(rows, {"node_number": "1"})})
    assert problems == ["a:1 is dead", "a:1 is joining"]


def test_problems_are_named() -> None:
    node = {"address": "a:1", "state": "online", "lag_ms": 0}
    assert problems_of({"state": "ready", "nodes": [node, {**node, "state": "", "own": True}]}) == []
    assert problems_of({"state": "joining", "nodes": [{**node, "state": "unlinked"}, {**node, "lag_ms": 60_000}]}) == [
        "this node is joining", "a:1 is unlinked", "a:1 is 60 s behind",
    ]  # fmt: skip
