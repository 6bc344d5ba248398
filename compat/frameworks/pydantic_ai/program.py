"""A Pydantic AI agent that uses the tools of `respram mcp`.
The model is a function: what is tried is the framework's MCP client.
"""

import asyncio
import json
import os
from importlib.metadata import version
from pathlib import Path

import redis
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset, StdioTransport
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel
from telling import HOST, PORT, check_soon, same, say, true

PYTHON = Path(os.environ["RESPRAM_SOURCE"]) / ".venv/bin/python"
STEPS = [
    ("repram_store", {"data": "the plan", "ttl_seconds": 60, "key": "agents:plan"}),
    ("repram_retrieve", {"key": "agents:plan"}),
    ("repram_exists", {"key": "agents:none"}),
    ("repram_list_keys", {"prefix": "agents:"}),
]
offered = []


def model(messages, info):
    """Takes one step after the other, and ends with what the tools returned."""
    offered[:] = [tool.name for tool in info.function_tools]
    returned = [part.content for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if len(returned) < len(STEPS):
        name, words = STEPS[len(returned)]
        return ModelResponse(parts=[ToolCallPart(name, words)])
    return ModelResponse(parts=[TextPart(json.dumps(returned))])


async def agent():
    command = StdioTransport(str(PYTHON), ["-m", "respram", "mcp", "--url", f"redis://{HOST}:{PORT}"])
    made = Agent(FunctionModel(model), toolsets=[MCPToolset(command)])
    async with made:
        answer = json.loads((await made.run("plan something")).output)
    stored, retrieved, exists, listed = answer
    true(
        {"repram_store", "repram_retrieve", "repram_exists", "repram_list_keys", "repram_watch"} <= set(offered),
        "five tools",
        offered,
    )
    true(stored["stored"] and 0 < stored["ttl_seconds"] <= 60, "stored for a minute", stored)
    same(
        [retrieved["found"], retrieved["data"], exists["exists"], listed["keys"]],
        [True, "the plan", False, ["agents:plan"]],
    )
    same(redis.Redis(HOST, PORT).get("agents:plan"), b"the plan")


say("version", version("pydantic-ai-slim"))
asyncio.run(check_soon("agent-with-the-tools", agent))
say("done")
