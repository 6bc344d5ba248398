"""Nodes inside programs and tests, which run while a `with` block runs (docs/embedding.md).

    with respram.Server() as server:
        redis.Redis(port=server.port).set("greeting", "hello", ex=60)
"""

from respram.embedded.server import AsyncServer, Enclave, Server

__all__ = ["AsyncServer", "Enclave", "Server"]
