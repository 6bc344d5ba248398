"""channels_redis: `program.py core|pubsub`: channels, groups, and leaving them."""

import asyncio
import sys
from importlib.metadata import version

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from telling import HOST, PORT, check_soon, same, say

kind = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}[sys.argv[1]]


async def main():
    layer = kind(hosts=[(HOST, PORT)])

    async def sends():
        channel = await layer.new_channel()
        waiting = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0.2)
        await layer.send(channel, {"type": "hello", "text": "x"})
        same(await asyncio.wait_for(waiting, 5), {"type": "hello", "text": "x"})

    async def groups():
        one, two = await layer.new_channel(), await layer.new_channel()
        await layer.group_add("room", one)
        await layer.group_add("room", two)
        await layer.group_discard("room", two)
        waiting = asyncio.ensure_future(layer.receive(one))
        await asyncio.sleep(0.2)
        await layer.group_send("room", {"type": "said"})
        same(await asyncio.wait_for(waiting, 5), {"type": "said"})

    await check_soon("send-and-receive", sends)
    await check_soon("group", groups)


say("version", version("channels-redis"))
asyncio.run(main())
say("done")
