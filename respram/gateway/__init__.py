"""HTTP, MCP and a live page in front of nodes: a client of theirs, which knows nothing of what is inside
(docs/gateway.md).

In another application:

    from respram.gateway import gateway
    api.mount("/respram", gateway("redis://127.0.0.1:6379"))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respram.gateway.app import gateway

__all__ = ["gateway"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: the settings are read without the frameworks."""
    if name == "gateway":
        from respram.gateway.app import gateway

        return gateway
    raise AttributeError(name)
