"""Tests of the benchmarks: of what they compute and write, without a server; and one run in earnest."""
