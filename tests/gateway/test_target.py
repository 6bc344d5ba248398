"""Connection strings."""

import pytest

from respram.errors import ConfigError
from respram.gateway.target import Login, read_url


def test_the_usual_forms_are_read() -> None:
    assert read_url("redis://node").port == 6379
    one = read_url("redis://app:p%40ss@10.0.0.7:7000/3")
    assert (one.host, one.port, one.db, one.login) == ("10.0.0.7", 7000, 3, Login(b"app", b"p@ss"))
    assert read_url("redis://:word@[::1]:7000").login == Login(b"default", b"word")
    assert str(read_url("redis://:word@[::1]:7000")) == "[::1]:7000", "a password is never shown"
    socket = read_url("unix:///run/respram.sock?db=2")
    assert (socket.path, socket.db, str(socket)) == ("/run/respram.sock", 2, "/run/respram.sock")
    assert read_url("rediss://node:7000").tls is not None and read_url("redis://node").tls is None


@pytest.mark.parametrize("text", [
    "", "node:6379", "http://node", "redis://", "redis://node:x", "redis://node:99999", "redis://node/x",
    "redis://node/16",
    "redis://node?ssl_what=1", "rediss://node?ssl_ca_certs=/nowhere", "redis://:hunter2@node/x", "redis://:hunter2@:x",
])  # fmt: skip
def test_what_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_url(text)
    assert "hunter2" not in str(refused.value)
