"""The gossip core: membership, replication and comparison. Sans-IO: messages and `now` in, effects out.

No clock, no randomness, no socket, no log, no callback and no await lives here. Times are integer milliseconds,
monotonic for timers and Unix for records. Nothing iterates over a set or dict of byte strings in an order that the hash
seed decides.
"""
