"""The simulator: real replicas and engines, encoded bytes, virtual time and a faulty network, all seeded.

It contains no model of the protocol: it runs the server's own code. A run is a function of its arguments, independent
of PYTHONHASHSEED, so a failure is replayed by the command that it prints.
"""
