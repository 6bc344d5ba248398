"""python-socketio's manager over the node: an emit of one process reaches the clients of another."""

import asyncio
from importlib.metadata import version

import socketio
from telling import HOST, PORT, check_soon, say, true

URL = f"redis://{HOST}:{PORT}/0"


async def main():
    manager = socketio.AsyncRedisManager(URL)
    server = socketio.AsyncServer(client_manager=manager, async_mode="asgi")
    manager.initialize()
    heard = []

    async def emit(event, data, *rest, **more):
        heard.append((event, data))

    manager._handle_emit = lambda message: emit(message["event"], message["data"])
    await asyncio.sleep(0.5)

    async def crosses():
        writer = socketio.AsyncRedisManager(URL, write_only=True)
        await writer.emit("news", {"text": "x"})
        for _ in range(50):
            if heard:
                break
            await asyncio.sleep(0.1)
        true(len(heard) == 1 and heard[0][0] == "news", "the event", heard)

    await check_soon("emit-crosses", crosses)
    del server


say("version", version("python-socketio"))
asyncio.run(main())
say("done")
