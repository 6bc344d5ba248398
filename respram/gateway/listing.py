"""`/v1/keys` and `/v1/watch`: what there is, in pages, and what happens, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator

from respram.gateway.answers import ALWAYS, JSON, NO_STORE, Receive, Send
from respram.gateway.live import Live
from respram.gateway.names import quoted, shown, text_of
from respram.gateway.requests import number_of, prefix_of
from respram.gateway.store import Store
from respram.gateway.target import Login
from respram.gateway.watch import Event, Hub

LIMIT_MAX = 10**9  # the largest limit that a request may give
ALIVE_S = 15.0  # between two keep-alive comments on an idle stream
STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
SHOWN_KEYS = 500  # keys of a listing that are formatted at a time


async def list_keys(store: Store, login: Login | None, query: dict[str, bytes], send: Send, *, head: bool) -> None:
    """`{"keys": [...]}` in the order of their bytes. Where more follow: `next_cursor`, the last key, and `next`, the
    path to ask next.

    Names that are no UTF-8 stand percent-encoded in `keys_encoded`. The page is sent as it is found, so an error behind
    its first piece can only end the connection.
    """
    prefix, after = prefix_of(query), query.get("cursor", b"")
    limit = number_of(query["limit"], "?limit=", 1, LIMIT_MAX) if "limit" in query else 0
    pages = store.keys(login, prefix, after, limit + 1 if limit else 0)
    first: list[bytes] = await anext(pages, [])  # errors must be known before the status is sent
    await send({"type": "http.response.start", "status": 200, "headers": [JSON, NO_STORE, *ALWAYS]})
    if head:
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": b'{"keys": [', "more_body": True})
    written, last, encoded, more = 0, b"", [], False
    async for key in _each(first, pages):
        if limit and written == limit:
            more = True
            break
        text = text_of(key)
        if text is None:
            encoded.append(quoted(key))
        else:
            comma = b", " if written > len(encoded) else b""
            await send({"type": "http.response.body", "body": comma + json.dumps(text).encode(), "more_body": True})
        written, last = written + 1, key
    tail: dict[str, object] = {"keys_encoded": encoded} if encoded else {}
    if more:
        if (text := text_of(last)) is not None:
            tail["next_cursor"] = text
        tail["next"] = f"/v1/keys?limit={limit}&cursor={quoted(last)}" + (f"&prefix={quoted(prefix)}" if prefix else "")
    end = b"]" + (b", " + json.dumps(tail)[1:].encode() if tail else b"}")
    await send({"type": "http.response.body", "body": end})


async def _each(first: list[bytes], pages: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    for key in first:
        yield key
    async for page in pages:
        for key in page:
            yield key


async def stream(hub: Hub, login: Login | None, query: dict[str, bytes], receive: Receive, send: Send) -> None:
    """Events until the client goes. What is refused is refused before the stream begins."""
    async with hub.watch(login, prefix_of(query)) as watcher:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [STREAM, NO_STORE, (b"x-accel-buffering", b"no"), *ALWAYS],
            }
        )
        await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            while not gone.done():
                waiting = asyncio.ensure_future(watcher.next(ALIVE_S))
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    break
                events = waiting.result()
                body = b"".join(map(spell_event, events)) or b": alive\n\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            gone.cancel()


async def overviews(live: Live, login: Login | None, receive: Receive, send: Send) -> None:
    """What the page draws, once a second, until it goes."""
    async with live.view(login) as look:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [STREAM, NO_STORE, (b"x-accel-buffering", b"no"), *ALWAYS],
            }
        )
        gone = asyncio.ensure_future(until_gone(receive))
        overview = look.last
        try:
            while not gone.done():
                body = b"event: overview\ndata: %b\n\n" % json.dumps(overview).encode()
                await send({"type": "http.response.body", "body": body, "more_body": True})
                waiting = asyncio.ensure_future(look.next())
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    break
                overview = waiting.result()
        finally:
            gone.cancel()


def spell_event(event: Event) -> bytes:
    if event.name == "lost":
        return b"event: lost\ndata: %b\n\n" % json.dumps({"count": event.lost}).encode()
    facts: dict[str, object] = {**shown(event.key)}
    if event.name != "expired":
        facts["ttl_ms"] = event.ttl_ms
    return b"event: %b\ndata: %b\n\n" % (event.name.encode(), json.dumps(facts).encode())


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
