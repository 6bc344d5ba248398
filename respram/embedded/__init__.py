"""Nodes inside other people's programs and tests: there when the block begins, gone when it ends (docs/embedding.md).

    with respram.Server() as server:
        redis.Redis(port=server.port).set("greeting", "hello", ex=60)
"""

from respram.embedded.server import AsyncServer, Enclave, Server

__all__ = ["AsyncServer", "Enclave", "Server"]
