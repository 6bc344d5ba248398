"""Imports an application at its first request, on another thread.

The SDK of MCP takes 37 MB and half a second of a core. Most gateways are never asked for `/mcp`.
"""

import asyncio
import importlib.util
from collections.abc import Callable
from typing import Protocol

from respram.gateway.answers import Receive, Scope, Send


class Face(Protocol):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def close(self) -> None: ...


class Later:
    def __init__(self, make: Callable[[], Face], needs: str) -> None:
        """ModuleNotFoundError where what it needs is not installed: that shows at the start, and not in a request."""
        if importlib.util.find_spec(needs) is None:
            raise ModuleNotFoundError(f"no module named {needs}", name=needs)
        self._make = make
        self._made: Face | None = None
        self._making: asyncio.Future[Face] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            if self._making is None:  # concurrent callers share one task
                self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
            self._made = await asyncio.shield(self._making)
        await self._made(scope, receive, send)

    async def close(self) -> None:
        if self._making is not None and self._made is None:
            self._made = await self._making
        if self._made is not None:
            await self._made.close()
