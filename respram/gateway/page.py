"""`/`: the live page's files, served as they are. They are bundled, so the page loads nothing from anywhere else.

What a page may do is said in its headers: scripts and styles of this origin alone, no frame around it, nothing sent
elsewhere.
"""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from respram.gateway.answers import Problem, Send, respond

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri "
    b"'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)
KINDS = {"html": b"text/html; charset=utf-8", "css": b"text/css; charset=utf-8",
         "js": b"text/javascript; charset=utf-8"}
NAMES = ("index.html", "page.css", "page.js", "uplot.css", "uplot.js")


class File(NamedTuple):
    body: bytes
    kind: bytes
    tag: bytes


def load() -> dict[bytes, File]:
    """Reads the page's files, by path."""
    folder = files("respram.gateway") / "assets"
    found = {}
    for name in NAMES:
        body = (folder / name).read_bytes()
        file = File(body, KINDS[name.rpartition(".")[2]],
                    b'"%b"' % hashlib.blake2b(body, digest_size=8).hexdigest().encode())
        found[b"/" + name.encode()] = file
    found[b"/"] = found.pop(b"/index.html")
    return found


async def serve(file: File, headers: dict[bytes, bytes], send: Send, *, method: str) -> None:
    if method not in ("GET", "HEAD"):
        raise Problem(405, "Allowed here: GET, HEAD.", ((b"allow", b"GET, HEAD"),))
    fields = [
        (b"content-type", file.kind), (b"etag", file.tag), (b"cache-control", b"no-cache"),
        (b"content-security-policy", POLICY),
        (b"x-frame-options", b"DENY"), (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]  # fmt: skip
    known = headers.get(b"if-none-match") == file.tag
    await respond(send, 304 if known else 200, fields, b"" if known else file.body, head=method == "HEAD")
