"""aiogram's state machine in the node: state and data of a chat, cleared at its end, and the lock of its events."""

import asyncio
from importlib.metadata import version

from aiogram.fsm.storage.base import StorageKey
from aiogram.fsm.storage.redis import RedisStorage
from telling import HOST, PORT, check_soon, same, say

KEY = StorageKey(bot_id=1, chat_id=2, user_id=3)


async def main():
    storage = RedisStorage.from_url(f"redis://{HOST}:{PORT}/0", state_ttl=600, data_ttl=600)

    async def sets():
        await storage.set_state(KEY, "form:name")
        await storage.set_data(KEY, {"name": "Ada"})
        same(await storage.get_state(KEY), "form:name")
        same(await storage.get_data(KEY), {"name": "Ada"})

    async def clears():
        await storage.set_state(KEY, None)
        await storage.set_data(KEY, {})
        same(await storage.get_state(KEY), None)
        same(await storage.get_data(KEY), {})

    async def locks():
        isolation = storage.create_isolation()
        for _ in range(3):
            async with asyncio.timeout(5), isolation.lock(KEY):
                pass

    await check_soon("state-and-data", sets)
    await check_soon("update", lambda: storage.update_data(KEY, {"age": 36}))
    await check_soon("clear", clears)
    await check_soon("lock-is-released", locks)
    await storage.close()


say("version", version("aiogram"))
asyncio.run(main())
say("done")
