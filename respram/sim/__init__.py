"""The simulator: real replicas and engines, encoded bytes, virtual time, a network that fails. Seeded throughout.

It contains no model of the protocol: what it runs is what the server runs. A run is a function of its arguments,
whatever PYTHONHASHSEED says, so a failure is replayed by the command that it prints.
"""
