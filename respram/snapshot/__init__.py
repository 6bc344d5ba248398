"""Snapshots as bytes: time buckets, encrypted segments, the keys that open them. No I/O, no clock, no randomness: those
come in as arguments, and `respram/server/snapshots.py` is who brings them."""
