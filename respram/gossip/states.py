"""What a node is to its peers and clients: JOINING until it holds what its enclave holds, then READY; ISOLATED while
under half of its partners answer. `bootstrap.py` says when it is ready, `probes.py` when it is isolated."""

JOINING, READY, ISOLATED = "joining", "ready", "isolated"
