"""Reply values as bytes, in both protocols."""

import pytest

from respram.commands.reply import (
    NIL_ARRAY,
    NOTHING,
    OK,
    Double,
    Error,
    Flags,
    Push,
    Raw,
    Reply,
    Simple,
    Verbatim,
    encode,
)


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (NIL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (0, b":0\r\n", b":0\r\n"),
        (-(1 << 63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
        (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
        (b"a\r\nb\0", b"$5\r\na\r\nb\0\r\n", b"$5\r\na\r\nb\0\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ([1, None, [b"x"]], b"*3\r\n:1\r\n$-1\r\n*1\r\n$1\r\nx\r\n", b"*3\r\n:1\r\n_\r\n*1\r\n$1\r\nx\r\n"),
        ({}, b"*0\r\n", b"%0\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (Simple(b"QUEUED"), b"+QUEUED\r\n", b"+QUEUED\r\n"),
        (Error(b"ERR x"), b"-ERR x\r\n", b"-ERR x\r\n"),
        (Flags([Simple(b"fast")]), b"*1\r\n+fast\r\n", b"~1\r\n+fast\r\n"),
        (Push([b"message"]), b"*1\r\n$7\r\nmessage\r\n", b">1\r\n$7\r\nmessage\r\n"),
        (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
        (Double(b"1.5"), b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (Raw(b":7\r\n"), b":7\r\n", b":7\r\n"),
        (NOTHING, b"", b""),
    ],
)
def test_every_shape_in_both_protocols(reply: Reply, resp2: bytes, resp3: bytes) -> None:
    assert encode(reply, 2) == resp2
    assert encode(reply, 3) == resp3
    assert encode([reply, reply], 2) == b"*2\r\n" + resp2 * 2
