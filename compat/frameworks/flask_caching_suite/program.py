"""Flask-Caching's own tests for its Redis backend, on the adapter; without it each test ends with a clear, which is
refused.
"""

from importlib.metadata import version
from pathlib import Path

import suite
from telling import say

LEAST = 50  # fewer tests mean that the suite did not run

say("version", version("Flask-Caching"))
tests = next(Path("sources").glob("*/tests"))
suite.run(tests.parent, ["-p", "placed", "-k", "TestRedisCache", "tests/test_backend_cache.py"], LEAST)
say("done")
