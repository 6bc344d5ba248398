"""redis-py's own tests for the commands that respram has, from its source distribution.

`allowed.txt` has the words by which tests are chosen, `limits.txt` and `left.txt` what ends otherwise, with reasons.
A test that waits 10 s has hung: it fails by name, and the rest goes on.
"""

from importlib.metadata import version
from pathlib import Path

import suite
from telling import HOST, PORT, say

FILES = ("tests/test_commands.py", "tests/test_pipeline.py", "tests/test_encoding.py")

say("version", version("redis"))
allowed = " or ".join(line for line in Path("allowed.txt").read_text().split("\n") if line and not line.startswith("#"))
tests = next(Path("sources").glob("*/tests"))
words = ["-p", "cleaning", "--timeout=10", "--tb=line", "-o", "addopts=", "-m", "not onlycluster and not redismod", "-k", allowed]
suite.run(tests.parent, [*words, f"--redis-url=redis://{HOST}:{PORT}/0", *FILES], 160)
say("done")
