"""Trials: what a node promises at its turning points, tried again and again under load and counted. `make trials` runs
them all; their short forms are among the tests.
"""
