"""Every test of this folder runs on each engine."""

from tests.engine.each import each_engine

__all__ = ["each_engine"]
