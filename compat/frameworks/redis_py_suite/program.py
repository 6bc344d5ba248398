"""redis-py's own tests for the commands that respram has, from its source distribution: `program.py blocking|asyncio`.

`allowed.txt` has the words by which tests are chosen, `limits.txt` and `left.txt` what ends otherwise, with reasons.
A test that waits 10 s has hung: it fails by name, and the rest goes on.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import suite
from telling import HOST, PORT, say

FILES = {
    "blocking": ("test_commands", "test_pipeline", "test_encoding", "test_pubsub", "test_cache"),
    "asyncio": (
        "test_asyncio/test_commands",
        "test_asyncio/test_pipeline",
        "test_asyncio/test_encoding",
        "test_asyncio/test_pubsub",
    ),
}[sys.argv[1]]
LEAST = {"blocking": 300, "asyncio": 350}[sys.argv[1]]  # fewer tests mean that the suite did not run

say("version", version("redis"))
allowed = " or ".join(line for line in Path("allowed.txt").read_text().split("\n") if line and not line.startswith("#"))
tests = next(Path("sources").glob("*/tests"))
words = ["-p", "cleaning", "--timeout=10", "--tb=line", "-o", "addopts=", "-m", "not onlycluster and not redismod",
         "-k", allowed]
suite.run(
    tests.parent, [*words, f"--redis-url=redis://{HOST}:{PORT}/0", *(f"tests/{name}.py" for name in FILES)], LEAST
)
say("done")
