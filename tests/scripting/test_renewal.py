"""Lua is made anew when scripts have worn it out; where there is no memory for a new one, the old one goes on."""

from itertools import count

import pytest

from respram.scripting import scripts as scripts_file
from respram.scripting.cache import digest_of
from respram.scripting.runtime import Runtime
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES

LUA = b"local t = {} "  # the engine's own programs know no tables: Lua runs it
TEXTS = (LUA + b"return redis.call('INCR', KEYS[1]) -- %d" % number for number in count())


def eval_new(client: Client) -> bytes:
    """A text that nobody has sent before goes by way of Python, which looks whether Lua is worn."""
    return client(b"EVAL", next(TEXTS), b"1", b"k")


@pytest.mark.parametrize("engine", ENGINES)
def test_scripts_run_on_where_no_new_lua_can_be_made(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    assert [eval_new(client) for _ in range(2)] == [b":1\r\n", b":2\r\n"]
    tried = []

    def none_left(*words: object, inside: object = None, **named: object) -> Runtime:
        """As where the sandbox has been half made: the engine has opened its side already."""
        tried.append(1)
        assert inside is not None
        inside.open_lua(b"/nowhere")  # type: ignore[attr-defined]
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(scripts_file, "Runtime", none_left)
        patch.setattr(Runtime, "is_worn", lambda self: True)
        assert [eval_new(client) for _ in range(3)] == [b":3\r\n", b":4\r\n", b":5\r\n"]
        assert tried
        assert client(b"SCRIPT", b"LOAD", LUA + b"return 7").startswith(b"$40\r\n")
        assert client(b"EVALSHA", digest_of(LUA + b"return 7"), b"0") == b":7\r\n"
        assert client(b"SCRIPT", b"FLUSH") == b"+OK\r\n"
        assert eval_new(client) == b":6\r\n"
    assert [eval_new(client) for _ in range(2)] == [b":7\r\n", b":8\r\n"]
    with monkeypatch.context() as patch:  # and where there is memory again, it is made anew
        patch.setattr(Runtime, "is_worn", lambda self: True)
        generation = rig.node.scripts._generation  # type: ignore[union-attr]
        assert eval_new(client) == b":9\r\n"
        assert rig.node.scripts._generation > generation  # type: ignore[union-attr]
    assert eval_new(client) == b":10\r\n"
