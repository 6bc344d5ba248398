"""cachelib's own tests for its Redis backend: `program.py plain|adapted`."""

import sys
from importlib.metadata import version
from pathlib import Path

import suite
from telling import say

say("version", version("cachelib"))
tests = next(Path("sources").glob("*/tests"))
kind = sys.argv[1]
limits = Path("limits.txt")
limits.write_text(Path("refused.txt").read_text() if kind == "plain" else "")
suite.run(tests, ["-p", "cleaning", "-p", "placed", "test_redis_cache.py"], 40, CI="true", MATRIX_KIND=kind)
say("done")
